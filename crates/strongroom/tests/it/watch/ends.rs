//! A stream ends when what it rests on does: within a second, on every node, though nothing tells it of changes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testkit::scale;

use super::{ALONE, Event, Stream, put, settle};
use crate::harness::{Api, On, Server, Store};
use crate::identity::revocation::{WAYS, ending};
use crate::identity::{made, prepare};

/// From the acknowledgement to the end of every stream.
const WITHIN: Duration = Duration::from_secs(1);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rounds"
)]
fn rounds() -> usize {
    (2.0 * scale()).ceil() as usize
}

fn cluster() -> (Store, [Server; 3], Api) {
    let store = Store::fresh(On::Postgres);
    store.dev(&[]).terminate();
    let nodes = ["a", "b", "c"].map(|name| store.node(name, &[ALONE]));
    let root = Api::new(&nodes[0], store.root_token());
    (store, nodes, root)
}

async fn streams(token: &Api, nodes: &[Server]) -> Vec<Stream> {
    let mut streams = Vec::new();
    for node in nodes {
        let mut stream = Stream::open(&token.at(node), "").await;
        stream.start().await;
        streams.push(stream);
    }
    streams
}

/// All end in time, and tell nothing more than that.
async fn all_end(what: &str, streams: &mut [Stream], acknowledged: Instant) -> Duration {
    for stream in &mut *streams {
        let left = (WITHIN + Duration::from_millis(100)).saturating_sub(acknowledged.elapsed());
        let rest: Vec<String> = stream.rest(left).await.into_iter().map(|event| event.name).collect();
        assert_eq!(rest, ["expired"], "{what}");
    }
    acknowledged.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_it_on_every_node() {
    let (_store, nodes, root) = cluster();
    prepare(&root).await;
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        for what in WAYS {
            let ending = ending(&root, round, what).await;
            let mut streams = streams(&ending.token, &nodes).await;
            let body = Some(ending.body).filter(|body| !body.is_null());
            let (code, answer) = root.call(ending.method, &ending.path, body).await.unwrap();
            let acknowledged = Instant::now();
            assert!(code == 204 || code == 200, "{what}: {code} {answer}");
            put(&root, "who/may").await;
            longest = longest.max(all_end(what, &mut streams, acknowledged).await);
        }
    }
    println!(
        "{} revocations, the last of three streams ended after {longest:?} at most",
        rounds() * WAYS.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_ends_it_and_a_part_of_it_does_not() {
    let (_store, nodes, root) = cluster();
    let rule = |path: &str| json!({ "path": path, "capabilities": ["read"] });
    let both = json!([rule("secret/one/*"), rule("secret/two/*")]);
    let token = root.with_token(root.workload("w", both).await);
    let mut streams = streams(&token, &nodes).await;
    put(&root, "two/a").await;
    for stream in &mut streams {
        stream.change("two/a").await;
    }
    let less = json!({ "rules": [rule("secret/one/*")] });
    assert_eq!(root.put("policies/w", less).await.0, 200);
    put(&root, "two/b").await;
    put(&root, "one/b").await;
    for stream in &mut streams {
        stream.change("one/b").await;
    }
    let more = json!({ "rules": [rule("secret/one/*"), rule("secret/two/*")] });
    assert_eq!(root.put("policies/w", more).await.0, 200);
    put(&root, "two/c").await;
    for stream in &mut streams {
        stream.change("two/c").await;
    }
    let none = json!({ "rules": [rule("sys/policies/*")] });
    assert_eq!(root.put("policies/w", none).await.0, 200);
    all_end("the policy", &mut streams, Instant::now()).await;
}

/// What changed before it was stopped, and what ends it meanwhile: it must not tell the one before it learns of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_stopped_or_cut_off_tells_nothing_of_before() {
    let store = Store::fresh(On::Postgres);
    let (proxied, proxy) = store.proxy();
    store.dev(&[]).terminate();
    let node = store.node("a", &[ALONE]);
    let stopped = store.node("b", &[ALONE]);
    let cut_off = store.node("c", &[ALONE, ("STRONGROOM_DATABASE_URL", &proxied)]);
    let root = Api::new(&node, store.root_token());
    prepare(&root).await;
    for round in 0..rounds() * 2 {
        let (token, told) = made(&root, json!({ "policies": ["p"] })).await;
        let mut two = Vec::new();
        for there in [&stopped, &cut_off] {
            let mut stream = Stream::open(&token.at(there), "").await;
            stream.start().await;
            settle(&root, &mut stream, "who/may").await;
            two.push(stream);
        }
        // The one may be told of the other's change.
        let told_of = |event: &Event| event.data["path"] == "who/may";
        stopped.pause();
        proxy.cut();
        put(&root, "who/else").await;
        let body = json!({ "accessor": told["accessor"] });
        assert_eq!(root.post("auth/token/revoke", body).await.0, 204);
        put(&root, "who/else").await;
        tokio::time::sleep(Duration::from_millis(if round % 2 == 0 { 50 } else { 1500 })).await;
        stopped.resume();
        proxy.heal();
        for stream in &mut two {
            let rest = stream.rest(Duration::from_secs(10)).await;
            let rest: Vec<&Event> = rest.iter().filter(|event| !told_of(event)).collect();
            let lasts = rest
                .iter()
                .all(|event| matches!(event.name.as_str(), "expired" | "lagged"));
            assert!(rest.len() == 1 && lasts, "round {round}: {rest:?}");
        }
        for there in [&stopped, &cut_off] {
            let again = Stream::ask(&token.at(there), "", None).await.unwrap().status();
            assert!(again == 401 || again == 503, "{again}");
        }
        // Until it reaches the database again.
        while root.at(&cut_off).get("auth/whoami").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn an_expired_token_ends_it_and_a_renewed_one_does_not(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[ALONE]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let began = Instant::now();
    let (expires, _) = made(&root, json!({ "policies": ["p"], "ttl": 3 })).await;
    let (renewed, _) = made(&root, json!({ "policies": ["p"], "ttl": 3, "max_ttl": 60 })).await;
    let mut streams = Vec::new();
    for token in [&expires, &renewed] {
        let mut stream = Stream::open(token, "").await;
        stream.start().await;
        streams.push(stream);
    }
    let renew = async || assert_eq!(renewed.post("auth/token/renew", json!({})).await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    renew().await;
    let rest = streams[0].rest(Duration::from_millis(3500)).await;
    assert!(began.elapsed() >= Duration::from_millis(2900), "not before");
    assert_eq!(
        rest.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(),
        ["expired"]
    );
    renew().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    put(&root, "who/may").await;
    streams[1].change("who/may").await;
    // A login's token cannot be renewed, and ends at its time.
    let role = json!({ "policies": ["p"], "access_token_ttl": 3 });
    assert_eq!(root.put("roles/short", role).await.0, 200);
    let client = root.post("clients", json!({ "name": "c", "role": "short" })).await.1;
    let login = json!({ "client_id": client["client_id"], "client_secret": client["client_secret"] });
    let access = root.post("auth/client/login", login).await.1;
    let mut stream = Stream::open(&root.with_token(access["access_token"].as_str().unwrap()), "").await;
    stream.start().await;
    let rest = stream.rest(Duration::from_millis(4500)).await;
    assert_eq!(
        rest.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(),
        ["expired"]
    );
}

async fn a_namespace_that_is_deleted_ends_it(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[ALONE]);
    let root = Api::new(&server, store.root_token());
    assert_eq!(root.put("namespaces/team", Value::Null).await.0, 200);
    let token = root.call("POST", "namespaces/team/token", None).await.unwrap().1;
    let team = root.with_token(token["token"].as_str().unwrap());
    let mut stream = Stream::open(&team, "").await;
    stream.start().await;
    settle(&team, &mut stream, "a").await;
    assert_eq!(root.delete("namespaces/team").await.0, 204);
    all_end("the namespace", std::slice::from_mut(&mut stream), Instant::now()).await;
}

on_both_stores!(
    an_expired_token_ends_it_and_a_renewed_one_does_not,
    a_namespace_that_is_deleted_ends_it,
);
