//! What may be used once is used once, however many try at the same moment.

use futures_util::future::join_all;
use serde_json::json;
use strongroom_testkit::scale;

use super::{made, prepare, status};
use crate::harness::{Api, On, Store};

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

on_both_stores! { counted_tokens }
