//! OFREP as its clients speak it.

use serde_json::{Value, json};

use super::{boolean, flag, stage};
use crate::harness::On;

const BULK: &str = "shop/prod/ofrep/v1/evaluate/flags";

async fn one_by_one(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    let staff = json!({ "if": [{ "ends_with": [{ "var": "email" }, "@example.com"] }, "on", null] });
    let mut targeted = boolean("off");
    targeted["targeting"] = staff;
    targeted["metadata"] = json!({ "team": "shop" });
    let ratio = json!({ "state": "ENABLED", "variants": { "tenth": 10.0, "half": 50.5 }, "defaultVariant": "tenth" });
    let off = json!({ "state": "DISABLED", "variants": { "on": true }, "defaultVariant": "on" });
    let open = json!({ "state": "ENABLED", "variants": { "on": { "deep": [1, { "x": null }] } } });
    for (key, definition) in [("staff", targeted), ("ratio", ratio), ("off", off), ("Open_1.x", open)] {
        assert_eq!(
            root.put(&format!("flags/shop/prod/{key}"), flag(definition)).await.0,
            200,
            "{key}"
        );
    }
    let ask = async |key: &str, body: Value| root.ofrep(&format!("{BULK}/{key}"), body).await;
    let ann = json!({ "context": { "targetingKey": "ann", "email": "ann@example.com" } });
    let found = json!({
        "key": "staff", "value": true, "variant": "on", "reason": "TARGETING_MATCH", "metadata": { "team": "shop" },
    });
    assert_eq!(ask("staff", ann).await, (200, found));
    let (_, other) = ask("staff", json!({ "context": { "email": "bob@elsewhere.org" } })).await;
    assert_eq!((&other["value"], &other["reason"]), (&json!(false), &json!("DEFAULT")));
    let (_, ratio) = ask("ratio", json!({})).await;
    assert!(
        ratio["value"].is_f64() && ratio["reason"] == "STATIC",
        "a float stays one: {ratio}"
    );
    let (status, off) = ask("off", json!({})).await;
    assert_eq!(
        (status, &off["reason"], off.get("value"), &off["variant"]),
        (200, &json!("DISABLED"), None, &json!(""))
    );
    let (_, open) = ask("Open_1.x", json!({})).await;
    assert_eq!(
        (open.get("value"), &open["reason"]),
        (None, &json!("DEFAULT")),
        "the caller's own default"
    );
    for (key, body, status, code) in [
        ("absent", json!({}), 404, "FLAG_NOT_FOUND"),
        ("%C3%BC", json!({}), 404, "FLAG_NOT_FOUND"),
        ("staff", json!({ "context": [] }), 400, "INVALID_CONTEXT"),
        (
            "staff",
            json!({ "context": { "targetingKey": 7 } }),
            400,
            "INVALID_CONTEXT",
        ),
        ("staff", json!(7), 400, "PARSE_ERROR"),
    ] {
        let (found, answer) = ask(key, body.clone()).await;
        assert_eq!(
            (found, &answer["errorCode"]),
            (status, &json!(code)),
            "{key} {body}: {answer}"
        );
        assert!(
            answer["key"].is_string() && answer["errorDetails"].is_string(),
            "{answer}"
        );
    }
}

async fn all_at_once(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    for key in ["b", "a", "c"] {
        assert_eq!(
            root.put(&format!("flags/shop/prod/{key}"), flag(boolean("on"))).await.0,
            200
        );
    }
    let url = format!("{}/flags/{BULK}", root.address);
    let token = root.token.clone().unwrap();
    let ask = async |tag: Option<&str>| {
        let mut request = root.http.post(&url).header("x-api-key", &token).body("{}");
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        let answer = request.send().await.unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), tag, answer.text().await.unwrap())
    };
    let (status, tag, body) = ask(None).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let keys: Vec<_> = body["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag["key"].clone())
        .collect();
    assert_eq!((status, keys), (200, vec![json!("a"), json!("b"), json!("c")]));
    // With and without quotes, weak or one of several.
    let plain = tag.trim_matches('"').to_owned();
    for known in [tag.clone(), plain.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        assert_eq!(ask(Some(&known)).await, (304, tag.clone(), String::new()), "{known}");
    }
    assert_eq!(root.put("flags/shop/prod/b", flag(boolean("off"))).await.0, 200);
    let (status, newer, _) = ask(Some(&tag)).await;
    assert_eq!((status, newer == tag), (200, false));
    assert_eq!(root.put("flags/shop/prod/b", flag(boolean("on"))).await.0, 200);
    assert_eq!(ask(Some(&tag)).await.0, 304, "all is as it was");
    let (status, answer) = root.ofrep(BULK, json!({ "context": 1 })).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("INVALID_CONTEXT")));
}

/// A broken rule fails its flag alone.
async fn a_rule_that_fails_fails_alone(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    let rules = json!({ "evaluators": { "staff": { "==": [{ "var": "team" }, "staff"] } } });
    assert_eq!(root.put("flags/shop/prod/plain", flag(boolean("on"))).await.0, 200);
    assert_eq!(root.put("flag-sets/shop/prod/evaluators", rules).await.0, 200);
    let mut nowhere = boolean("on");
    nowhere["targeting"] = json!({ "var": "variant" });
    assert_eq!(root.put("flags/shop/prod/nowhere", flag(nowhere)).await.0, 200);
    let context = json!({ "context": { "variant": "beyond" } });
    let (status, answer) = root.ofrep(&format!("{BULK}/nowhere"), context.clone()).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("GENERAL")), "{answer}");
    let (status, all) = root.ofrep(BULK, context).await;
    let by_key = |key: &str| {
        all["flags"]
            .as_array()
            .unwrap()
            .iter()
            .find(|flag| flag["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!((status, &by_key("plain")["value"]), (200, &json!(true)));
    assert_eq!(by_key("nowhere")["errorCode"], "GENERAL");
}

/// Evaluations are counted, not entered; what was denied is on record.
async fn what_is_on_record(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    assert_eq!(root.put("flags/shop/prod/a", flag(boolean("on"))).await.0, 200);
    let stranger = root.with_token(
        root.workload(
            "stranger",
            json!([{ "path": "flag/other/*", "capabilities": ["read"] }]),
        )
        .await,
    );
    for _ in 0..3 {
        root.evaluated("a").await;
    }
    let (status, denied) = stranger.ofrep(&format!("{BULK}/a"), json!({})).await;
    assert_eq!((status, denied["denial_id"].is_string()), (403, true));
    let (_, found) = root.get("audit?action=flag.evaluate").await;
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{found}");
    assert_eq!(
        (&items[0]["outcome"], &items[0]["path"], &items[0]["dialect"]),
        (&json!("denied"), &json!("shop/prod/a"), &json!("ofrep"))
    );
    let (_, why) = root.post("explain", json!({ "denial_id": denied["denial_id"] })).await;
    assert_eq!(why["path"], "flag/shop/prod/a", "{why}");
    // A token that is good for a number of uses is entered, and each evaluation is one.
    let (_, token) = root.post("tokens", json!({ "policies": ["admin"], "uses": 2 })).await;
    let counted = root.with_token(token["token"].as_str().unwrap());
    assert_eq!(
        [counted.evaluated("a").await, counted.evaluated("a").await],
        [true, true]
    );
    assert_eq!(counted.ofrep(&format!("{BULK}/a"), json!({})).await.0, 401);
}

/// When a flag was evaluated last, by variant, one by one and as one of all: it is in the report of what is past its time.
async fn what_was_evaluated_is_known(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    let past = "2020-01-01T00:00:00Z";
    for (key, body) in [
        ("used", json!({ "definition": boolean("on"), "expires_at": past })),
        (
            "kept",
            json!({ "definition": boolean("on"), "expires_at": past, "permanent": true }),
        ),
        ("fresh", flag(boolean("on"))),
    ] {
        assert_eq!(root.put(&format!("flags/shop/prod/{key}"), body).await.0, 200);
    }
    let found = root.get("reports/stale-flags").await.1["items"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found[0]["key"], &found[0]["why"]),
        (&json!("used"), &json!(["expired"]))
    );
    root.evaluated("used").await;
    root.ofrep(BULK, json!({})).await;
    // What was noted is written now and then, and when the server stops.
    stage.server.terminate();
    let server = stage.store.dev(&[]);
    let (_, found) = root.at(&server).get("reports/stale-flags").await;
    let of = |variant: &str| {
        let mut all = found["items"][0]["variants"].as_array().unwrap().iter();
        all.find(|used| used["variant"] == variant).unwrap().clone()
    };
    for field in ["last_evaluated_at", "last_in_bulk_at"] {
        assert!(
            of("on")[field].is_string() && of("off")[field].is_null(),
            "{field}: {found}"
        );
    }
    server.terminate();
}

async fn what_may_not_be_read_takes_nothing_from_the_bound(on: On) {
    let stage = stage(on);
    let root = &stage.root;
    // About 40,000 steps of the 50,000 that one flag has; ten of them have 250,000 together.
    let list = vec![0; 100];
    let mut heavy = boolean("off");
    heavy["targeting"] = json!({
        "if": [{ "some": [list, { "some": [list, { "==": [{ "var": "" }, 1] }] }] }, "off", "on"],
    });
    for at in 0..10 {
        let path = format!("flags/shop/prod/heavy-{at}");
        assert_eq!(root.put(&path, flag(heavy.clone())).await.0, 200);
    }
    assert_eq!(root.put("flags/shop/prod/own", flag(heavy)).await.0, 200);
    let own = |all: &Value| {
        let mut flags = all["flags"].as_array().unwrap().iter();
        flags.find(|flag| flag["key"] == "own").unwrap().clone()
    };
    let (_, all) = root.ofrep(BULK, json!({})).await;
    assert_eq!(own(&all)["errorCode"], "GENERAL", "all together are too much: {all}");
    let rules = json!([{ "path": "flag/shop/prod/own", "capabilities": ["read"] }]);
    let reader = root.with_token(root.workload("own-reader", rules).await);
    let (_, all) = reader.ofrep(BULK, json!({})).await;
    assert_eq!(
        (all["flags"].as_array().unwrap().len(), &own(&all)["value"]),
        (1, &json!(true))
    );
}

on_both_stores!(
    what_may_not_be_read_takes_nothing_from_the_bound,
    what_was_evaluated_is_known,
    one_by_one,
    all_at_once,
    a_rule_that_fails_fails_alone,
    what_is_on_record
);
