//! Revoked means refused: on three nodes, that nothing tells of changes, one that was stopped, and one that is cut off.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_testkit::scale;

use super::{Workload, made, prepare, status};
use crate::harness::{Api, On, Server, Store};
use crate::operators::PASSWORD;

/// Neither LISTEN nor polling: only the fence tells a node anything.
const ALONE: &[(&str, &str)] = &[("STRONGROOM_CACHE_POLL_MS", "0")];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rounds"
)]
fn rounds() -> usize {
    (2.0 * scale()).ceil() as usize
}

fn at(api: &Api, node: &Server) -> Api {
    Api {
        address: node.address(),
        ..api.clone()
    }
}

/// A token that holds, and the change that ends it.
pub(crate) struct Ending {
    pub(crate) token: Api,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Value,
}

pub(crate) const WAYS: &[&str] = &[
    "accessor",
    "parent",
    "jti",
    "principal",
    "client",
    "secret",
    "client itself",
    "password",
    "role",
    "signing key",
];

/// A token that holds now, to be ended in one of the ways.
pub(crate) async fn ending(root: &Api, round: usize, what: &'static str) -> Ending {
    let ending = |token, method, path: &str, body| Ending {
        token,
        method,
        path: path.to_owned(),
        body,
    };
    let revoke = |token, body| ending(token, "POST", "auth/token/revoke", body);
    match what {
        "accessor" => {
            let (token, told) = made(root, json!({ "policies": ["p"] })).await;
            return revoke(token, json!({ "accessor": told["accessor"] }));
        }
        "parent" => {
            let (parent, told) = made(root, json!({ "policies": ["p"] })).await;
            let (child, _) = made(&parent, json!({})).await;
            return revoke(child, json!({ "token": told["token"] }));
        }
        "password" => {
            let name = format!("o{round}");
            root.operator(&name, json!({ "policies": ["p"] })).await;
            let token = root.as_operator(&name, PASSWORD).await;
            let password = format!("operators/{name}/password");
            return ending(token, "PUT", &password, json!({ "password": PASSWORD }));
        }
        _ => {}
    }
    let it = Workload::new(root, &format!("w{round}-{}", what.replace(' ', "-"))).await;
    let client = format!("clients/{}", it.client_id);
    let secret = format!("{client}/secrets/{}", it.secret_id);
    match what {
        "jti" => revoke(it.api, json!({ "accessor": it.accessor })),
        "principal" => revoke(it.api, json!({ "principal": it.principal })),
        "client" => revoke(it.api, json!({ "client_id": it.client_id })),
        "secret" => ending(it.api, "DELETE", &secret, Value::Null),
        "client itself" => ending(it.api, "DELETE", &client, Value::Null),
        "role" => revoke(it.api, json!({ "role": "p" })),
        _ => ending(it.api, "POST", "keys/signing/rotate", json!({ "end_all": true })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_every_node() {
    let store = Store::fresh(On::Postgres);
    let (proxied, proxy) = store.proxy();
    store.dev(&[]).terminate();
    let nodes = [store.node("a", ALONE), store.node("b", ALONE)];
    let cut_off = store.node("c", &[ALONE[0], ("STRONGROOM_DATABASE_URL", &proxied)]);
    let root = Api::new(&nodes[0], store.root_token());
    prepare(&root).await;
    let mut asked = 0;
    for round in 0..rounds() {
        for what in WAYS {
            let ending = ending(&root, round, what).await;
            let everywhere = [&nodes[0], &nodes[1], &cut_off].map(|node| at(&ending.token, node));
            for there in &everywhere {
                assert_eq!(
                    status(there).await,
                    200,
                    "{what}: it holds, and every node has it in its cache"
                );
            }
            // One is stopped, and one reaches no database, when it happens.
            nodes[1].pause();
            proxy.cut();
            let body = Some(ending.body).filter(|body| !body.is_null());
            let (code, answer) = root.call(ending.method, &ending.path, body).await.unwrap();
            assert!(code == 204 || code == 200, "{what}: {code} {answer}");
            nodes[1].resume();
            let at_cut_off = status(&everywhere[2]).await;
            assert!(at_cut_off == 503 || at_cut_off == 401, "{what}: {at_cut_off}");
            for there in &everywhere[..2] {
                assert_eq!(status(there).await, 401, "{what}");
            }
            proxy.heal();
            let mut last = 503;
            for _ in 0..100 {
                last = status(&everywhere[2]).await;
                if last != 503 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(last, 401, "{what}: once it reaches the database again");
            asked += 4;
        }
    }
    println!(
        "{} rounds, {asked} requests after an acknowledged revocation: 0 served",
        rounds()
    );
    let [a, b] = nodes;
    for node in [a, b, cut_off] {
        node.terminate();
    }
}
