//! No evaluation by what was there before: on three nodes that nothing tells of changes.

use serde_json::json;
use strongroom_testkit::scale;

use super::{boolean, flag};
use crate::harness::{Api, On, Store};

/// Neither LISTEN nor polling: only the fence tells a node anything.
const ALONE: &[(&str, &str)] = &[("STRONGROOM_CACHE_POLL_MS", "0")];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rounds"
)]
fn rounds() -> usize {
    (50.0 * scale()).ceil() as usize
}

/// A flag is flipped, or a credential ends, on one node; the two others, one of which was stopped meanwhile, are asked.
#[tokio::test(flavor = "multi_thread")]
async fn on_three_nodes() {
    let store = Store::fresh(On::Postgres);
    store.dev(&[]).terminate();
    let nodes = [store.node("a", ALONE), store.node("b", ALONE), store.node("c", ALONE)];
    let root = Api::new(&nodes[0], store.root_token());
    let there = [root.at(&nodes[1]), root.at(&nodes[2])];
    let (mut asked, mut revoked) = (0, 0);
    for round in 0..rounds() {
        let on = round % 2 == 0;
        let definition = boolean(if on { "on" } else { "off" });
        if round % 10 == 0 {
            nodes[2].pause();
        }
        assert_eq!(root.put("flags/shop/prod/flip", flag(definition)).await.0, 200);
        nodes[2].resume();
        for node in &there {
            assert_eq!(node.evaluated("flip").await, on, "round {round}");
            let (_, all) = node.ofrep("shop/prod/ofrep/v1/evaluate/flags", json!({})).await;
            assert_eq!(all["flags"][0]["value"], on, "round {round}");
            asked += 2;
        }
        let (_, made) = root.post("tokens", json!({ "policies": ["admin"] })).await;
        let tokens = there
            .clone()
            .map(|node| node.with_token(made["token"].as_str().unwrap()));
        for node in &tokens {
            assert_eq!(node.evaluated("flip").await, on);
        }
        let accessor = json!({ "accessor": made["accessor"] });
        assert_eq!(root.post("auth/token/revoke", accessor).await.0, 204);
        for node in &tokens {
            let (status, _) = node.ofrep("shop/prod/ofrep/v1/evaluate/flags/flip", json!({})).await;
            assert_eq!(status, 401, "round {round}");
            revoked += 1;
        }
    }
    println!(
        "{} rounds: {asked} evaluations after a flip and {revoked} by a revoked token, 0 by what was before",
        rounds()
    );
}
