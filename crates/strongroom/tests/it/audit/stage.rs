//! A server whose log can be taken away, every kind of request to it, and the rules an outage is judged by.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testkit::{Database, Proxy};

use crate::asks::{Answer, Ask};
use crate::harness::{Api, On, Server, Store};
use crate::ledger::Ledger;
use crate::sql::Sql;

/// Part of every value: it must stand in no refusal.
const VALUE: &str = "shown-only-on-record";
/// The deadline is 1 s; a request may wait for more than one thing.
const IN_TIME: Duration = Duration::from_secs(3);
const RECOVERED: Duration = Duration::from_secs(2);
const CODES: [&str; 5] = [
    "audit_unavailable",
    "store_unavailable",
    "outcome_unknown",
    "deadline_exceeded",
    "unsettled",
];
const WARM: &str = "secrets/audit/warm";

/// Which entries a request leaves: each class has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Reads,
    Kept,
}

pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) store: Store,
    database: Option<Database>,
    pub(crate) root: Api,
    pub(crate) workload: Api,
    login: Value,
    /// Names not used yet.
    fresh: AtomicUsize,
    /// Of everything that was granted so far.
    granted: Vec<String>,
}

const COLD: usize = 200;

impl Stage {
    pub(crate) async fn start(store: Store, settings: &[(&str, &str)]) -> Self {
        Self::with(store, None, None, settings).await
    }

    /// With a proxy between server and PostgreSQL.
    pub(crate) async fn behind_proxy(settings: &[(&str, &str)]) -> Self {
        let database = Database::fresh();
        let (server, name) = database.url().rsplit_once('/').unwrap();
        let (scheme, upstream) = server.rsplit_once('@').unwrap();
        let proxy = Proxy::start(upstream.parse::<SocketAddr>().unwrap());
        let store = Store::at(format!("{scheme}@{}/{name}", proxy.addr()));
        Self::with(store, Some(proxy), Some(database), settings).await
    }

    async fn with(store: Store, proxy: Option<Proxy>, database: Option<Database>, settings: &[(&str, &str)]) -> Self {
        let server = store.dev(settings);
        let root = Api::new(&server, store.root_token());
        for path in ["audit/warm", "other/x"] {
            assert_eq!(
                root.put(&format!("secrets/{path}"), json!({"value": VALUE})).await.0,
                201
            );
        }
        // Read by nobody yet, so in no cache.
        let cold = |at| json!({"path": format!("audit/cold/{at}"), "value": format!("{VALUE}-{at}")});
        let writes: Vec<_> = (0..COLD).map(cold).collect();
        assert_eq!(
            root.post("batch", json!({"writes": writes, "atomic": true})).await.0,
            200
        );
        let rules = json!([{"path": "secret/audit/*", "capabilities": ["read", "list"]}]);
        let login = root.workload_login("audit", rules).await;
        let token = root.post("auth/client/login", login.clone()).await.1["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let workload = root.with_token(token);
        let mut stage = Self {
            server,
            proxy,
            store,
            database,
            root,
            workload,
            login,
            fresh: AtomicUsize::new(0),
            granted: Vec::new(),
        };
        for (name, _, answer) in stage.ask_all().await {
            let right = match name {
                "denial" => 403,
                "bad token" => 401,
                "write" | "create client" => 201,
                _ => 200,
            };
            assert_eq!(answer.status, right, "{name}: {}", answer.text);
        }
        stage.warm().await;
        stage
    }

    /// Fills the caches that the warm read needs: nothing is kept while something changes.
    async fn warm(&mut self) {
        let ask = self.warm_read();
        for _ in 0..3 {
            assert_eq!(self.ask(&ask).await.status, 200);
        }
    }

    /// The database itself, not the proxy.
    fn url(&self) -> Option<&str> {
        self.database.as_ref().map(Database::url)
    }

    pub(crate) fn sql(&self) -> Sql {
        Sql::of(&self.store, self.url())
    }

    pub(crate) fn warm_read(&self) -> Ask {
        Ask::get(&self.workload, WARM)
    }

    fn asks(&self) -> Vec<(&'static str, Class, Ask)> {
        let fresh = self.fresh.fetch_add(1, Ordering::Relaxed);
        let cold = fresh % COLD;
        let get = |path: &str| Ask::get(&self.workload, path);
        let root = |method, path: String, body| Ask::new(&self.root, method, path, Some(body));
        let rules = json!({"rules": [{"path": "secret/x", "capabilities": ["read"]}]});
        let nobody = Api {
            token: None,
            ..self.root.clone()
        };
        vec![
            ("warm read", Class::Reads, self.warm_read()),
            ("cold read", Class::Reads, get(&format!("secrets/audit/cold/{cold}"))),
            ("history", Class::Reads, get("versions/audit/warm")),
            ("list", Class::Reads, get("list/audit/cold")),
            ("read policy", Class::Reads, Ask::get(&self.root, "policies/audit")),
            ("search audit", Class::Reads, Ask::get(&self.root, "audit?limit=1")),
            (
                "write",
                Class::Kept,
                root("PUT", format!("secrets/audit/new/{fresh}"), json!({"value": VALUE})),
            ),
            (
                "write policy",
                Class::Kept,
                root("PUT", format!("policies/new-{fresh}"), rules),
            ),
            (
                "create client",
                Class::Kept,
                root(
                    "POST",
                    "clients".into(),
                    json!({"name": format!("new-{fresh}"), "role": "audit"}),
                ),
            ),
            (
                "login",
                Class::Kept,
                Ask::new(&nobody, "POST", "auth/client/login", Some(self.login.clone())),
            ),
            ("denial", Class::Kept, get("secrets/other/x")),
            (
                "bad token",
                Class::Kept,
                Ask::get(&self.root.with_token("srs_nobody"), WARM),
            ),
        ]
    }

    /// One request of each kind, all at once.
    pub(crate) async fn ask_all(&mut self) -> Vec<(&'static str, Class, Answer)> {
        let mut tasks = Vec::new();
        for (name, class, ask) in self.asks() {
            let api = self.root.clone();
            tasks.push(tokio::spawn(async move { (name, class, ask.send(&api).await) }));
        }
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        for (name, _, answer) in &answers {
            self.note(name, answer);
        }
        answers
    }

    fn note(&mut self, name: &str, answer: &Answer) {
        if answer.status < 300 {
            self.granted.push(answer.id.clone());
        } else {
            assert!(
                !answer.text.contains(VALUE),
                "{name}: a refusal shows a value: {}",
                answer.text
            );
        }
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) -> Answer {
        let answer = ask.send(&self.root).await;
        self.note(&ask.path, &answer);
        answer
    }

    /// Sends one of each kind: whose entries cannot be written must be refused in time. Gives what was not.
    pub(crate) async fn refused(&mut self, classes: &[Class], report: &mut Report) {
        for (name, class, answer) in self.ask_all().await {
            if classes.contains(&class) {
                report.refusal(name, &answer);
            }
        }
    }

    /// One of each kind of request is served again, each within two seconds of now.
    pub(crate) async fn recovers(&mut self, report: &mut Report) {
        let healed = Instant::now();
        for name in ["warm read", "cold read", "write", "login"] {
            loop {
                let ask = self.asks().into_iter().find(|(known, _, _)| *known == name).unwrap().2;
                let answer = self.ask(&ask).await;
                if answer.status < 300 {
                    break;
                }
                if healed.elapsed() > 5 * RECOVERED {
                    report.faults.push(format!(
                        "{name}: still refused after {:?}: {}",
                        healed.elapsed(),
                        answer.text
                    ));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        report.recovery = report.recovery.max(healed.elapsed());
        if healed.elapsed() > RECOVERED {
            report.faults.push(format!("recovery took {:?}", healed.elapsed()));
        }
        self.warm().await;
    }

    /// Ids of requests that stand in the log.
    async fn recorded(&self) -> HashSet<String> {
        let mut ids = HashSet::new();
        let mut cursor = String::new();
        loop {
            let (status, page) = self.root.get(&format!("audit?limit=1000{cursor}")).await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().unwrap();
            ids.extend(items.iter().map(|item| item["request_id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }

    /// Everything that was granted is on record, and the whole log verifies.
    pub(crate) async fn finish(self, title: &str, mut report: Report) {
        if report.faults.is_empty() {
            let recorded = self.recorded().await;
            let missing = self.granted.iter().filter(|id| !recorded.contains(*id)).count();
            if missing > 0 {
                report
                    .faults
                    .push(format!("{missing} of {} granted are not on record", self.granted.len()));
            }
        }
        let url = self.url().map(str::to_owned);
        self.server.terminate();
        match Ledger::open(&self.store, url.as_deref()).await.verify().await {
            Ok(figures) => println!(
                "{title}: {} granted, all on record; {report}; {figures:?}",
                self.granted.len()
            ),
            Err(error) => report.faults.push(format!("the log does not verify: {error}")),
        }
        assert!(
            report.faults.is_empty(),
            "{title}: {report}\n{}",
            report.faults.join("\n")
        );
        assert!(
            report.refusals.values().sum::<usize>() > 0,
            "{title}: something was refused"
        );
    }
}

/// What an outage was like.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) refusals: BTreeMap<String, usize>,
    slowest: Duration,
    recovery: Duration,
    pub(crate) faults: Vec<String>,
}

impl Report {
    pub(crate) fn refusal(&mut self, name: &str, answer: &Answer) {
        *self.refusals.entry(answer.code().to_owned()).or_default() += 1;
        self.slowest = self.slowest.max(answer.took);
        if answer.status != 503 || !CODES.contains(&answer.code()) {
            self.faults
                .push(format!("{name}: {} {:.200}", answer.status, answer.text));
        } else if answer.took > IN_TIME {
            self.faults
                .push(format!("{name}: refused ({}) after {:?}", answer.code(), answer.took));
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "refusals {:?}, slowest after {:.3?}, recovered in {:.3?}",
            self.refusals, self.slowest, self.recovery
        )
    }
}

/// A stage on a store of its own.
pub(crate) async fn on(on: On, settings: &[(&str, &str)]) -> Stage {
    Stage::start(Store::fresh(on), settings).await
}
