//! Where a rotation's values go: to the server that was meant when its policy was written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::webhooks::{KEY, Seen, hooked};
use crate::harness::On;

fn policy() -> Value {
    json!({ "rotator": "webhook", "target": "hook", "interval": "1h" })
}

async fn a_target_that_moved_is_told_nothing(on: On) {
    let (stage, meant) = hooked(on, json!([])).await;
    let root = &stage.root;
    root.written("rotation/app/key", policy()).await;
    assert_eq!(root.told("app/key", "rotate").await.0, 200);
    let (heard, value) = (meant.messages().len(), root.value("app/key").await);
    assert_eq!(root.put("secrets/own/key", json!({ "value": KEY })).await.0, 201);
    let rules = json!([
        { "path": "target/hook", "capabilities": ["create", "update", "delete"] },
        { "path": "secret/own/*", "capabilities": ["read"] },
    ]);
    let mover = root.with_token(root.workload("mover", rules).await);
    let (url, other) = Seen::start().await;
    let elsewhere = json!({ "engine": "webhook", "address": url, "credential": "own/key" });
    for anew in [false, true] {
        if anew {
            assert_eq!(mover.delete("targets/hook").await.0, 204);
        }
        mover.written("targets/hook", elsewhere.clone()).await;
        let (status, stopped) = root.told("app/key", "rotate").await;
        let failure = &stopped["run"]["failure"];
        assert_eq!((status, &failure["permanent"]), (202, &json!(true)), "{stopped}");
        assert!(
            failure["reason"].as_str().unwrap().contains("write it again"),
            "{stopped}"
        );
    }
    assert_eq!((other.messages().len(), meant.messages().len()), (0, heard));
    assert_eq!(root.value("app/key").await, value);
    root.written("rotation/app/key", policy()).await;
    assert_eq!(
        root.told("app/key", "rotate").await.0,
        200,
        "whoever writes it means that"
    );
    let messages = other.messages();
    assert_eq!(messages.last().unwrap().1["pending"], root.value("app/key").await);
}

async fn whoever_cannot_read_it_sends_it_nowhere(on: On) {
    let (stage, seen) = hooked(on, json!([])).await;
    let root = &stage.root;
    assert_eq!(root.put("secrets/app/key", json!({ "value": "x" })).await.0, 201);
    let rules = |more: Value| {
        json!([
            { "path": "secret/app/*", "capabilities": more },
            { "path": "target/hook", "capabilities": ["rotate"] },
        ])
    };
    let blind = root
        .workload("blind", rules(json!(["manage", "rotate", "update", "list"])))
        .await;
    let blind = root.with_token(blind);
    assert_eq!(blind.put("rotation/app/key", policy()).await.0, 403);
    let generated = json!({ "rotator": "generate", "interval": "1h" });
    assert_eq!(blind.put("rotation/app/key", generated).await.0, 200);
    let reads = root
        .workload("reads", rules(json!(["manage", "rotate", "read", "list"])))
        .await;
    assert_eq!(root.with_token(reads).put("rotation/app/key", policy()).await.0, 200);
    assert!(seen.messages().is_empty());
}

/// Whoever takes each id once sets what it is told to.
async fn a_rollback_is_told_under_ids_of_its_own(on: On) {
    let (stage, seen) = hooked(on, json!([])).await;
    let root = &stage.root;
    root.written("rotation/app/key", policy()).await;
    for _ in 0..2 {
        assert_eq!(root.told("app/key", "rotate").await.0, 200);
    }
    let (first, before) = (root.value("app/key?label=previous").await, seen.messages());
    let (status, back) = root.told("app/key", "rollback").await;
    assert_eq!((status, &back["run"]), (200, &Value::Null), "{back}");
    let messages = seen.messages();
    let ids: BTreeSet<&str> = messages.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids.len(), messages.len(), "{ids:?}");
    let set = &messages[before.len()].1;
    assert_eq!((&set["step"], &set["pending"]), (&json!("set"), &first));
    assert_eq!(root.value("app/key").await, first);
}

on_both_stores!(
    a_target_that_moved_is_told_nothing,
    whoever_cannot_read_it_sends_it_nowhere,
    a_rollback_is_told_under_ids_of_its_own,
);
