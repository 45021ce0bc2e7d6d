//! What is nowhere but here: random values, key pairs, and those that people bring.

use serde_json::json;

use super::stage;
use crate::harness::On;

async fn a_value_is_replaced_again_and_again(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let policy = json!({ "rotator": "generate", "interval": "2s", "recipe": { "length": 40 } });
    root.written("rotation/app/key", policy).await;
    let first = root
        .rotation_until("app/key", |rotation| rotation["version"] == 1)
        .await;
    assert_eq!(first["overdue"], false);
    root.rotation_until("app/key", |rotation| rotation["version"].as_i64() > Some(2))
        .await;
    let (current, before) = (root.value("app/key").await, root.value("app/key?label=previous").await);
    assert!(current != before && current.as_str().unwrap().len() == 40 && before.as_str().unwrap().len() == 40);
    let slower = json!({ "rotator": "generate", "interval": "1h", "recipe": { "bytes": 16 } });
    root.written("rotation/app/key", slower).await;
    let (status, done) = root.told("app/key", "rotate").await;
    assert_eq!(status, 200, "{done}");
    let now = root.value("app/key").await;
    assert_eq!(now.as_str().unwrap().len(), 32);
    let version = done["version"].as_i64().unwrap();
    assert_eq!(root.get("secrets/app/key").await.1["version"], version);
    let (status, back) = root.told("app/key", "rollback").await;
    assert_eq!((status, back["version"].as_i64()), (200, Some(version - 1)));
    assert_ne!(root.value("app/key").await, now);
}

async fn a_node_that_was_away_goes_on(on: On) {
    let stage = stage(on).await;
    let policy = json!({ "rotator": "generate", "interval": "1s" });
    stage.root.written("rotation/app/key", policy).await;
    stage
        .root
        .rotation_until("app/key", |rotation| rotation["version"] == 1)
        .await;
    stage.server.kill9();
    let server = stage.store.dev(&[]);
    let root = stage.root.at(&server);
    let seen = root.get("rotation/app/key").await.1["version"].as_i64().unwrap();
    root.rotation_until("app/key", |rotation| rotation["version"].as_i64() > Some(seen + 1))
        .await;
}

async fn a_paused_one_rests(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let policy = json!({ "rotator": "generate", "interval": "1s" });
    root.written("rotation/app/key", policy).await;
    root.rotation_until("app/key", |rotation| rotation["version"] == 1)
        .await;
    let (status, paused) = root.told("app/key", "pause").await;
    assert_eq!((status, &paused["paused"]), (200, &json!(true)));
    assert_eq!(root.told("app/key", "rotate").await.0, 409);
    // Another of the same pace tells how long that was.
    root.written("rotation/app/other", json!({ "rotator": "generate", "interval": "1s" }))
        .await;
    root.rotation_until("app/other", |rotation| rotation["version"] == 3)
        .await;
    let rests = root.get("rotation/app/key").await.1["version"].clone();
    assert_eq!(rests, paused["version"]);
    assert_eq!(root.told("app/key", "resume").await.0, 200);
    root.rotation_until("app/key", |rotation| rotation["version"] != rests)
        .await;
    assert_eq!(root.delete("rotation/app/key").await.0, 204);
    assert_eq!(root.get("rotation/app/key").await.0, 404);
    root.value("app/key").await;
}

async fn a_key_pair_overlaps(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    root.written(
        "rotation/app/jwk",
        json!({ "rotator": "signing-key", "interval": "30d" }),
    )
    .await;
    assert_eq!(root.told("app/jwk", "rotate").await.0, 200);
    let first = root.value("app/jwk").await;
    assert_eq!(root.told("app/jwk", "rotate").await.0, 200);
    let second = root.value("app/jwk").await;
    assert_eq!(
        first["next"]["kid"], second["private"]["kid"],
        "what is next signs next"
    );
    let published = |keys: &serde_json::Value| -> Vec<String> {
        let keys = keys["jwks"]["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    for key in [&first["private"], &second["private"], &second["next"]] {
        assert!(published(&second).iter().any(|kid| key["kid"] == *kid));
    }
    assert!(
        published(&first).iter().any(|kid| second["private"]["kid"] == *kid),
        "before it signs"
    );
    assert!(
        second["jwks"]["keys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|key| key["d"].is_null())
    );
}

async fn what_stands_in_its_way_is_told(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let policy = json!({ "rotator": "generate", "interval": "1h" });
    root.written("rotation/app/key", policy.clone()).await;
    assert_eq!(
        root.put("metadata/app/key", json!({ "cas_required": true })).await.0,
        200
    );
    for version in 1..=2 {
        let (status, done) = root.told("app/key", "rotate").await;
        assert_eq!((status, &done["version"]), (200, &json!(version)), "{done}");
    }
    let destroyed = json!({ "action": "destroy", "versions": [1] });
    assert_eq!(root.post("versions/app/key", destroyed).await.0, 200);
    assert_eq!(root.told("app/key", "rollback").await.0, 404, "nobody could read it");
    assert_eq!(root.value("app/key").await, root.value("app/key?version=2").await);
    // A secret that is gone is not made again.
    assert_eq!(root.delete("metadata/app/key?purge=true").await.0, 204);
    assert_eq!(root.get("rotation/app/key").await.0, 404);
}

async fn a_person_brings_the_value(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    assert_eq!(root.put("secrets/app/vendor", json!({ "value": "old" })).await.0, 201);
    root.written("rotation/app/vendor", json!({ "rotator": "manual", "interval": "1s" }))
        .await;
    let waits = root
        .rotation_until("app/vendor", |rotation| rotation["run"]["step"] == "await")
        .await;
    assert_eq!(waits["version"], 1);
    let (status, waits) = root.told("app/vendor", "rotate").await;
    assert_eq!((status, &waits["run"]["step"]), (202, &json!("await")), "{waits}");
    let new = json!({ "value": "new", "labels": ["pending"] });
    assert_eq!(root.put("secrets/app/vendor", new).await.0, 201);
    assert_eq!(root.value("app/vendor").await, "old");
    assert_eq!(root.told("app/vendor", "rotate").await.0, 200);
    assert_eq!(root.value("app/vendor").await, "new");
    assert_eq!(root.value("app/vendor?label=previous").await, "old");
}

async fn who_may_is_asked(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    assert_eq!(root.put("secrets/infra/admin", json!({ "data": {} })).await.0, 201);
    let target = json!({ "engine": "postgres", "address": "db.test", "credential": "infra/admin" });
    root.written("targets/db", target.clone()).await;
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h", "users": ["app"] });
    let rules = |capabilities: &[&str], target: &[&str]| {
        json!([
            { "path": "secret/app/*", "capabilities": capabilities },
            { "path": "target/*", "capabilities": target },
        ])
    };
    let asked = [
        ("none", rules(&["read", "list"], &["read"]), [403, 403, 403]),
        ("manager", rules(&["manage"], &["read"]), [403, 403, 403]),
        ("blind", rules(&["manage"], &["rotate", "update"]), [403, 403, 403]),
        (
            "owner",
            rules(&["manage", "read"], &["rotate", "update"]),
            [200, 403, 403],
        ),
        ("rotator", rules(&["rotate"], &["rotate"]), [403, 200, 403]),
    ];
    root.written("rotation/app/db", policy.clone()).await;
    for (name, rules, expected) in asked {
        let token = root.workload(name, rules).await;
        let api = root.with_token(token);
        let got = [
            api.put("rotation/app/db", policy.clone()).await.0,
            api.told("app/db", "pause").await.0,
            // Whoever cannot read the credential does not say where it is shown.
            api.put("targets/db", target.clone()).await.0,
        ];
        assert_eq!(got, expected, "{name}");
        assert_eq!(root.told("app/db", "pause").await.0, 200);
    }
    for wrong in [
        json!({ "rotator": "postgres", "target": "gone", "interval": "1h" }),
        json!({ "rotator": "mysql", "target": "db", "interval": "1h" }),
        json!({ "rotator": "generate" }),
    ] {
        let (status, refused) = root.put("rotation/app/db", wrong).await;
        assert_eq!(
            (status, refused["code"].as_str()),
            (400, Some("invalid_request")),
            "{refused}"
        );
    }
    let typed = json!({ "type": "database" });
    assert_eq!(root.put("metadata/app/typed", typed).await.0, 200);
    let (_, by_type) = root.put("rotation/app/typed", json!({ "rotator": "generate" })).await;
    assert_eq!(by_type["interval"], "90d");
}

async fn all_that_is_due_is_shown_to_whoever_may_list(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    for path in ["a/one", "a/two", "b/one"] {
        root.written(
            &format!("rotation/{path}"),
            json!({ "rotator": "generate", "interval": "12h" }),
        )
        .await;
    }
    let paths = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    };
    let (_, all) = root.get("rotation?to=2100-01-01T00:00:00Z").await;
    assert_eq!(paths(&all), ["a/one", "a/two", "b/one"]);
    assert_eq!(all["items"][0]["planned"].as_array().unwrap().len(), 100);
    let (_, page) = root.get("rotation?limit=2").await;
    assert_eq!(paths(&page), ["a/one", "a/two"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        paths(&root.get(&format!("rotation?cursor={cursor}")).await.1),
        ["b/one"]
    );
    let rules = json!([{ "path": "secret/b/*", "capabilities": ["list"] }]);
    let other = root.with_token(root.workload("other", rules).await);
    assert_eq!(paths(&other.get("rotation").await.1), ["b/one"]);
}

on_both_stores!(
    a_value_is_replaced_again_and_again,
    a_node_that_was_away_goes_on,
    a_paused_one_rests,
    a_key_pair_overlaps,
    what_stands_in_its_way_is_told,
    a_person_brings_the_value,
    who_may_is_asked,
    all_that_is_due_is_shown_to_whoever_may_list,
);
