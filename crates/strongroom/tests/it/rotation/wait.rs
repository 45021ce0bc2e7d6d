//! Reads that wait for a newer version.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Stage, stage};
use crate::harness::{Api, On};

async fn put(api: &Api, value: &str) {
    assert_eq!(api.put("secrets/app/key", json!({ "value": value })).await.0, 201);
}

async fn a_read_waits_for_what_is_newer(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let waiting = |than: u32, seconds: u32| {
        let root = root.clone();
        tokio::spawn(async move {
            root.get(&format!("secrets/app/key?wait={than}&timeout={seconds}"))
                .await
        })
    };
    let first = waiting(0, 10);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    put(root, "one").await;
    let (status, found) = first.await.unwrap();
    assert_eq!((status, &found["version"]), (200, &json!(1)), "{found}");
    assert_eq!(waiting(0, 10).await.unwrap().0, 200, "what is there is not waited for");
    let began = Instant::now();
    assert_eq!(waiting(1, 1).await.unwrap(), (304, Value::Null));
    assert!(began.elapsed().as_millis() >= 1000);
    let many: Vec<_> = (0..50).map(|_| waiting(1, 10)).collect();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    put(root, "two").await;
    for one in many {
        let (status, found) = one.await.unwrap();
        assert_eq!((status, &found["value"]), (200, &json!("two")));
    }
    let granted = root.get("audit?action=secret.read&path=app/key&limit=1000").await.1;
    let versions: Vec<&Value> = granted["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["version"])
        .collect();
    assert_eq!(versions.len(), 53, "one entry for each answer");
    assert_eq!(versions.iter().filter(|version| ***version == json!(2)).count(), 50);
    let weak = root.with_token(
        root.workload("weak", json!([{ "path": "secret/x", "capabilities": ["read"] }]))
            .await,
    );
    let began = Instant::now();
    assert_eq!(weak.get("secrets/app/key?wait=9&timeout=30").await.0, 403);
    assert!(began.elapsed().as_secs() < 10, "who may not is told at once");
    for wrong in [
        "wait=1&version=1",
        "wait=1&timeout=61",
        "wait=1&timeout=0",
        "timeout=3",
        "wait=x",
    ] {
        assert_eq!(root.get(&format!("secrets/app/key?{wrong}")).await.0, 400, "{wrong}");
    }
}

async fn whoever_loses_the_right_meanwhile_is_told_so(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    put(root, "one").await;
    let token = root
        .workload("waiter", json!([{ "path": "secret/app/*", "capabilities": ["read"] }]))
        .await;
    let reader = root.with_token(token);
    let waits = tokio::spawn(async move { reader.get("secrets/app/key?wait=1&timeout=30").await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let nothing = json!({ "rules": [{ "path": "secret/other", "capabilities": ["read"] }] });
    assert_eq!(root.put("policies/waiter", nothing).await.0, 200);
    put(root, "two").await;
    assert_eq!(waits.await.unwrap().0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_on_one_node_waits_for_what_another_writes() {
    let Stage {
        store,
        server: _first,
        root,
    } = stage(On::Postgres).await;
    let second = store.node("second", &[]);
    put(&root, "one").await;
    let there = root.at(&second);
    let waits = tokio::spawn(async move { there.get("secrets/app/key?wait=1&timeout=30").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waits.is_finished());
    let began = Instant::now();
    put(&root, "two").await;
    let (status, found) = waits.await.unwrap();
    assert_eq!((status, &found["value"]), (200, &json!("two")), "{found}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

on_both_stores!(
    a_read_waits_for_what_is_newer,
    whoever_loses_the_right_meanwhile_is_told_so
);
