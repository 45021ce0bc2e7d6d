//! What concerns a whole set: flagd's document, shared rules, copies.

use serde_json::{Value, json};

use super::{boolean, flag, stage};
use crate::harness::On;

fn staff() -> Value {
    json!({ "ends_with": [{ "var": "email" }, "@example.com"] })
}

fn by_reference() -> Value {
    let mut definition = boolean("off");
    definition["targeting"] = json!({ "if": [{ "$ref": "staff" }, "on", null] });
    definition
}

async fn a_document_goes_in_and_comes_out(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    let document = json!({
        "flags": { "a": by_reference(), "b": boolean("on") }, "$evaluators": { "staff": staff() },
        "metadata": { "version": "7" },
    });
    let at = "flag-sets/shop/prod/flagd.json";
    let (status, written) = root.put(at, document.clone()).await;
    assert_eq!((status, &written["changed"]), (200, &json!(["a", "b"])), "{written}");
    let (_, mut found) = root.get(at).await;
    assert!(found.as_object_mut().unwrap().remove("$schema").is_some());
    assert_eq!(found, document);
    assert_eq!(
        root.put(at, document.clone()).await.1["changed"],
        json!([]),
        "the same changes nothing"
    );
    let (_, read) = root.get("flags/shop/prod/a").await;
    assert_eq!(read["version"], 1);
    let as_list = json!({ "flags": [{ "key": "c", "state": "ENABLED", "variants": { "x": "y" } }, {
        "key": "b", "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off",
    }] });
    assert_eq!(
        root.put(at, as_list).await.1["changed"],
        json!(["c", "b"]),
        "others stay"
    );
    let (_, found) = root.get(at).await;
    assert_eq!(found["flags"].as_object().unwrap().len(), 3);
    let context = json!({ "context": { "email": "ann@example.com" } });
    let (_, all) = root.ofrep("shop/prod/ofrep/v1/evaluate/flags", context).await;
    assert_eq!(
        (&all["flags"][0]["value"], &all["metadata"]),
        (&json!(true), &json!({ "version": "7" }))
    );
    // What a document does not name stays: rules, where it has metadata alone.
    let renamed = json!({ "flags": {}, "metadata": { "version": "8" } });
    assert_eq!(root.put(at, renamed).await.0, 200);
    let (_, found) = root.get(at).await;
    assert_eq!(
        (&found["$evaluators"], &found["metadata"]["version"]),
        (&json!({ "staff": staff() }), &json!("8"))
    );
    // One mistake refuses all of it.
    let half = json!({ "flags": { "d": boolean("on"), "e": { "state": "ENABLED" } } });
    let (status, answer) = root.put(at, half).await;
    assert!(
        status == 400 && answer["detail"].as_str().unwrap().contains("/flags/e"),
        "{answer}"
    );
    assert_eq!(root.get("flags/shop/prod/d").await.0, 404);
}

async fn flagd_can_sync(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    assert_eq!(root.put("flags/shop/prod/a", flag(boolean("on"))).await.0, 200);
    let url = format!("{}/api/v1/flag-sets/shop/prod/flagd.json", root.address);
    let ask = async |tag: &str| {
        let request = root.http.get(&url).bearer_auth(root.token.as_ref().unwrap());
        let answer = request.header("if-none-match", tag).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.headers()["etag"].to_str().unwrap().to_owned(),
        )
    };
    let (status, tag) = ask("\"none\"").await;
    assert_eq!((status, ask(&tag).await), (200, (304, tag.clone())));
    assert_eq!(root.put("flags/shop/prod/a", flag(boolean("off"))).await.0, 200);
    assert_ne!(ask(&tag).await, (304, tag));
}

async fn shared_rules(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    let at = "flag-sets/shop/prod/evaluators";
    assert_eq!(root.get(at).await.0, 404);
    let (status, refused) = root.put("flags/shop/prod/a", flag(by_reference())).await;
    assert!(
        status == 400 && refused["detail"].as_str().unwrap().contains("staff"),
        "{refused}"
    );
    let rules = json!({ "evaluators": { "staff": staff() }, "cas": 0 });
    assert_eq!(root.put(at, rules.clone()).await.1["version"], 1);
    assert_eq!(root.put(at, rules).await.0, 409);
    assert_eq!(root.put("flags/shop/prod/a", flag(by_reference())).await.0, 200);
    let (status, refused) = root.put(at, json!({ "evaluators": {} })).await;
    assert!(
        status == 400 && refused["detail"].as_str().unwrap().contains("'a'"),
        "{refused}"
    );
    let ask = async |email: &str| {
        let context = json!({ "context": { "email": email } });
        let (_, found) = root.ofrep("shop/prod/ofrep/v1/evaluate/flags/a", context).await;
        found["value"].clone()
    };
    assert_eq!(
        (ask("ann@example.com").await, ask("bob@corp.net").await),
        (json!(true), json!(false))
    );
    let wider = json!({ "evaluators": { "staff": { "ends_with": [{ "var": "email" }, "@corp.net"] } }, "cas": 1 });
    assert_eq!(root.put(at, wider).await.1["version"], 2);
    assert_eq!(
        (ask("ann@example.com").await, ask("bob@corp.net").await),
        (json!(false), json!(true))
    );
    assert_eq!(root.put(at, json!({ "metadata": { "x": [] } })).await.0, 400);
}

async fn copies(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    for key in ["a", "b"] {
        let body = json!({ "definition": boolean("on"), "owner": "shop" });
        assert_eq!(root.put(&format!("flags/shop/test/{key}"), body).await.0, 200);
    }
    assert_eq!(root.put("flags/shop/prod/b", flag(boolean("off"))).await.0, 200);
    let from = json!({ "project": "shop", "environment": "test" });
    let at = "flag-sets/shop/prod/copy";
    let (status, copied) = root.post(at, json!({ "from": from })).await;
    assert_eq!(
        (status, &copied["changed"]),
        (200, &json!(["a"])),
        "what is there stays"
    );
    assert_eq!(root.get("flags/shop/prod/a").await.1["owner"], "shop");
    assert_eq!(root.evaluated("b").await, false);
    let (_, over) = root
        .post(at, json!({ "from": from, "keys": ["b"], "overwrite": true }))
        .await;
    assert_eq!(over["changed"], json!(["b"]));
    assert_eq!(root.evaluated("b").await, true);
    assert_eq!(root.post(at, json!({ "from": from, "keys": ["zzz"] })).await.0, 404);
}

async fn sets_keep_apart(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    // Neighbours in byte order.
    for set in ["shop/prod", "shop/prod-2", "shop/pro", "sho/prod", "shop-1/prod"] {
        assert_eq!(root.put(&format!("flags/{set}/only"), flag(boolean("on"))).await.0, 200);
    }
    for (limit, pages) in [(1, 5), (2, 3), (100, 1)] {
        let (mut seen, mut cursor, mut count) = (0, String::new(), 0);
        loop {
            let (_, page) = root.get(&format!("flag-sets?limit={limit}&cursor={cursor}")).await;
            seen += page["items"].as_array().unwrap().len();
            count += 1;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.replace('/', "%2F"),
                None => break,
            }
        }
        assert!(seen == 5 && count >= pages, "{limit}: {seen} on {count}");
    }
    let (_, page) = root.get("flags/shop/prod").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let (_, all) = root.ofrep("shop/prod/ofrep/v1/evaluate/flags", json!({})).await;
    assert_eq!(all["flags"].as_array().unwrap().len(), 1);
    for key in ["x", "y", "z"] {
        assert_eq!(
            root.put(&format!("flags/shop/prod/{key}"), flag(boolean("on"))).await.0,
            200
        );
    }
    let (_, first) = root.get("flags/shop/prod?limit=3").await;
    let next = first["next_cursor"].as_str().unwrap();
    let (_, second) = root.get(&format!("flags/shop/prod?limit=3&cursor={next}")).await;
    assert_eq!(
        (&second["items"][0]["key"], second.get("next_cursor")),
        (&json!("z"), None)
    );
}

on_both_stores!(
    a_document_goes_in_and_comes_out,
    flagd_can_sync,
    shared_rules,
    copies,
    sets_keep_apart,
);
