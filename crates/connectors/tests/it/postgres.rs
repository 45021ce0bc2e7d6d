//! On a PostgreSQL of each test's own, which asks for passwords, logs every statement, and is administered with no right beyond
//! those that docs/TARGETS.md names. When a test ends, no password may stand in its log.

mod leases;
mod names;
mod rotation;
mod turns;
mod way;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use strongroom_connectors::{Allowed, Targets};
use strongroom_domain::Time;
use strongroom_domain::target::{Engine, Tls};
use strongroom_ports::{Issuer, Login, NewUser, Order, Rotator, Server, TargetError, Verifier};
use strongroom_testkit::{Cluster, run_sql};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

const WITHIN: Duration = Duration::from_secs(20);
const DOCS: &str = include_str!("../../../../docs/TARGETS.md");
const ADMIN: &str = "strongroom_admin";
/// Long after every test.
const LATER: Time = Time(4_000_000_000_000_000);

struct Place {
    cluster: Cluster,
    targets: Targets,
    server: Server,
    admin: Login,
    passwords: Mutex<BTreeSet<String>>,
}

impl Place {
    fn new() -> Self {
        let cluster = Cluster::start_with_passwords(&[("log_statement", "all"), ("fsync", "off")]);
        let place = Self {
            targets: Targets::new(Allowed::parse("127.0.0.1, localhost").unwrap(), true),
            server: Server {
                engine: Engine::Postgres,
                host: "127.0.0.1".into(),
                port: cluster.port(),
                database: None,
                tls: Tls::Off,
                ca_pem: None,
            },
            cluster,
            admin: Login {
                username: ADMIN.into(),
                password: "the administrator's own".into(),
            },
            passwords: Mutex::default(),
        };
        place.sql("CREATE ROLE app LOGIN; CREATE ROLE reporting; CREATE SCHEMA work AUTHORIZATION app; GRANT USAGE, CREATE ON SCHEMA work TO reporting");
        place.sql(granted());
        let verifier = place.verifier("the administrator's own").0;
        let verifier = secrecy::ExposeSecret::expose_secret(&verifier);
        place.sql(&format!("ALTER ROLE {ADMIN} PASSWORD '{verifier}'"));
        place
    }

    /// As the superuser.
    fn sql(&self, sql: &str) -> String {
        run_sql(&self.cluster.url("postgres"), sql)
    }

    fn verifier(&self, password: &str) -> Verifier {
        self.passwords.lock().unwrap().insert(password.to_owned());
        let verifier = strongroom_crypto::verifier(Engine::Postgres, password, &|| [7; 32]).unwrap();
        Verifier(verifier.as_str().into())
    }

    fn order(&self, fence: i64) -> Order<'_> {
        Order {
            server: &self.server,
            admin: &self.admin,
            within: WITHIN,
            fence,
        }
    }

    async fn set(&self, fence: i64, username: &str, like: Option<&str>, password: &str) -> Result<(), TargetError> {
        let verifier = self.verifier(password);
        self.targets.set(self.order(fence), username, like, &verifier).await
    }

    async fn issue(&self, username: &str, template: &str, password: &str, until: Time) -> Result<(), TargetError> {
        let verifier = self.verifier(password);
        let user = NewUser {
            username,
            verifier: &verifier,
            template,
            until,
        };
        self.targets.issue(self.order(1), user).await
    }

    async fn revoke(&self, username: &str, template: &str) -> Result<(), TargetError> {
        self.targets.revoke(self.order(1), username, template).await
    }

    async fn test(&self, username: &str, password: &str) -> Result<(), TargetError> {
        let login = login(username, password);
        self.targets.test(&self.server, &login, WITHIN).await
    }

    fn exists(&self, username: &str) -> bool {
        let name = username.replace('\'', "''");
        self.sql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'")) == "1"
    }

    /// A session of an application's.
    async fn connect(&self, username: &str, password: &str, database: &str) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.server.port)).await.unwrap();
        let mut config = Config::new();
        config
            .user(username)
            .password(password)
            .dbname(database)
            .ssl_mode(SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("The server's log:\n{}", self.cluster.log());
            return;
        }
        let log = self.cluster.log();
        assert!(log.contains("PASSWORD 'SCRAM-SHA-256$"), "the log has every statement");
        for password in self.passwords.lock().unwrap().iter() {
            assert!(!log.contains(password), "a password stands in the server's log");
        }
    }
}

/// What the page tells a superuser to run.
fn granted() -> &'static str {
    let (_, page) = DOCS.split_once("## PostgreSQL").unwrap();
    let (_, block) = page.split_once("```sql").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    block.split_once('\n').unwrap().1
}

fn login(username: &str, password: &str) -> Login {
    Login {
        username: username.into(),
        password: password.into(),
    }
}
