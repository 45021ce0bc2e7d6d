//! What a token costs: while the node has verified it already, and at its first use. Within one process, on the store that
//! the server before it has left.

use std::hint::black_box;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use strongroom::config::{Config, Sources, UnlockSource};
use strongroom::wiring::{open_broker, open_store};
use strongroom_broker::{Broker, Request};
use strongroom_domain::audit::Dialect;

use crate::harness::{Api, Store};

const TOKENS: usize = 200;
const TIMES: u32 = 20_000;

/// So many of each kind that no node has seen, with the policy and the login of a workload.
pub(crate) async fn unseen(root: &Api, policy: &str, login: &Value) -> [(&'static str, Vec<SecretString>); 2] {
    let (mut access, mut service) = (Vec::new(), Vec::new());
    let named = |answer: &Value, field: &str| SecretString::from(answer[field].as_str().unwrap());
    for _ in 0..TOKENS {
        let (_, answer) = root.post("auth/client/login", login.clone()).await;
        access.push(named(&answer, "access_token"));
        let (_, answer) = root.post("tokens", json!({ "policies": [policy], "ttl": 3600 })).await;
        service.push(named(&answer, "token"));
    }
    [("access token", access), ("service token", service)]
}

pub(crate) async fn figures(store: &Store, address: &str, kinds: &[(&str, Vec<SecretString>)]) {
    let broker = open(store, address).await;
    for (kind, tokens) in kinds {
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for token in tokens {
            first.push(ask(&broker, token).await);
            again.push(ask(&broker, token).await);
        }
        let [first, again] = [first, again].map(median);
        let ratio = first.as_secs_f64() / again.as_secs_f64();
        println!("=> whoami, first use of a token ÷ the next, {kind}: {ratio:.2} ({first:?} and {again:?})");
        let token = &tokens[0];
        let each = (0..9).map(|_| {
            let began = Instant::now();
            let known = (0..TIMES).filter(|_| broker.knows(black_box(token)));
            assert_eq!(known.count(), TIMES as usize);
            began.elapsed() / TIMES
        });
        println!(
            "=> token in the node's cache, {kind}: median {:?}",
            median(each.collect())
        );
    }
}

async fn open(store: &Store, address: &str) -> Broker {
    let mut sources = Sources::default();
    sources.set("data_dir", store.data_dir().to_str().unwrap());
    if let Some(url) = &store.url {
        sources.set("database_url", url);
    }
    // Access tokens name the one who issued them.
    sources.set("issuer", address);
    let config = Config::check(&sources, Vec::new()).unwrap();
    let unlock = UnlockSource::root_key(store.root_key_file()).read().unwrap();
    let opened = open_store(&config.store).await.unwrap();
    open_broker(&config, opened, &unlock).await.unwrap()
}

/// The least that is asked with a token, its entry in the log included.
async fn ask(broker: &Broker, token: &SecretString) -> Duration {
    let request = Request::new(broker.request_id(), Dialect::Native, "127.0.0.1".into());
    let request = request.with_token(Some(token.clone()));
    let began = Instant::now();
    broker.whoami(&request).await.unwrap();
    began.elapsed()
}

fn median(mut each: Vec<Duration>) -> Duration {
    each.sort();
    each[each.len() / 2]
}
