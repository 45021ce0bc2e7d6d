//! What may be used once is used once, however many try at the same moment.

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use strongroom_testkit::scale;

use super::{code_now, made, prepare, status};
use crate::harness::{Api, On, Store};
use crate::operators::PASSWORD;

pub(crate) const AT_ONCE: usize = 64;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rounds"
)]
pub(crate) fn rounds() -> usize {
    (5.0 * scale()).ceil() as usize
}

/// Of many uses of what is good once: how many were served, refused, and told to try again for want of time.
pub(crate) fn one_won(round: usize, [won, lost, busy]: [usize; 3], of: usize) {
    assert_eq!(won + lost + busy, of, "{round}: another answer");
    assert!(
        won == 1 || won == 0 && busy > 0,
        "{round}: {won} won, {lost} lost, {busy} were busy"
    );
    assert!(lost > 0 || busy > 0, "{round}");
}

/// 64 requests with one token that has few uses: exactly so many are served, on any of the nodes.
async fn counted_tokens(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let second = matches!(on, On::Postgres).then(|| store.node("second", &[]));
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let mut refused = 0;
    for round in 0..rounds() {
        let uses = if round % 2 == 0 { 1 } else { 3 };
        let (token, _) = made(&root, json!({ "policies": ["p"], "uses": uses })).await;
        let there = second.as_ref().map(|node| Api {
            address: node.address(),
            ..token.clone()
        });
        let nodes = [Some(token), there].into_iter().flatten().collect::<Vec<_>>();
        let asked = (0..AT_ONCE).map(|at| status(&nodes[at % nodes.len()]));
        let answers = join_all(asked).await;
        let served = answers.iter().filter(|status| **status == 200).count();
        // Busy is no use; but it may have been, and then nobody else has had it.
        let unsure = answers.iter().filter(|status| **status == 503).count();
        assert!(served <= uses && served + unsure >= uses, "round {round}: {answers:?}");
        assert!(
            answers.iter().all(|status| matches!(status, 200 | 401 | 503)),
            "{answers:?}"
        );
        refused += answers.iter().filter(|status| **status == 401).count();
        let mut left = 0;
        for _ in 0..uses {
            left += usize::from(status(&nodes[0]).await == 200);
        }
        assert!(
            served + left <= uses,
            "round {round}: {served} and then {left} of {uses}"
        );
    }
    println!("{on:?}: {} rounds of {AT_ONCE} at once, {refused} refused", rounds());
    server.terminate();
}

async fn log_in_once(root: &Api, name: &str, code: Option<&str>) -> u16 {
    let body = json!({ "username": name, "password": PASSWORD, "totp": code });
    root.post("auth/password/login", body).await.0
}

/// Tried again where too many passwords wait.
async fn log_in(root: &Api, name: &str, code: Option<&str>) -> u16 {
    loop {
        match log_in_once(root, name, code).await {
            503 => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            status => return status,
        }
    }
}

/// Operators whose next codes are waited for at one time.
const TOGETHER: usize = 16;

/// A new operator that confirmed a code: its secret, and that code.
async fn confirmed(root: &Api, name: &str) -> (String, String) {
    root.operator(name, json!({})).await;
    let ada = root.as_operator(name, PASSWORD).await;
    let (own, confirm) = ("auth/password/totp", "auth/password/totp/confirm");
    let another = json!({ "current_password": "another horse, another" });
    assert_eq!(ada.post(own, another).await.0, 403);
    let early = ada.post(confirm, json!({ "code": "123456" })).await;
    assert_eq!(early.0, 409, "there is nothing to confirm");
    let (status, new) = ada.post(own, json!({ "current_password": PASSWORD })).await;
    assert_eq!(status, 201, "{new}");
    assert_eq!(log_in(root, name, None).await, 200, "until it is confirmed");
    let secret = new["secret"].as_str().unwrap();
    assert!(new["uri"].as_str().unwrap().contains(secret));
    assert_eq!(ada.post(confirm, json!({ "code": "000000" })).await.0, 403);
    let first = code_now(secret);
    assert_eq!(ada.post(confirm, json!({ "code": first })).await.0, 204);
    (secret.to_owned(), first)
}

/// The next code of an operator is used 64 times at once; with the password alone nobody comes in.
async fn next_code_is_used_once(nodes: &[Api], name: &str, secret: &str, first: &str) {
    let root = &nodes[0];
    assert_eq!(root.get(&format!("operators/{name}")).await.1["totp"], json!(true));
    for code in [None, Some("000000"), Some(first), Some(""), Some(" 123456")] {
        assert_eq!(log_in(root, name, code).await, 401, "{code:?}");
    }
    let mut next = code_now(secret);
    while next == first {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        next = code_now(secret);
    }
    let asked = (0..AT_ONCE).map(|at| log_in_once(&nodes[at % nodes.len()], name, Some(&next)));
    let answers = join_all(asked).await;
    let served = answers.iter().filter(|status| **status == 200).count();
    // Busy is no use; but it may have been, and then nobody else has had it.
    let unsure = answers.iter().filter(|status| **status == 503).count();
    assert!(served <= 1 && served + unsure >= 1, "{answers:?}");
    let again = log_in(root, name, Some(&next)).await;
    assert!(again == 401 || served == 0, "{answers:?}, then {again}");
    assert_eq!(root.delete(&format!("operators/{name}/totp")).await.0, 204);
    assert_eq!(log_in(root, name, None).await, 200);
}

/// A code is good once, also for 64 logins at the same moment on two nodes.
async fn one_time_codes(on: On) {
    let store = Store::fresh(on);
    let mut server = store.dev(&[]);
    let second = matches!(on, On::Postgres).then(|| store.node("second", &[]));
    let mut root = Api::new(&server, store.root_token());
    let (secret, first) = confirmed(&root, "ada").await;
    if on == On::Sqlite {
        // What is asked for does not depend on what a process remembers.
        server.kill9();
        server = store.dev(&[]);
        root = Api::new(&server, store.root_token());
    }
    let there = second.as_ref().map(|node| root.at(node));
    let nodes: Vec<Api> = [Some(root), there].into_iter().flatten().collect();
    next_code_is_used_once(&nodes, "ada", &secret, &first).await;
    let nodes = &nodes;
    let rest = stream::iter(1..rounds().div_ceil(2)).map(|round| async move {
        let name = format!("ada-{round}");
        let (secret, first) = confirmed(&nodes[0], &name).await;
        next_code_is_used_once(nodes, &name, &secret, &first).await;
    });
    rest.buffer_unordered(TOGETHER).collect::<()>().await;
    println!("{on:?}: {} rounds of {AT_ONCE} at once", rounds().div_ceil(2));
    server.terminate();
}

on_both_stores! { counted_tokens, one_time_codes }
