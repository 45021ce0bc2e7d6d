//! Notices that nobody takes: they are given up, kept, and sent again or forgotten by whoever may.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::webhooks::{KEY, Seen};
use super::{HOME, stage};
use crate::harness::{Api, On, run};

const SECRETS: [&str; 3] = ["app/one", "app/two", "app/three"];

async fn letters(api: &Api) -> Vec<Value> {
    let (status, page) = api.get("dead-letters").await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

pub(super) async fn letters_of(api: &Api, count: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let letters = letters(api).await;
        if letters.len() == count {
            return letters;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{letters:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn tell(api: &Api, letter: &Value, action: &str) -> (u16, Value) {
    let path = format!("dead-letters/{}", letter["id"].as_str().unwrap());
    api.post(&path, json!({ "action": action })).await
}

async fn entries(root: &Api, action: &str) -> usize {
    let (_, page) = root.get(&format!("audit?action={action}&limit=100")).await;
    page["items"].as_array().unwrap().len()
}

async fn what_nobody_takes_is_kept_and_sent_again(on: On) {
    let stage = stage(on).await;
    let (url, seen) = Seen::start().await;
    let root = &stage.root;
    assert_eq!(root.put("secrets/infra/hook", json!({ "value": KEY })).await.0, 201);
    let target = json!({
        "engine": "webhook", "address": url, "credential": "infra/hook", "events": ["rotation.succeeded"],
        "retry_for": "4s",
    });
    root.written("targets/hook", target).await;
    seen.answer(500);
    for path in SECRETS {
        let policy = json!({ "rotator": "generate", "interval": "1h" });
        root.written(&format!("rotation/{path}"), policy).await;
        assert_eq!(root.told(path, "rotate").await.0, 200);
    }
    let dead = letters_of(root, SECRETS.len()).await;
    let ids: BTreeSet<String> = seen.messages().into_iter().map(|(id, _)| id).collect();
    for letter in &dead {
        assert!(ids.contains(letter["id"].as_str().unwrap()), "{letter}");
        assert_eq!((&letter["target"], &letter["version"]), (&json!("hook"), &json!(1)));
        assert_eq!(letter["type"], "rotation.succeeded");
        assert_eq!(letter["failure"], "the webhook answered 500");
        assert!(letter["tries"].as_i64() >= Some(2), "{letter}");
    }
    let about: BTreeSet<_> = dead.iter().map(|letter| letter["about"].as_str().unwrap()).collect();
    assert_eq!(about, BTreeSet::from(SECRETS));
    let text = json!(dead).to_string();
    for path in SECRETS {
        assert!(!text.contains(root.value(path).await.as_str().unwrap()));
    }

    // They are whoever's who may read the target, and who may change it says what becomes of them.
    let who = async |name: &str, path: &str, capability: &str| {
        let rules = json!([{ "path": path, "capabilities": [capability] }]);
        root.with_token(root.workload(name, rules).await)
    };
    let (reader, other) = (
        who("reads", "target/hook", "read").await,
        who("other", "target/x", "update").await,
    );
    assert_eq!(letters(&reader).await.len(), dead.len());
    assert_eq!(tell(&reader, &dead[0], "discard").await.0, 403);
    assert_eq!(other.get("dead-letters").await.0, 403);
    let nobody = Api {
        token: None,
        ..root.clone()
    };
    assert_eq!(nobody.get("dead-letters").await.0, 401);
    assert_eq!(tell(&nobody, &dead[0], "discard").await.0, 401);
    let nobodys = json!({ "id": "1".repeat(32) });
    let (refused, unknown) = (
        tell(&other, &dead[0], "retry").await,
        tell(&other, &nobodys, "retry").await,
    );
    assert_eq!((refused.0, unknown.0), (403, 403));
    assert_eq!(refused.1["detail"], unknown.1["detail"], "nor whether there is one");
    assert_eq!(tell(root, &nobodys, "retry").await.0, 404);
    assert_eq!(tell(root, &dead[0], "revive").await.0, 400);

    // They outlive whoever kept them.
    stage.server.kill9();
    let server = stage.store.dev(&[HOME]);
    let root = &root.at(&server);
    assert_eq!(letters(root).await, dead);
    root.gauge_is("strongroom_dead_letters", dead.len().try_into().unwrap())
        .await;

    // Still not taken: it is tried again as any, under its id.
    let before = seen.messages().len();
    let (status, waits) = tell(root, &dead[0], "retry").await;
    assert_eq!(
        (status, &waits["failure"]),
        (202, &json!("the webhook answered 500")),
        "{waits}"
    );
    assert!(waits["next_at"].is_string(), "{waits}");
    assert_eq!(letters(root).await, dead[1..]);
    seen.answer(0);
    let messages = seen.until(|messages| messages.len() > before + 1).await;
    let again = &messages[before..];
    assert!(again.iter().all(|(id, _)| *id == dead[0]["id"]), "{again:?}");
    let (_, first) = messages.iter().find(|(id, _)| *id == dead[0]["id"]).unwrap();
    assert_eq!((&again[0].1, &again[1].1), (first, first), "the same is told");

    // Taken at once, by the command line.
    let before = seen.messages().len();
    let id = dead[1]["id"].as_str().unwrap();
    let token = root.token.as_deref().unwrap();
    let environment = [("STRONGROOM_ADDR", root.address.as_str()), ("STRONGROOM_TOKEN", token)];
    let (code, stdout, stderr) = run(&["dead-letter", "list"], &environment, b"");
    assert!(code == 0 && String::from_utf8(stdout).unwrap().contains(id), "{stderr}");
    let (code, _, stderr) = run(&["dead-letter", "retry", id], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        seen.messages()[before..],
        [(id.to_owned(), seen.messages()[before].1.clone())]
    );
    assert_eq!(tell(root, &dead[1], "retry").await.0, 404, "it is dead no more");

    assert_eq!(root.delete("targets/hook").await.0, 204);
    assert_eq!(tell(root, &dead[2], "retry").await.0, 409, "nobody can take it");
    assert_eq!(letters(root).await, dead[2..]);
    assert_eq!(tell(root, &dead[2], "discard").await.0, 204);
    assert_eq!(tell(root, &dead[2], "discard").await.0, 404);
    assert_eq!(letters(root).await, Vec::<Value>::new());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seen.messages().len(), before + 1, "what is forgotten is not sent");
    for (action, count) in [("notice.end", 3), ("dead_letter.retry", 2), ("dead_letter.discard", 1)] {
        assert!(entries(root, action).await >= count, "{action}");
    }
}

on_both_stores!(what_nobody_takes_is_kept_and_sent_again);
