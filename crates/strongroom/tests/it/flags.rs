//! Feature flags: written, evaluated by OFREP, and never by what was there before.

mod browsers;
mod counts;
mod fence;
mod ofrep;
mod sets;

use serde_json::{Value, json};

use crate::harness::{Api, On, Server, Store};

pub(crate) struct Stage {
    /// Dropped after the server on it.
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) root: Api,
}

pub(crate) fn stage(on: On) -> Stage {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    Stage { server, store, root }
}

/// A boolean flag that is what its default variant says.
pub(crate) fn boolean(default: &str) -> Value {
    json!({ "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": default })
}

pub(crate) fn flag(definition: Value) -> Value {
    Value::Object([("definition".to_owned(), definition)].into_iter().collect())
}

impl Api {
    /// `path` behind `/flags/`: the status, and JSON.
    pub(crate) async fn ofrep(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}/flags/{path}", self.address));
        let token = self.token.clone().unwrap_or_default();
        let answer = request.bearer_auth(token).body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// What a flag of shop/prod gives without a context.
    pub(crate) async fn evaluated(&self, key: &str) -> Value {
        let path = format!("shop/prod/ofrep/v1/evaluate/flags/{key}");
        let (status, answer) = self.ofrep(&path, json!({})).await;
        assert_eq!(status, 200, "{answer}");
        answer["value"].clone()
    }
}

async fn it_has_versions(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    let at = "flags/shop/prod/new-checkout";
    let first = json!({
        "definition": boolean("off"), "description": "The new checkout.", "owner": "shop", "kind": "experiment",
        "tags": { "team": "shop" }, "expires_at": "2027-01-01T00:00:00Z", "cas": 0,
    });
    let (status, written) = root.put(at, first.clone()).await;
    assert_eq!(
        (status, &written["version"], &written["kind"]),
        (200, &json!(1), &json!("experiment"))
    );
    assert_eq!(root.put(at, first).await.0, 409, "there is one already");
    let (status, again) = root.put(at, json!({ "definition": boolean("on"), "cas": 1 })).await;
    assert_eq!(
        (status, &again["version"], &again["kind"]),
        (200, &json!(2), &json!("release"))
    );
    let (status, same) = root.put(at, json!({ "definition": boolean("on") })).await;
    assert_eq!((status, &same), (200, &again), "the same is no other version");
    assert_eq!(root.get(at).await, (200, again.clone()));
    let (status, back) = root
        .post(
            "flag-versions/shop/prod/new-checkout",
            json!({ "action": "rollback", "version": 1 }),
        )
        .await;
    assert_eq!(
        (status, &back["version"], &back["owner"]),
        (200, &json!(3), &json!("shop"))
    );
    assert_eq!(root.evaluated("new-checkout").await, false);
    let (_, history) = root.get("flag-versions/shop/prod/new-checkout").await;
    let versions: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["version"].clone())
        .collect();
    assert_eq!(versions, [3, 2, 1]);
    let never = json!({ "action": "rollback", "version": 9 });
    assert_eq!(root.post("flag-versions/shop/prod/new-checkout", never).await.0, 404);
    assert_eq!(root.delete(at).await.0, 204);
    for path in [at, "flag-versions/shop/prod/new-checkout"] {
        assert_eq!(root.get(path).await.0, 404, "{path}");
    }
    let (_, anew) = root.put(at, json!({ "definition": boolean("on"), "cas": 0 })).await;
    assert_eq!(anew["version"], 1);
}

async fn its_history_is_bounded(on: On) {
    let stage = stage(on);
    for at in 1..=103 {
        let metadata = json!({ "at": at });
        let mut definition = boolean("on");
        definition["metadata"] = metadata;
        let (status, written) = stage.root.put("flags/shop/prod/busy", flag(definition)).await;
        assert_eq!((status, &written["version"]), (200, &json!(at)));
    }
    let (_, history) = stage.root.get("flag-versions/shop/prod/busy").await;
    let items = history["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["version"], &items[99]["version"]),
        (100, &json!(103), &json!(4))
    );
    assert_eq!(items[99]["definition"]["metadata"]["at"], 4);
    assert_eq!(stage.root.delete("flags/shop/prod/busy").await.0, 204);
    let (_, anew) = stage.root.put("flags/shop/prod/busy", flag(boolean("on"))).await;
    assert_eq!(anew["version"], 1);
    let (_, history) = stage.root.get("flag-versions/shop/prod/busy").await;
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
}

async fn a_mistake_is_told_with_its_place(on: On) {
    let stage = stage(on);
    let wrong = [
        (json!({ "state": "ON", "variants": { "on": true } }), "/state"),
        (json!({ "state": "ENABLED", "variants": {} }), "/variants"),
        (
            json!({ "state": "ENABLED", "variants": { "on": true, "off": "no" } }),
            "/variants/on",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "on": true }, "defaultVariant": "off" }),
            "/defaultVariant",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "on": true }, "targeting": { "if": [{ "nope": [1] }, "on"] } }),
            "/targeting/if/0/nope",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "on": true }, "colour": "red" }),
            "/colour",
        ),
    ];
    for (definition, place) in wrong {
        let (status, answer) = stage.root.put("flags/shop/prod/x", flag(definition)).await;
        let detail = answer["detail"].as_str().unwrap();
        assert_eq!((status, detail.contains(place)), (400, true), "{detail}");
    }
    let long = "x".repeat(3000);
    for body in [
        json!({ "definition": boolean("on"), "description": long }),
        json!({ "definition": boolean("on"), "kind": "toy" }),
        json!({ "definition": boolean("on"), "bucketing_version": 3 }),
        json!({ "definition": boolean("on"), "surprise": 1 }),
        json!({}),
    ] {
        assert_eq!(stage.root.put("flags/shop/prod/x", body.clone()).await.0, 400, "{body}");
    }
    for key in ["-x", "a%20b", "%00", ".x", "a%2Fb"] {
        let (status, _) = stage
            .root
            .put(&format!("flags/shop/prod/{key}"), flag(boolean("on")))
            .await;
        assert_eq!(status, 400, "{key}");
    }
    assert_eq!(
        stage.root.get("flags/shop/prod/x").await.0,
        404,
        "nothing of it was written"
    );
}

async fn who_may_what(on: On) {
    let stage = stage(on);
    for key in [
        "flags/shop/prod/open",
        "flags/shop/prod/secretive",
        "flags/shop/test/open",
        "flags/other/prod/open",
    ] {
        assert_eq!(stage.root.put(key, flag(boolean("on"))).await.0, 200);
    }
    let rules = json!([
        { "path": "flag/shop/prod/*", "capabilities": ["read", "list"] },
        { "path": "flag/shop/prod/secretive", "capabilities": ["deny"] },
    ]);
    let reader = stage.root.with_token(stage.root.workload("shop-reader", rules).await);
    let (_, page) = reader.get("flags/shop/prod").await;
    let keys: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["key"].clone())
        .collect();
    assert_eq!(keys, ["open"]);
    let (_, sets) = reader.get("flag-sets").await;
    assert_eq!(sets["items"].as_array().unwrap().len(), 1, "{sets}");
    let refused = [
        ("GET", "flags/shop/prod/secretive", None),
        ("GET", "flag-versions/shop/prod/secretive", None),
        ("GET", "flags/shop/test", None),
        ("GET", "flags/other/prod/open", None),
        ("GET", "flag-sets/shop/test/flagd.json", None),
        ("PUT", "flags/shop/prod/open", Some(flag(boolean("off")))),
        ("DELETE", "flags/shop/prod/open", None),
        (
            "POST",
            "flag-versions/shop/prod/open",
            Some(json!({ "action": "rollback", "version": 1 })),
        ),
        (
            "PUT",
            "flag-sets/shop/prod/evaluators",
            Some(json!({ "evaluators": {} })),
        ),
        (
            "PUT",
            "flag-sets/shop/prod/flagd.json",
            Some(json!({ "flags": { "open": boolean("off") } })),
        ),
        (
            "POST",
            "flag-sets/shop/prod/copy",
            Some(json!({ "from": { "project": "shop", "environment": "prod" }, "overwrite": true })),
        ),
    ];
    for (method, path, body) in refused {
        let (status, answer) = reader.call(method, path, body).await.unwrap();
        // Copying a flag over itself changes nothing, and is denied all the same.
        assert_eq!(status, 403, "{method} {path} {answer}");
        assert!(answer["denial_id"].is_string(), "{answer}");
    }
    let (_, document) = reader.get("flag-sets/shop/prod/flagd.json").await;
    assert_eq!(document["flags"], json!({ "open": boolean("on") }));
    let bulk = "shop/prod/ofrep/v1/evaluate/flags";
    let (status, all) = reader.ofrep(bulk, json!({})).await;
    assert_eq!((status, all["flags"].as_array().unwrap().len()), (200, 1));
    assert_eq!(reader.ofrep(&format!("{bulk}/secretive"), json!({})).await.0, 403);
    assert_eq!(
        reader.ofrep("shop/test/ofrep/v1/evaluate/flags", json!({})).await.0,
        403
    );
    assert_eq!(stage.root.with_token("srs_nobody").ofrep(bulk, json!({})).await.0, 401);
    assert_eq!(stage.store.on, on);
    assert!(stage.server.terminate().success());
}

on_both_stores!(
    it_has_versions,
    its_history_is_bounded,
    a_mistake_is_told_with_its_place,
    who_may_what
);
