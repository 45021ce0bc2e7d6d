//! A flood of logins is refused beyond a bound, and takes nothing from who reads.

use serde_json::json;

use super::{PASSWORD, metric};
use crate::harness::{Api, On, Store};

const LOGINS: usize = 400;

async fn a_flood_of_logins_is_bounded(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    root.operator("ada", json!({ "policies": ["reader"] })).await;
    assert_eq!(root.put("secrets/f/s", json!({ "value": "v" })).await.0, 201);
    let ada = root.as_operator("ada", PASSWORD).await;
    let flood: Vec<_> = (0..LOGINS)
        .map(|number| {
            let root = root.clone();
            let name = if number % 2 == 0 { "ada" } else { "nobody" };
            tokio::spawn(async move { root.log_in(name, "another password").await.0 })
        })
        .collect();
    let mut reads = 0;
    while flood.iter().any(|login| !login.is_finished()) {
        let (status, answer) = ada.get("secrets/f/s").await;
        assert_eq!(status, 200, "{answer}");
        reads += 1;
    }
    let (mut refused, mut overloaded) = (0, 0);
    for login in flood {
        match login.await.unwrap() {
            401 => refused += 1,
            503 => overloaded += 1,
            other => panic!("{other}"),
        }
    }
    println!(
        "{on:?}: of {LOGINS} logins {refused} were tried and {overloaded} refused untried; {reads} reads meanwhile"
    );
    assert!(reads > 0 && refused > 0 && overloaded > 0);
    assert_eq!(
        metric(&root, r#"strongroom_logins_total{outcome="overloaded"}"#).await,
        overloaded
    );
    assert_eq!(root.log_in("ada", PASSWORD).await.0, 200, "afterwards all is as before");
    server.terminate();
}

on_both_stores!(a_flood_of_logins_is_bounded);
