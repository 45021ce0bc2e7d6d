use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use serde_json::json;
use strongroom_ports::{Fetched, Fetching};

use super::*;

const ISSUER: &str = "https://issuer.test";

/// An issuer that counts who asks, and fails when it is told to.
struct Pretended {
    asked: AtomicUsize,
    down: AtomicBool,
    issuer: &'static str,
    keys: Mutex<Vec<&'static str>>,
    max_age: Option<u64>,
    now: AtomicI64,
}

impl Pretended {
    fn new(keys: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            issuer: ISSUER,
            keys: Mutex::new(keys.to_vec()),
            max_age: None,
            now: AtomicI64::new(1_000_000_000_000),
        })
    }

    fn wait(&self, time: Duration) {
        self.now
            .fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn held(self: &Arc<Self>, issuers: &Issuers, key: &str) -> Result<bool, String> {
        let source = Source::new(ISSUER, &KeySource::default(), KeyUse::Signatures);
        let now = || Time(self.now.load(Ordering::Relaxed));
        let fetch: Arc<dyn Fetch> = self.clone();
        let held = issuers.held(&fetch, now, &source, Some(key)).await;
        held.map(|held| held.keys.has(key)).map_err(|error| error.to_string())
    }
}

impl Fetch for Pretended {
    fn fetch<'a>(&'a self, call: Call<'a>) -> Fetching<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let discovery = call.url.ends_with("/.well-known/openid-configuration");
            if discovery {
                self.asked.fetch_add(1, Ordering::Relaxed);
            }
            if self.down.load(Ordering::Relaxed) {
                return Err(FetchError::Unreachable);
            }
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            let key = |id: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id });
            let body = if discovery {
                json!({ "issuer": self.issuer, "jwks_uri": "https://keys.test/all" })
            } else {
                json!({ "keys": self.keys.lock().unwrap().iter().map(key).collect::<Vec<_>>() })
            };
            Ok(Fetched {
                status: 200,
                max_age: self.max_age.map(Duration::from_secs),
                body: body.to_string().into_bytes(),
            })
        })
    }
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let (issuer, issuers) = (Pretended::new(&["a"]), Issuers::default());
    let all = (0..100).map(|_| issuer.held(&issuers, "a"));
    let found = futures_util::future::join_all(all).await;
    assert!(found.into_iter().all(|found| found == Ok(true)));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn ten_thousand_unknown_keys_ask_once_in_ten_seconds() {
    let (issuer, issuers) = (Pretended::new(&["a"]), Issuers::default());
    for round in 1..=5 {
        for at in 0..2000 {
            let unknown = format!("u{at}");
            assert_eq!(issuer.held(&issuers, &unknown).await, Ok(false));
            assert_eq!(issuer.held(&issuers, "a").await, Ok(true));
        }
        assert_eq!(issuer.asked(), round);
        issuer.wait(PAUSE);
    }
    // A key that is new is had with the next question.
    issuer.keys.lock().unwrap().push("b");
    assert_eq!(issuer.held(&issuers, "b").await, Ok(true));
    // A question that failed counts as one.
    issuer.down.store(true, Ordering::Relaxed);
    issuer.wait(PAUSE);
    let before = issuer.asked();
    for _ in 0..1000 {
        assert_eq!(issuer.held(&issuers, "c").await, Ok(false));
    }
    assert_eq!(issuer.asked(), before + 1);
}

#[tokio::test]
async fn old_keys_serve_while_no_new_ones_can_be_had() {
    let (issuer, issuers) = (Pretended::new(&["a"]), Issuers::default());
    assert_eq!(issuer.held(&issuers, "a").await, Ok(true));
    issuer.down.store(true, Ordering::Relaxed);
    for hours in 1..24 {
        issuer.wait(Duration::from_hours(1) - Duration::from_secs(1));
        assert_eq!(issuer.held(&issuers, "a").await, Ok(true), "{hours}");
    }
    issuer.wait(Duration::from_hours(1) + Duration::from_mins(1));
    assert!(
        issuer
            .held(&issuers, "a")
            .await
            .unwrap_err()
            .contains("cannot be reached")
    );
    // Nobody else is let in, and it is right again as soon as it answers.
    assert!(issuer.held(&issuers, "a").await.is_err());
    issuer.down.store(false, Ordering::Relaxed);
    issuer.wait(PAUSE);
    *issuer.keys.lock().unwrap() = vec!["b"];
    assert_eq!(
        issuer.held(&issuers, "a").await,
        Ok(false),
        "a key that was taken away is gone"
    );
    assert_eq!(issuer.held(&issuers, "b").await, Ok(true));
}

#[tokio::test]
async fn what_the_issuer_says_of_keeping_has_a_floor_and_a_ceiling() {
    for (says, kept) in [(None, 600), (Some(0), 60), (Some(90), 90), (Some(1_000_000), 3600)] {
        let (mut issuer, issuers) = (Pretended::new(&["a"]), Issuers::default());
        Arc::get_mut(&mut issuer).unwrap().max_age = says;
        assert_eq!(issuer.held(&issuers, "a").await, Ok(true));
        issuer.wait(Duration::from_secs(kept - 1));
        assert_eq!(issuer.held(&issuers, "a").await, Ok(true));
        assert_eq!(issuer.asked(), 1, "{says:?}");
        issuer.wait(Duration::from_secs(1));
        assert_eq!(issuer.held(&issuers, "a").await, Ok(true));
        assert_eq!(issuer.asked(), 2, "{says:?}");
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_gives_no_keys() {
    for other in ["https://issuer.test/", "https://ISSUER.test", "https://evil.test", ""] {
        let (mut issuer, issuers) = (Pretended::new(&["a"]), Issuers::default());
        Arc::get_mut(&mut issuer).unwrap().issuer = other;
        assert!(
            issuer.held(&issuers, "a").await.unwrap_err().contains("another issuer"),
            "{other}"
        );
    }
}
