//! Where faults happen: nodes that are stopped at points, a target, and proxies before the target and the store.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_connectors::{Allowed, Targets};
use strongroom_domain::target::{self, Tls};
use strongroom_ports::{Issuer as _, Login, Order, Rotator as _};
use strongroom_testkit::{Cluster, MariaDb, Proxy, Redis, run_sql};
use tempfile::TempDir;

use crate::harness::{Api, FAULTS, On, Server, Store};
use crate::methods::HOME;

/// By what the program divides what is waited for: 30 s of a claim, and 20 s of a call.
pub(crate) const HASTE: u32 = 15;
const ADMIN: (&str, &str) = ("admin", "the-administrators-own");
const APP: (&str, &str) = ("app", "the-first-one");
const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    MariaDb,
    Redis,
}

/// A server whose users are rotated, held for its drop.
enum Target {
    Postgres(Cluster),
    MariaDb(MariaDb),
    Redis(Redis),
}

impl Target {
    /// None where its programs are not installed, which is told.
    fn start(engine: Engine) -> Option<Self> {
        let ((admin, admins), (app, apps)) = (ADMIN, APP);
        Some(match engine {
            Engine::Postgres => {
                let cluster = Cluster::start_with_passwords(&[("fsync", "off")]);
                let sql = format!(
                    "CREATE ROLE {admin} SUPERUSER LOGIN PASSWORD '{admins}'; CREATE ROLE {app} LOGIN PASSWORD '{apps}';
                     CREATE ROLE reporting"
                );
                run_sql(&cluster.url("postgres"), &sql);
                Self::Postgres(cluster)
            }
            Engine::MariaDb => {
                let mariadb = MariaDb::start(&[])?;
                mariadb.sql(&format!(
                    "CREATE DATABASE shop; CREATE ROLE app_rights, reporting; GRANT ALL ON shop.* TO app_rights;
                     CREATE USER {admin}@'%' IDENTIFIED BY '{admins}'; GRANT ALL ON *.* TO {admin}@'%' WITH GRANT OPTION;
                     GRANT reporting TO {admin}@'%' WITH ADMIN OPTION; GRANT app_rights TO {admin}@'%' WITH ADMIN OPTION;
                     CREATE USER {app}@'%' IDENTIFIED BY '{apps}'; GRANT app_rights TO {app}@'%';
                     SET DEFAULT ROLE app_rights FOR {app}@'%'"
                ));
                Self::MariaDb(mariadb)
            }
            Engine::Redis => {
                let redis = Redis::start(&["--aclfile", "users.acl"])?;
                let rights = ["allcommands", "allkeys", "allchannels"];
                let (admins, apps) = (format!(">{admins}"), format!(">{apps}"));
                redis.run(&[&["ACL", "SETUSER", admin, "on", &admins], rights.as_slice()].concat());
                redis.run(&["ACL", "SETUSER", app, "on", &apps, "+ping", "~cache:*"]);
                redis.run(&["ACL", "SETUSER", "reporting", "off", "+ping", "~cache:*"]);
                Self::Redis(redis)
            }
        })
    }

    fn port(&self) -> u16 {
        match self {
            Self::Postgres(cluster) => cluster.port(),
            Self::MariaDb(mariadb) => mariadb.port(),
            Self::Redis(redis) => redis.port(),
        }
    }
}

/// The target as everybody but the nodes reaches it: past the proxy.
pub(crate) struct Outside {
    targets: Targets,
    server: strongroom_ports::Server,
}

impl Outside {
    fn new(engine: Engine, port: u16) -> Self {
        Self {
            targets: Targets::new(Allowed::parse("127.0.0.1").unwrap(), true),
            server: strongroom_ports::Server {
                engine: match engine {
                    Engine::Postgres => target::Engine::Postgres,
                    Engine::MariaDb => target::Engine::Mysql,
                    Engine::Redis => target::Engine::Redis,
                },
                host: "127.0.0.1".into(),
                port,
                database: None,
                tls: Tls::Off,
                ca_pem: None,
            },
        }
    }

    pub(crate) async fn lets_in(&self, username: &str, password: &str) -> bool {
        let login = Login {
            username: username.to_owned(),
            password: password.into(),
        };
        self.targets.test(&self.server, &login, WITHIN).await.is_ok()
    }

    /// Everybody who is there.
    pub(crate) async fn users(&self) -> Vec<String> {
        let admin = Login {
            username: ADMIN.0.to_owned(),
            password: ADMIN.1.into(),
        };
        let order = Order {
            server: &self.server,
            admin: &admin,
            within: WITHIN,
            fence: 1,
        };
        self.targets.users(order, "", "", 10_000).await.unwrap()
    }
}

pub(crate) struct Place {
    /// Two on PostgreSQL. Before what they stand on, so that they end first.
    nodes: Vec<Option<Server>>,
    pub(crate) store: Store,
    pub(crate) outside: std::sync::Arc<Outside>,
    pub(crate) before_target: Proxy,
    /// None before the embedded store.
    pub(crate) before_store: Option<Proxy>,
    points: TempDir,
    _target: Target,
}

impl Place {
    pub(crate) async fn new(on: On, engine: Engine) -> Option<Self> {
        let target = tokio::task::block_in_place(|| Target::start(engine))?;
        let before_target = Proxy::start(([127, 0, 0, 1], target.port()).into());
        let (store, before_store) = match on {
            On::Sqlite => (Store::fresh(on), None),
            On::Postgres => {
                let (store, proxy) = Store::behind_proxy();
                (store, Some(proxy))
            }
        };
        let mut place = Self {
            nodes: Vec::new(),
            store,
            outside: Outside::new(engine, target.port()).into(),
            before_target,
            before_store,
            points: tempfile::tempdir().unwrap(),
            _target: target,
        };
        for _ in 0..if on == On::Postgres { 2 } else { 1 } {
            let node = place.node();
            place.nodes.push(Some(node));
        }
        place.set_up(engine).await;
        Some(place)
    }

    async fn set_up(&self, engine: Engine) {
        let root = self.root();
        let credential = |(username, password)| json!({ "data": { "username": username, "password": password } });
        assert_eq!(root.put("secrets/infra/admin", credential(ADMIN)).await.0, 201);
        assert_eq!(root.put("secrets/app/db", credential(APP)).await.0, 201);
        let spoken = match engine {
            Engine::Postgres => "postgres",
            Engine::MariaDb => "mysql",
            Engine::Redis => "redis",
        };
        let target = json!({
            "engine": spoken, "address": self.before_target.addr().to_string(), "tls": "off", "credential": "infra/admin",
        });
        root.written("targets/db", target).await;
        let policy = json!({ "rotator": spoken, "target": "db", "interval": "1h" });
        root.written("rotation/app/db", policy).await;
        root.written(
            "lease-roles/db",
            json!({ "target": "db", "template": "reporting", "max_leases": 1, "ttl": "15s" }),
        )
        .await;
    }

    fn node(&self) -> Server {
        let (points, haste) = (self.points.path().to_str().unwrap(), HASTE.to_string());
        let settings = [HOME, ("STRONGROOM_FAULTS", points), ("STRONGROOM_FAULTS_HASTE", &haste)];
        tokio::task::block_in_place(|| self.store.dev_of(&FAULTS, &settings))
    }

    /// Whoever of the nodes runs.
    pub(crate) fn root(&self) -> Api {
        let node = self.nodes.iter().flatten().next().unwrap();
        Api::new(node, self.store.root_token())
    }

    /// Where the next one to come to this point stops, or what becomes of it there.
    pub(crate) fn arm(&self, point: &str, says: &str) {
        std::fs::write(self.points.path().join(point), says).unwrap();
    }

    /// Of a point that somebody came to.
    fn stopped(&self, point: &str) -> Option<(PathBuf, u32)> {
        let mut files = std::fs::read_dir(self.points.path()).unwrap().flatten();
        files.find_map(|file| {
            let pid = file
                .file_name()
                .to_str()?
                .strip_prefix(point)?
                .strip_prefix('.')?
                .parse();
            Some((file.path(), pid.ok()?))
        })
    }

    /// The node that stops at this point; the last of them where it is the only one.
    pub(crate) async fn reached(&self, point: &str) -> usize {
        let began = Instant::now();
        loop {
            if let Some((_, pid)) = self.stopped(point) {
                let is = |node: &Option<Server>| node.as_ref().is_some_and(|node| node.pid() == pid);
                return self.nodes.iter().position(is).unwrap();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "nobody came to {point}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn release(&self, point: &str) {
        let (file, _) = self.stopped(point).unwrap();
        std::fs::remove_file(file).unwrap();
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].take().unwrap().kill9();
    }

    pub(crate) fn pause(&self, node: usize) {
        self.nodes[node].as_ref().unwrap().pause();
    }

    pub(crate) fn resume(&self, node: usize) {
        self.nodes[node].as_ref().unwrap().resume();
    }

    /// The API of another node, where there is one.
    pub(crate) fn other(&self, than: usize) -> Option<Api> {
        let mut others = self.nodes.iter().enumerate().filter(|(at, _)| *at != than);
        let found = others.find_map(|(_, node)| node.as_ref());
        found.map(|node| Api::new(node, self.store.root_token()))
    }

    pub(crate) fn start_again(&mut self) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].is_none() {
                self.nodes[at] = Some(self.node());
            }
        }
    }

    /// The number and the value of what is current, or of another label.
    pub(crate) async fn labelled(&self, label: &str) -> (i64, Value) {
        let (status, secret) = self.root().get(&format!("secrets/app/db?label={label}")).await;
        assert_eq!(status, 200, "{secret}");
        (secret["version"].as_i64().unwrap(), secret["data"].clone())
    }
}
