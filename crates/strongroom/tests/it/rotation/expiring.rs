//! Secrets whose end is near.

use std::time::Duration;

use serde_json::json;
use strongroom_domain::Time;

use super::webhooks::hooked;
use super::{HOME, Stage, stage};
use crate::harness::{Api, On};

const DAY: Duration = Duration::from_hours(24);

async fn an_end_is_told_once_whoever_dies(on: On) {
    let (stage, seen) = hooked(on, json!(["secret.expiring"])).await;
    let Stage { store, server, root } = stage;
    root.written("metadata/app/short", json!({ "delete_after": 5 })).await;
    assert_eq!(root.put("secrets/app/short", json!({ "value": "a" })).await.0, 201);
    assert_eq!(root.put("secrets/app/lasting", json!({ "value": "a" })).await.0, 201);
    server.kill9();
    let server = store.dev(&[HOME]);
    let messages = seen.until(|messages| !messages.is_empty()).await;
    let (_, told) = &messages[0];
    assert_eq!(told["type"], "secret.expiring");
    let data = &told["data"];
    assert_eq!((&data["about"], &data["version"]), (&json!("app/short"), &json!(1)));
    let (_, history) = root.at(&server).get("versions/app/short").await;
    assert_eq!(data["due"], history["versions"][0]["delete_at"], "{history}");
    assert!(data["reason"].as_str().unwrap().contains("deleted"), "{told}");
    server.kill9();
    let server = store.dev(&[HOME]);
    let root = Api::new(&server, store.root_token());
    // The next version has an end of its own; nobody is told of the first again, not even when it has come.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(root.get("secrets/app/short").await.0, 404);
    assert_eq!(root.put("secrets/app/short", json!({ "value": "b" })).await.0, 201);
    let messages = seen.until(|messages| messages.len() > 1).await;
    let versions: Vec<_> = messages.iter().map(|(_, told)| &told["data"]["version"]).collect();
    assert_eq!(versions, [&json!(1), &json!(2)]);
    let (_, audit) = root.get("audit?path=app/short&action=secret.expiring").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
}

async fn when_one_is_due_by_its_type_is_shown(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    root.written("metadata/app/password", json!({ "type": "password" }))
        .await;
    let (_, none) = root.get("metadata/app/password").await;
    assert!(none.get("due_at").is_none(), "there is nothing that ages: {none}");
    for path in ["app/password", "app/other"] {
        assert_eq!(
            root.put(&format!("secrets/{path}"), json!({ "value": "a" })).await.0,
            201
        );
    }
    let (_, history) = root.get("versions/app/password").await;
    let written = Time::parse(history["versions"][0]["created_at"].as_str().unwrap()).unwrap();
    let due = json!((written + 90 * DAY).to_string());
    let (_, password) = root.get("metadata/app/password").await;
    assert_eq!(password["due_at"], due, "{password}");
    let (_, patched) = root
        .call("PATCH", "metadata/app/password", Some(json!({ "owner": "me" })))
        .await
        .unwrap();
    assert_eq!(patched["due_at"], due, "{patched}");
    let (_, other) = root.get("metadata/app/other").await;
    assert!(other.get("due_at").is_none(), "of its type none is: {other}");
    root.written("rotation/app/password", json!({ "rotator": "generate" }))
        .await;
    let (_, rotated) = root.get("metadata/app/password").await;
    assert!(rotated.get("due_at").is_none(), "its rotation says when: {rotated}");
    assert_eq!(root.delete("rotation/app/password").await.0, 204);
    assert_eq!(root.get("metadata/app/password").await.1["due_at"], due);
}

on_both_stores!(an_end_is_told_once_whoever_dies, when_one_is_due_by_its_type_is_shown);
