//! On a MariaDB of each test's own, which logs every statement, and is administered with no right beyond those that
//! docs/TARGETS.md names. When a test ends, no password may stand in its log. Nothing runs where MariaDB is not installed,
//! which is told.

mod turns;

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use strongroom_connectors::{Allowed, Targets};
use strongroom_domain::Time;
use strongroom_domain::target::{Engine, Tls};
use strongroom_ports::{Issuer, Login, NewUser, Order, Rotator, Server, TargetError, Verifier};
use strongroom_testkit::{MariaDb, Proxy, free_port};

use crate::authority::Authority;
use crate::cut::tries;

const WITHIN: Duration = Duration::from_secs(20);
const DOCS: &str = include_str!("../../../../docs/TARGETS.md");
const ADMIN: &str = "strongroom_admin";

struct Place {
    mariadb: MariaDb,
    targets: Targets,
    server: Server,
    admin: Login,
    passwords: Mutex<BTreeSet<String>>,
}

impl Place {
    fn new() -> Option<Self> {
        let mariadb = MariaDb::start(&["--general-log=1"])?;
        let place = Self {
            targets: Targets::new(Allowed::parse("127.0.0.1, localhost").unwrap(), true),
            server: Server {
                engine: Engine::Mysql,
                host: "127.0.0.1".into(),
                port: mariadb.port(),
                database: None,
                tls: Tls::Off,
                ca_pem: None,
            },
            mariadb,
            admin: login(ADMIN, "the administrator's own"),
            passwords: Mutex::default(),
        };
        place.mariadb.sql(
            "CREATE DATABASE shop; CREATE TABLE shop.t (n int); CREATE ROLE app_rights, reporting;
             GRANT ALL ON shop.* TO app_rights; GRANT SELECT ON shop.* TO reporting;
             CREATE USER app@'%'; GRANT app_rights TO app@'%'; SET DEFAULT ROLE app_rights FOR app@'%'",
        );
        place.mariadb.sql(granted());
        let verifier = place.verifier("the administrator's own").0;
        let hash = secrecy::ExposeSecret::expose_secret(&verifier);
        place
            .mariadb
            .sql(&format!("ALTER USER {ADMIN}@'%' IDENTIFIED BY PASSWORD '{hash}'"));
        Some(place)
    }

    fn verifier(&self, password: &str) -> Verifier {
        self.passwords.lock().unwrap().insert(password.to_owned());
        let verifier = strongroom_crypto::verifier(Engine::Mysql, password, &|| [0; 32]).unwrap();
        Verifier(verifier.as_str().into())
    }

    fn order(&self) -> Order<'_> {
        Order {
            server: &self.server,
            admin: &self.admin,
            within: WITHIN,
            fence: 1,
        }
    }

    async fn set(&self, username: &str, like: Option<&str>, password: &str) -> Result<(), TargetError> {
        let verifier = self.verifier(password);
        self.targets.set(self.order(), username, like, &verifier).await
    }

    async fn issue(&self, username: &str, template: &str, password: &str) -> Result<(), TargetError> {
        let verifier = self.verifier(password);
        let user = NewUser {
            username,
            verifier: &verifier,
            template,
            until: Time(0),
        };
        self.targets.issue(self.order(), user).await
    }

    async fn revoke(&self, username: &str) -> Result<(), TargetError> {
        self.targets.revoke(self.order(), username, "reporting").await
    }

    async fn test(&self, username: &str, password: &str) -> Result<(), TargetError> {
        let login = login(username, password);
        self.targets.test(&self.server, &login, WITHIN).await
    }

    /// A session of an application's.
    async fn connect(&self, username: &str, password: &str) -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.server.port)
            .prefer_socket(false)
            .user(Some(username))
            .pass(Some(password));
        Conn::new(options).await.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let log = self.mariadb.log();
        if std::thread::panicking() {
            println!("The server's log:\n{log}");
            return;
        }
        assert!(
            log.contains("IDENTIFIED WITH mysql_native_password AS '*"),
            "the log has every statement"
        );
        for password in self.passwords.lock().unwrap().iter() {
            assert!(!log.contains(password), "a password stands in the server's log");
        }
    }
}

/// What the page tells to run.
fn granted() -> &'static str {
    let (_, page) = DOCS.split_once("## MySQL and MariaDB").unwrap();
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

#[tokio::test]
async fn a_users_password_is_set_and_a_second_user_may_what_the_first_may() {
    let Some(place) = Place::new() else { return };
    assert_eq!(place.test("app", "first").await, Err(TargetError::LoginRefused));
    for _ in 0..2 {
        place.set("app", None, "of the first").await.unwrap();
        place.test("app", "of the first").await.unwrap();
    }
    for password in ["of another", ""] {
        assert_eq!(place.test("app", password).await, Err(TargetError::LoginRefused));
    }
    for password in ["of the second", "of the second", "of the second, anew"] {
        place.set("app_b", Some("app"), password).await.unwrap();
    }
    let mut second = place.connect("app_b", "of the second, anew").await;
    second
        .query_drop("CREATE TABLE shop.made (n int); DROP TABLE shop.made")
        .await
        .unwrap();
    assert_eq!(
        place.set("nobody", None, "never let in").await,
        Err(TargetError::NoUser)
    );
    assert_eq!(
        place.set("other", Some("nobody"), "never let in").await,
        Err(TargetError::NoUser)
    );
    assert_eq!(
        place
            .mariadb
            .sql("SELECT count(*) FROM mysql.user WHERE User = 'other'"),
        "0"
    );

    // Rights of its own, and how it has to connect.
    place.mariadb.sql(
        "CREATE USER old@'%' IDENTIFIED BY 'an old one' WITH MAX_USER_CONNECTIONS 7; GRANT SELECT (n) ON shop.t TO old@'%';
         GRANT ALL ON shop.* TO strongroom_admin@'%' WITH GRANT OPTION",
    );
    place.set("old_b", Some("old"), "of old's second").await.unwrap();
    let grants = place.mariadb.sql("SHOW GRANTS FOR old_b@'%'");
    assert!(
        grants.contains("SELECT (`n`) ON `shop`.`t`") && grants.contains("MAX_USER_CONNECTIONS 7"),
        "{grants}"
    );
}

#[tokio::test]
async fn who_was_stopped_while_making_a_user_goes_on() {
    let Some(place) = Place::new() else { return };
    let begun = format!("IDENTIFIED WITH mysql_native_password AS '*{}'", "0".repeat(40));
    place
        .mariadb
        .sql(&format!("CREATE USER app_b@'%' {begun}; CREATE USER 'v-1'@'%' {begun}"));
    place.set("app_b", Some("app"), "of the second").await.unwrap();
    place.issue("v-1", "reporting", "of the lease").await.unwrap();
    let mut second = place.connect("app_b", "of the second").await;
    second.query_drop("INSERT INTO shop.t VALUES (1)").await.unwrap();
    let mut leased = place.connect("v-1", "of the lease").await;
    leased.query_drop("SELECT n FROM shop.t").await.unwrap();
}

#[tokio::test]
async fn who_is_let_in_has_its_rights_wherever_the_making_was_cut_off() {
    let Some(mut place) = Place::new() else { return };
    let port = place.server.port;
    for (at, proxy) in tries(port, 61).enumerate() {
        let password = format!("of the second, {at}");
        place.server.port = proxy.addr().port();
        let cut = place.set("app_b", Some("app"), &password).await;
        let leased = place.issue("v-1", "reporting", &password).await;
        place.server.port = port;
        for (name, may) in [
            ("app_b", "INSERT INTO shop.t VALUES (1)"),
            ("v-1", "SELECT n FROM shop.t"),
        ] {
            if place.test(name, &password).await.is_ok() {
                place.connect(name, &password).await.query_drop(may).await.unwrap();
            }
        }
        place.set("app_b", Some("app"), &password).await.unwrap();
        place.issue("v-1", "reporting", &password).await.unwrap();
        place
            .connect("app_b", &password)
            .await
            .query_drop("INSERT INTO shop.t VALUES (1)")
            .await
            .unwrap();
        place
            .connect("v-1", &password)
            .await
            .query_drop("SELECT n FROM shop.t")
            .await
            .unwrap();
        place.server.port = proxy.addr().port();
        let revoked = place.revoke("v-1").await;
        place.server.port = port;
        for name in ["app_b", "v-1"] {
            place.revoke(name).await.unwrap();
            assert_eq!(place.test(name, &password).await, Err(TargetError::LoginRefused));
        }
        if cut.is_ok() && leased.is_ok() && revoked.is_ok() {
            assert!(at > 5, "{at} places to be cut at");
            break;
        }
    }
}

#[tokio::test]
async fn a_lease_has_the_templates_rights_until_it_is_revoked() {
    let Some(place) = Place::new() else { return };
    place.targets.check_template(place.order(), "reporting").await.unwrap();
    assert_eq!(
        place
            .mariadb
            .sql("SELECT count(*) FROM mysql.user WHERE User LIKE '%trial%'"),
        "0"
    );
    for _ in 0..2 {
        place.issue("v-1", "reporting", "of the lease").await.unwrap();
    }
    let mut session = place.connect("v-1", "of the lease").await;
    session.query_drop("SELECT n FROM shop.t").await.unwrap();
    assert!(session.query_drop("INSERT INTO shop.t VALUES (1)").await.is_err());
    place.targets.extend(place.order(), "v-1", Time(1)).await.unwrap();
    let extended = place.targets.extend(place.order(), "v-2", Time(1)).await;
    assert_eq!(extended, Err(TargetError::NoUser));

    for name in ["v-B", "v-a", "v-é", "v-%", "v-_", "w-1"] {
        place.issue(name, "reporting", "of the lease").await.unwrap();
    }
    let page = |after: &'static str, limit| place.targets.users(place.order(), "v-", after, limit);
    assert_eq!(page("", 9).await.unwrap(), ["v-%", "v-1", "v-B", "v-_", "v-a", "v-é"]);
    assert_eq!(page("v-B", 2).await.unwrap(), ["v-_", "v-a"]);

    place.revoke("v-1").await.unwrap();
    assert!(session.query_drop("SELECT 1").await.is_err());
    assert_eq!(place.test("v-1", "of the lease").await, Err(TargetError::LoginRefused));
    place.revoke("v-1").await.unwrap();
    assert_eq!(
        place.mariadb.sql("SELECT count(*) FROM mysql.user WHERE User = 'v-1'"),
        "0"
    );
    place.test("v-a", "of the lease").await.unwrap();

    let taken = place.issue("app", "reporting", "never let in").await;
    assert!(matches!(taken, Err(TargetError::Refused(_))), "{taken:?}");
    assert_eq!(
        place.issue("v-3", "missing", "never let in").await,
        Err(TargetError::NoTemplate)
    );
    place.mariadb.sql(
        "CREATE ROLE maker, via, files, copies, writes, users; GRANT CREATE USER ON *.* TO maker; GRANT maker TO via; \
             GRANT FILE ON *.* TO files; GRANT REPLICATION SLAVE ON *.* TO copies; GRANT UPDATE ON *.* TO writes; \
             GRANT INSERT ON mysql.* TO users",
    );
    for template in ["maker", "via", "files", "copies", "writes", "users"] {
        let refused = place.targets.check_template(place.order(), template).await;
        assert!(
            matches!(refused, Err(TargetError::Refused(_))),
            "{template}: {refused:?}"
        );
    }
    for template in ["missing", "app"] {
        let refused = place.targets.check_template(place.order(), template).await;
        assert_eq!(refused, Err(TargetError::NoTemplate), "{template}");
    }
    // What it was given later, nobody gets by it.
    place.mariadb.sql("GRANT files TO reporting");
    let refused = place.issue("v-4", "reporting", "of the lease").await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    let v_4 = "SELECT count(*) FROM mysql.user WHERE User = 'v-4'";
    assert_eq!(place.mariadb.sql(v_4), "0");
    place.mariadb.sql("CREATE ROLE unheld");
    let refused = place.targets.check_template(place.order(), "unheld").await;
    assert!(refused.is_err());
    assert_eq!(
        place
            .mariadb
            .sql("SELECT count(*) FROM mysql.user WHERE User LIKE '%trial%'"),
        "0"
    );
}

#[tokio::test]
async fn hostile_names_are_made_and_dropped_cleanly_or_refused_with_the_limit() {
    let Some(place) = Place::new() else { return };
    let longest = ["x'".repeat(40), "☃".repeat(80)];
    let names = [
        "a'b",
        "'; DROP USER app; --",
        "back\\slash\\'",
        "a`b",
        "\"",
        "new\nline",
        "é☃",
        " x",
        "%",
        "a@b",
        "'@'%",
    ];
    for name in names.into_iter().chain(longest.iter().map(String::as_str)) {
        let template = if name.len() < 80 {
            format!("{name} t")
        } else {
            format!("{}y", &name[3..])
        };
        let quoted = template.replace('\'', "''");
        place.mariadb.sql(&format!(
            "SET sql_mode = 'NO_BACKSLASH_ESCAPES'; CREATE ROLE '{quoted}' WITH ADMIN {ADMIN}@'%'; GRANT SELECT ON shop.* TO '{quoted}'"
        ));
        place.targets.check_template(place.order(), &template).await.unwrap();
        place.issue(name, &template, "of the lease").await.unwrap();
        place.issue(name, &template, "of the lease").await.unwrap();
        let mut session = place.connect(name, "of the lease").await;
        session.query_drop("SELECT n FROM shop.t").await.unwrap();
        assert_eq!(place.targets.users(place.order(), name, "", 1).await.unwrap(), [name]);
        let second = if name.len() < 80 {
            format!("{name} 2")
        } else {
            name.replace(['☃', 'x'], "é")
        };
        place.set(&second, Some(name), "of the second").await.unwrap();
        let mut other = place.connect(&second, "of the second").await;
        other.query_drop("SELECT n FROM shop.t").await.unwrap();
        for name in [name, &second] {
            place.revoke(name).await.unwrap();
            assert_eq!(place.test(name, "of the lease").await, Err(TargetError::LoginRefused));
        }
        assert!(session.query_drop("SELECT 1").await.is_err());
    }
    let left = "SELECT User FROM mysql.user WHERE is_role = 'N' AND Host = '%' ORDER BY User";
    assert_eq!(place.mariadb.sql(left), "app\nstrongroom_admin");

    for name in ["", " ", "a ", "''", "'a'", "a\0b", "𐀀", &"x".repeat(81)] {
        let refused = place.issue(name, "reporting", "never let in").await;
        assert!(matches!(refused, Err(TargetError::Name(_))), "{name:?}: {refused:?}");
        let refused = place.set(name, Some("app"), "never let in").await;
        assert!(matches!(refused, Err(TargetError::Name(_))), "{name:?}: {refused:?}");
    }
}

#[tokio::test]
async fn tls_verifies_the_name_that_the_operator_wrote() {
    let Some(mut place) = Place::new() else { return };
    place.set("app", None, "of the app").await.unwrap();
    place.server.tls = Tls::Verify;
    place.server.host = "localhost".into();
    let authority = Authority::new();
    place.server.ca_pem = Some(authority.pem());
    let told = place.test("app", "of the app").await;
    assert!(matches!(told, Err(TargetError::Refused(_))), "{told:?}");

    let folder = place.mariadb.data_dir();
    let owner = std::fs::metadata(&folder).unwrap();
    let (certificate, key) = authority.certify("localhost");
    for (file, text) in [("server.crt", certificate), ("server.key", key)] {
        let file = folder.join(file);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    place.mariadb.kill9();
    place
        .mariadb
        .restart_with(&["--ssl-cert=server.crt", "--ssl-key=server.key"]);
    place.server.port = place.mariadb.port();
    place.test("app", "of the app").await.unwrap();
    place.set("app", None, "over TLS").await.unwrap();
    place.test("app", "over TLS").await.unwrap();

    let user = login("app", "over TLS");
    let mut other = place.server.clone();
    other.host = "127.0.0.1".into();
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
    other = place.server.clone();
    other.ca_pem = Some(Authority::new().pem());
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
    other.ca_pem = None;
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
    other.ca_pem = Some("none".into());
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Certificates)
    );
}

#[tokio::test]
async fn each_no_has_its_name_and_what_is_dead_or_slow_is_left_in_time() {
    let Some(mut place) = Place::new() else { return };
    place.set("app", None, "of the app").await.unwrap();
    place.mariadb.sql("ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 1");
    let held = place.connect("app", "of the app").await;
    assert_eq!(place.test("app", "of the app").await, Err(TargetError::Busy));
    held.disconnect().await.unwrap();
    place
        .mariadb
        .sql("ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 0; ALTER USER app@'%' ACCOUNT LOCK");
    assert_eq!(place.test("app", "of the app").await, Err(TargetError::LoginRefused));
    place.mariadb.sql("ALTER USER app@'%' ACCOUNT UNLOCK");
    place.server.database = Some("mysql".into());
    assert_eq!(place.test("app", "of the app").await, Err(TargetError::LoginRefused));
    place.server.database = Some("shop".into());
    place.test("app", "of the app").await.unwrap();
    place.admin = login(ADMIN, "wrong");
    assert_eq!(
        place.set("app", None, "of the app").await,
        Err(TargetError::LoginRefused)
    );
    place.admin = login("app", "of the app");
    assert_eq!(
        place.set(ADMIN, None, "never let in").await,
        Err(TargetError::NotPermitted)
    );

    let (port, within) = (place.server.port, Duration::from_millis(700));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], port).into());
    proxy.hang_replies();
    for (port, expected) in [
        (free_port(), TargetError::Unreachable),
        (silent.local_addr().unwrap().port(), TargetError::TimedOut),
        (proxy.addr().port(), TargetError::TimedOut),
    ] {
        place.server.port = port;
        let (began, user) = (Instant::now(), login("app", "of the app"));
        assert_eq!(
            place.targets.test(&place.server, &user, within).await,
            Err(expected.clone())
        );
        let order = Order {
            within,
            ..place.order()
        };
        assert_eq!(place.targets.revoke(order, "app", "reporting").await, Err(expected));
        assert!(began.elapsed() < within * 3, "{:?}", began.elapsed());
    }
    let targets = Targets::new(Allowed::default(), true);
    let told = targets.test(&place.server, &place.admin, WITHIN).await;
    assert_eq!(told, Err(TargetError::Forbidden("127.0.0.1".parse().unwrap())));
}
