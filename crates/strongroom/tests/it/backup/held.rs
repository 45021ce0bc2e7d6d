//! What an installation does at systems outside once it was restored.

use std::time::Duration;

use serde_json::{Value, json};

use super::{backup, empty_beside, recover, restored};
use crate::harness::{Api, On, run};
use crate::operator::Installation;
use crate::operator::doctor::says;

async fn rotate(root: &Api) -> (u16, Value) {
    root.post("rotation/app/key", json!({ "action": "rotate" })).await
}

async fn taken(root: &Api, action: &str) -> usize {
    let (_, page) = root.get(&format!("audit?action={action}&limit=1000")).await;
    page["items"].as_array().unwrap().len()
}

async fn held(root: &Api) -> bool {
    let metrics = root.http.get(format!("{}/metrics", root.address)).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    metrics.contains("\nstrongroom_outside_held 1\n")
}

/// What an operator sees of it, who is told nothing.
async fn is_told(copy: &Installation, root: &Api, held: bool) {
    let (state, said): (_, &[&str]) = if held {
        ("warning", &["Since a restore"])
    } else {
        ("ok", &[])
    };
    says(copy, "outside", 0, state, said);
    let ready = root.http.get(format!("{}/ready", root.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200, "it serves");
    let ready: Value = ready.json().await.unwrap();
    let warned = ready["warnings"].to_string().contains("lift-hold");
    assert_eq!((warned, ready["warnings"].is_null()), (held, !held), "{ready}");
    let environment = [("STRONGROOM_ADDR", root.address.as_str())];
    let (code, stdout, stderr) = run(&["health"], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(String::from_utf8(stdout).unwrap().contains("lift-hold"), held);
}

async fn a_restored_copy_leaves_alone_what_is_outside_until_it_is_told(on: On) {
    let first = Installation::initialised(on);
    let server = first.serve();
    let root = first.root(&server);
    let key = json!({ "value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
    assert_eq!(root.put("secrets/infra/hook", key).await.0, 201);
    // Nobody answers there: its notice waits to be sent again.
    let hook = json!({
        "engine": "webhook", "address": "https://10.255.255.1/hook", "credential": "infra/hook",
        "events": ["rotation.succeeded"],
    });
    assert_eq!(root.put("targets/hook", hook).await.0, 200);
    let policy = json!({ "rotator": "generate", "interval": "1s" });
    assert_eq!(root.put("rotation/app/key", policy).await.0, 200);
    assert_eq!(rotate(&root).await.0, 200);
    assert!(!held(&root).await);
    let file = backup(&first, "of-both");
    server.terminate();

    let copy = empty_beside(on, &first);
    assert!(restored(&copy, &file).contains("lift-hold"));
    let token = recover(&copy);
    says(&copy, "outside", 0, "warning", &["Since a restore at 20", "lift-hold"]);
    let server = copy.serve();
    let root = Api::new(&server, token);
    let before = (taken(&root, "rotation.take").await, taken(&root, "notice.take").await);
    tokio::time::sleep(Duration::from_secs(7)).await;
    let after = (taken(&root, "rotation.take").await, taken(&root, "notice.take").await);
    assert_eq!(before, after, "its time has come, and nothing is done");
    let (status, refused) = rotate(&root).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("lift-hold"), "{refused}");
    assert!(held(&root).await);
    is_told(&copy, &root, true).await;
    assert!(server.log_text().contains("lift-hold"));

    let again = backup(&copy, "held");
    assert_ne!(copy.run(&["operator", "lift-hold"]).0, 0, "no reason");
    copy.done(&["operator", "lift-hold", "--reason", "the first one is gone"]);
    assert_eq!(rotate(&root).await.0, 200);
    assert!(!held(&root).await);
    is_told(&copy, &root, false).await;
    for _ in 0..200 {
        if taken(&root, "notice.take").await > after.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(taken(&root, "notice.take").await > after.1, "what waited is sent");
    let (_, page) = root.get("audit?action=operator.lift_hold").await;
    assert_eq!(page["items"][0]["path"], "the first one is gone");
    assert_ne!(copy.run(&["operator", "lift-hold", "--reason", "twice"]).0, 0);
    server.terminate();

    // A copy of what is held is held, once.
    let third = empty_beside(on, &first);
    restored(&third, &again);
    let token = recover(&third);
    let server = third.serve();
    assert_eq!(rotate(&Api::new(&server, token)).await.0, 409);
    third.done(&["operator", "lift-hold", "--reason", "a drill"]);
    server.terminate();
}

on_both_stores!(a_restored_copy_leaves_alone_what_is_outside_until_it_is_told);
