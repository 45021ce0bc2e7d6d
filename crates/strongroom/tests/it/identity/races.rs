//! What may be used once is used once, however many try at the same moment.

use futures_util::future::join_all;
use serde_json::json;
use strongroom_testkit::scale;

use super::{code_now, made, prepare, status};
use crate::harness::{Api, On, Store};
use crate::operators::PASSWORD;

const AT_ONCE: usize = 64;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rounds"
)]
fn rounds() -> usize {
    (5.0 * scale()).ceil() as usize
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

async fn log_in(root: &Api, name: &str, code: Option<&str>) -> u16 {
    let body = json!({ "username": name, "password": PASSWORD, "totp": code });
    root.post("auth/password/login", body).await.0
}

/// A code is good once, also for 8 logins at the same moment on two nodes; with the password alone nobody comes in.
async fn one_time_codes(on: On) {
    let store = Store::fresh(on);
    let mut server = store.dev(&[]);
    let second = matches!(on, On::Postgres).then(|| store.node("second", &[]));
    let mut root = Api::new(&server, store.root_token());
    for round in 0..rounds().div_ceil(2) {
        let name = format!("ada-{round}");
        root.operator(&name, json!({})).await;
        let ada = root.as_operator(&name, PASSWORD).await;
        let (own, confirm) = ("auth/password/totp", "auth/password/totp/confirm");
        assert_eq!(
            ada.post(own, json!({ "current_password": "another horse, another" }))
                .await
                .0,
            403
        );
        assert_eq!(
            ada.post(confirm, json!({ "code": "123456" })).await.0,
            409,
            "there is nothing to confirm"
        );
        let (status, new) = ada.post(own, json!({ "current_password": PASSWORD })).await;
        assert_eq!(status, 201, "{new}");
        assert_eq!(log_in(&root, &name, None).await, 200, "until it is confirmed");
        let secret = new["secret"].as_str().unwrap();
        assert!(new["uri"].as_str().unwrap().contains(secret));
        assert_eq!(ada.post(confirm, json!({ "code": "000000" })).await.0, 403);
        let first = code_now(secret);
        assert_eq!(ada.post(confirm, json!({ "code": first })).await.0, 204);
        if round == 0 && on == On::Sqlite {
            // What is asked for does not depend on what a process remembers.
            server.kill9();
            server = store.dev(&[]);
            root = Api::new(&server, store.root_token());
        }
        assert_eq!(root.get(&format!("operators/{name}")).await.1["totp"], json!(true));
        for code in [None, Some("000000"), Some(first.as_str()), Some(""), Some(" 123456")] {
            assert_eq!(log_in(&root, &name, code).await, 401, "{code:?}");
        }
        let mut next = code_now(secret);
        while next == first {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            next = code_now(secret);
        }
        let there = second.as_ref().map(|node| Api {
            address: node.address(),
            ..root.clone()
        });
        let nodes = [Some(root.clone()), there].into_iter().flatten().collect::<Vec<_>>();
        let asked = (0..8).map(|at| log_in(&nodes[at % nodes.len()], &name, Some(&next)));
        let answers = join_all(asked).await;
        let served = answers.iter().filter(|status| **status == 200).count();
        assert_eq!(served, 1, "{answers:?}");
        assert_eq!(log_in(&root, &name, Some(&next)).await, 401);
        assert_eq!(root.delete(&format!("operators/{name}/totp")).await.0, 204);
        assert_eq!(log_in(&root, &name, None).await, 200);
    }
    server.terminate();
}

on_both_stores! { counted_tokens, one_time_codes }
