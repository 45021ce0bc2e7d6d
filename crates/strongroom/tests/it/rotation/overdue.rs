//! Rotations that do not keep their time: whoever watches sees it, and whoever asked for it is told once.

use std::time::Duration;

use serde_json::json;

use super::HOME;
use super::webhooks::hooked;
use crate::harness::On;

const OVERDUE: &str = "strongroom_rotations{state=\"overdue\"}";

async fn a_value_that_nobody_brings_is_told_once_and_seen(on: On) {
    let (mut stage, seen) = hooked(on, json!(["rotation.overdue"])).await;
    let root = &stage.root;
    let policy = json!({ "rotator": "manual", "interval": "2s", "alert_after": "1s" });
    root.written("rotation/app/by-hand", policy).await;
    root.written(
        "rotation/app/on-time",
        json!({ "rotator": "generate", "interval": "1h" }),
    )
    .await;
    let (_, told) = seen.until(|messages| !messages.is_empty()).await.remove(0);
    assert_eq!(
        (&told["type"], &told["data"]["about"]),
        (&json!("rotation.overdue"), &json!("app/by-hand"))
    );
    let planned = root.get("rotation?to=2100-01-01T00:00:00Z").await.1;
    assert!(
        planned["items"][0].get("planned").is_none(),
        "nobody knows when: {planned}"
    );
    // Until it is later than is borne.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stage.server.kill9();
    stage.server = stage.store.dev(&[HOME]);
    let root = &stage.root.at(&stage.server);
    root.gauge_is(OVERDUE, 1).await;
    // It is looked at again, by a node that told nobody.
    let (status, waits) = root.told("app/by-hand", "rotate").await;
    assert_eq!((status, &waits["run"]["step"]), (202, &json!("await")), "{waits}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seen.messages().len(), 1, "{:?}", seen.messages());
    // Once it was done in time, the next delay is told anew.
    let value = json!({ "value": "brought", "labels": ["pending"] });
    assert_eq!(root.put("secrets/app/by-hand", value).await.0, 201);
    assert_eq!(root.told("app/by-hand", "rotate").await.0, 200);
    assert_eq!(root.value("app/by-hand").await, "brought");
    let messages = seen.until(|messages| messages.len() > 1).await;
    assert_ne!(messages[0].0, messages[1].0);
    assert_eq!(messages[1].1["data"]["about"], "app/by-hand");
}

on_both_stores!(a_value_that_nobody_brings_is_told_once_and_seen);
