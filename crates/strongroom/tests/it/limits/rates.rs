//! How often: by source, by identity, and after logins that failed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, On, Server, Store};

const FAILED: &str = "STRONGROOM_LIMITS_FAILED_PER_SOURCE_PER_MINUTE";
const EXEMPT: &str = "STRONGROOM_LIMITS_EXEMPT_PER_SOURCE_PER_MINUTE";
const DELAY: &str = "STRONGROOM_LIMITS_LOGIN_DELAY";
const IDENTITY: &str = "STRONGROOM_LIMITS_PER_IDENTITY_PER_SECOND";
/// This machine speaks for others.
const PROXIED: (&str, &str) = ("STRONGROOM_TRUSTED_PROXIES", "127.0.0.0/8");

/// What came of a request: its status, its code, and how long to wait.
type Told = (u16, String, Option<u64>);

struct Asking {
    http: reqwest::Client,
    address: String,
}

impl Asking {
    fn of(server: &Server) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            address: server.address(),
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Told {
        let answer = request.send().await.unwrap();
        let wait = answer.headers().get("retry-after");
        let wait = wait.map(|wait| wait.to_str().unwrap().parse().unwrap());
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned(), wait)
    }

    /// A read with this token, on behalf of another address.
    async fn read(&self, token: &str, forwarded: &str) -> Told {
        let request = self
            .http
            .get(format!("{}/api/v1/list", self.address))
            .bearer_auth(token);
        self.ask(request.header("X-Forwarded-For", forwarded)).await
    }

    async fn log_in(&self, username: &str, password: &str, forwarded: &str) -> Told {
        let body = json!({ "username": username, "password": password }).to_string();
        let request = self.http.post(format!("{}/api/v1/auth/password/login", self.address));
        self.ask(request.body(body).header("X-Forwarded-For", forwarded)).await
    }

    async fn get(&self, path: &str) -> Told {
        self.ask(self.http.get(format!("{}{path}", self.address))).await
    }
}

fn may_list() -> Value {
    json!([{ "path": "secret/*", "capabilities": ["list"] }])
}

fn is_limited(told: &Told) -> bool {
    (told.0, told.1.as_str()) == (429, "rate_limited")
}

/// The sum of a metric over its labels.
async fn metric(server: &Server, name: &str) -> u64 {
    let text = reqwest::get(server.url("/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let values = text.lines().filter(|line| line.starts_with(name));
    values
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

async fn failures_are_limited_by_source(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[(FAILED, "30"), PROXIED]);
    let (asking, root) = (Asking::of(&server), store.root_token());
    let (first, second) = ("198.51.100.1", "198.51.100.2");
    assert_eq!(asking.read(&root, first).await.0, 200);
    let mut refused = 0;
    for number in 0..60 {
        let told = asking.read("wrong", first).await;
        if is_limited(&told) {
            refused += 1;
            assert!(number >= 29, "refused before the thirtieth: {number}");
            assert!((1..=2).contains(&told.2.unwrap()), "{told:?}");
        } else {
            assert_eq!(told.0, 401);
        }
    }
    assert!(refused >= 20, "{refused}");
    assert!(is_limited(&asking.log_in("nobody", "wrong-password", first).await));
    // A token that is known goes on, and so does whoever is elsewhere.
    assert_eq!(asking.read(&root, first).await.0, 200);
    assert_eq!(asking.read("wrong", second).await.0, 401);
    for path in ["/health", "/ready"] {
        for _ in 0..200 {
            assert_eq!(asking.get(path).await.0, 200);
        }
    }
    // What is refused like this leaves a count and no entry.
    let entries = metric(&server, "strongroom_audit_entries_total").await;
    let counted = metric(&server, "strongroom_http_limited_total").await;
    let mut more = 0;
    while more < 20 {
        more += u64::from(is_limited(&asking.read("wrong", first).await));
    }
    assert!(metric(&server, "strongroom_http_limited_total").await >= counted + more);
    let let_in = metric(&server, "strongroom_audit_entries_total").await - entries;
    assert!(let_in <= 10, "{let_in} entries");
    // Whoever waits as long as it was told is heard again.
    let told = loop {
        let told = asking.read("wrong", first).await;
        if is_limited(&told) {
            break told;
        }
    };
    tokio::time::sleep(Duration::from_secs(told.2.unwrap())).await;
    assert_eq!(asking.read("wrong", first).await.0, 401);
    // One network of 64 bits is one source.
    for host in 0..30 {
        assert_eq!(asking.read("wrong", &format!("2001:db8::{host:x}")).await.0, 401);
    }
    assert!(is_limited(&asking.read("wrong", "2001:db8::ffff").await));
    assert_eq!(asking.read("wrong", "2001:db8:0:1::1").await.0, 401);
    // The log names the client, and not the proxy.
    let api = Api::new(&server, root);
    let (status, found) = api.get("audit?outcome=denied&limit=1000").await;
    assert_eq!(status, 200, "{found}");
    let sources = |wanted: &str| {
        let items = found["items"].as_array().unwrap();
        items.iter().filter(|entry| entry["source"] == wanted).count()
    };
    assert!(sources(first) > 0 && sources("2001:db8:0:1::1") > 0, "{found}");
    assert_eq!(sources("127.0.0.1"), 0);
}

async fn who_is_no_proxy_of_ours_is_not_believed(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[(FAILED, "20")]);
    let asking = Asking::of(&server);
    let mut last = None;
    for number in 0..21 {
        last = Some(asking.read("wrong", &format!("203.0.113.{number}")).await);
    }
    assert!(
        is_limited(&last.unwrap()),
        "an address of its own for each is no way around"
    );
}

async fn exempt_routes_have_a_limit_of_their_own(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[(EXEMPT, "10"), (FAILED, "5")]);
    let asking = Asking::of(&server);
    for number in 0..10 {
        assert_eq!(
            asking
                .get(["/", "/metrics", "/.well-known/jwks.json"][number % 3])
                .await
                .0,
            200
        );
    }
    let told = asking.get("/api/v1/openapi.json").await;
    assert!(is_limited(&told) && told.2.unwrap() <= 6, "{told:?}");
    let told = asking.read("wrong", "").await;
    assert_eq!(told.0, 401, "calls that are recorded are not among them: {told:?}");
    assert_eq!(asking.get("/health").await.0, 200);
}

async fn failed_logins_delay_their_own_name_and_source(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[(DELAY, "60"), PROXIED]);
    let (asking, root) = (Asking::of(&server), Api::new(&server, store.root_token()));
    let (status, made) = root.put("operators/alice", json!({ "policies": [] })).await;
    assert_eq!(status, 200, "{made}");
    let password = "correct horse battery";
    let (status, made) = root
        .put("operators/alice/password", json!({ "password": password }))
        .await;
    assert_eq!(status, 204, "{made}");
    let (attacker, home) = ("198.51.100.1", "192.0.2.1");
    let mut told = Vec::new();
    // However it is written, and whether there is one of that name or not.
    for (name, variant) in [("alice", "Alice "), ("nobody", " NOBODY")] {
        let mut of_name = Vec::new();
        for number in 0..7 {
            let name = if number % 2 == 0 { name } else { variant };
            of_name.push(asking.log_in(name, "wrong password", attacker).await);
        }
        told.push(of_name);
    }
    let failed = || (401, "login_failed".to_owned(), None);
    let delayed = (429, "login_delayed".to_owned(), Some(1));
    let wanted = [vec![failed(); 5], vec![delayed.clone(); 2]].concat();
    assert_eq!(told, [wanted.clone(), wanted]);
    assert_eq!(
        asking.log_in("alice", password, attacker).await,
        delayed,
        "right or wrong"
    );
    assert_eq!(asking.log_in("alice", password, home).await.0, 200, "from elsewhere");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asking.log_in("alice", "wrong password", attacker).await, failed());
    assert_eq!(
        asking.log_in("alice", password, attacker).await.2,
        Some(2),
        "the next wait is longer"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(asking.log_in("alice", password, attacker).await.0, 200);
    assert_eq!(
        asking.log_in("alice", "wrong password", attacker).await,
        failed(),
        "forgotten"
    );
    assert!(metric(&server, "strongroom_logins_total{outcome=\"delayed\"}").await >= 6);
}

async fn an_identity_has_a_rate(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[(IDENTITY, "20")]);
    let (asking, root) = (Asking::of(&server), Api::new(&server, store.root_token()));
    let busy = root.workload("busy", may_list()).await;
    let quiet = root.workload("quiet", may_list()).await;
    let began = Instant::now();
    let mut limited = 0;
    while limited == 0 {
        let told = asking.read(&busy, "").await;
        assert!(told.0 == 200 || (is_limited(&told) && told.2 == Some(1)), "{told:?}");
        limited += u32::from(told.0 == 429);
        assert!(began.elapsed() < Duration::from_secs(10), "it is never too often");
    }
    assert_eq!(asking.read(&quiet, "").await.0, 200);
    assert!(metric(&server, "strongroom_identities_limited_total").await >= 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asking.read(&busy, "").await.0, 200);
}

/// With every limit as it is by default: the pods of a whole cluster may come from one address.
async fn a_thousand_good_logins_are_let_in(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[(FAILED, "100"), (EXEMPT, "6000"), (DELAY, "60")]);
    let root = Api::new(&server, store.root_token());
    let login = root.workload_login("pods", may_list()).await;
    let began = Instant::now();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (root, login) = (root.clone(), login.clone());
            tokio::spawn(async move {
                for _ in 0..50 {
                    let (status, answer) = root.post("auth/client/login", login.clone()).await;
                    assert_eq!(status, 200, "{answer}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("1,000 logins in {:.1?}", began.elapsed());
}

on_both_stores!(
    failures_are_limited_by_source,
    who_is_no_proxy_of_ours_is_not_believed,
    exempt_routes_have_a_limit_of_their_own,
    failed_logins_delay_their_own_name_and_source,
    an_identity_has_a_rate,
    a_thousand_good_logins_are_let_in,
);
