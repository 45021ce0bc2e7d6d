//! How often flags were evaluated, by variant and minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{boolean, flag, stage};
use crate::harness::{Api, On, run};

const COUNTS: &str = "flag-evaluations/shop/prod/a";
const ONE: &str = "shop/prod/ofrep/v1/evaluate/flags/a";
const BULK: &str = "shop/prod/ofrep/v1/evaluate/flags";

fn by_staff(default: &str) -> Value {
    let mut definition = boolean(default);
    definition["targeting"] = json!({ "if": [{ "var": "staff" }, "on", null] });
    flag(definition)
}

async fn ask(api: &Api, path: &str, staff: bool, times: usize) {
    for _ in 0..times {
        let context = json!({ "context": { "staff": staff } });
        assert_eq!(api.ofrep(path, context).await.0, 200);
    }
}

/// All pages of a listing.
async fn pages(api: &Api, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (status, page) = api.get(&format!("{path}{separator}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("cursor={next}"),
            None => return items,
        }
    }
}

/// One by one and in bulk, by variant; `-` is none.
fn sums(items: &[Value]) -> BTreeMap<String, (u64, u64)> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for item in items {
        let minute = item["minute"].as_str().unwrap();
        assert!(minute.ends_with(":00.000000Z"), "{minute}");
        let sum = sums
            .entry(item["variant"].as_str().unwrap_or("-").to_owned())
            .or_default();
        sum.0 += item["evaluations"].as_u64().unwrap();
        sum.1 += item["in_bulk"].as_u64().unwrap();
    }
    sums
}

async fn what_was_given_is_counted(on: On) {
    let mut stage = stage(on);
    let root = stage.root.clone();
    assert_eq!(root.put("flags/shop/prod/a", by_staff("off")).await.0, 200);
    assert_eq!(root.put("flags/shop/test/a", flag(boolean("on"))).await.0, 200);
    ask(&root, ONE, false, 7).await;
    ask(&root, ONE, true, 3).await;
    ask(&root, BULK, true, 2).await;
    ask(&root, "shop/test/ofrep/v1/evaluate/flags/a", true, 5).await;
    // A changed set is compiled anew; what was counted by the old one is not lost with it.
    let mut none = by_staff("off");
    none["definition"]["defaultVariant"] = Value::Null;
    assert_eq!(root.put("flags/shop/prod/a", none).await.0, 200);
    ask(&root, ONE, false, 4).await;
    ask(&root, ONE, true, 1).await;
    // What fails, or is denied, gave nothing.
    assert_eq!(
        root.ofrep(ONE, json!({ "context": { "targetingKey": 1 } })).await.0,
        400
    );
    let elsewhere = json!([{ "path": "flag/shop/test/*", "capabilities": ["read"] }]);
    let stranger = root.with_token(root.workload("stranger", elsewhere).await);
    assert_eq!(stranger.ofrep(ONE, json!({})).await.0, 403);
    assert_eq!(stranger.get(COUNTS).await.0, 403);
    assert_eq!(root.get("flag-evaluations/shop/prod/none").await.0, 404);

    assert!(stage.server.terminate().success());
    stage.server = stage.store.dev(&[]);
    let root = root.at(&stage.server);
    let all = pages(&root, COUNTS).await;
    let expected = [("-", (4, 0)), ("off", (7, 0)), ("on", (4, 2))];
    let expected: BTreeMap<_, _> = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(sums(&all), expected, "{all:?}");
    assert_eq!(
        pages(&root, &format!("{COUNTS}?limit=1")).await,
        all,
        "page by page it is the same"
    );
    assert_eq!(pages(&root, &format!("{COUNTS}?since=2020-01-01T00:00:00Z")).await, all);
    for never in ["since=2099-01-01T00:00:00Z", "until=2020-01-01T00:00:00Z"] {
        assert_eq!(
            pages(&root, &format!("{COUNTS}?{never}")).await,
            [Value::Null; 0],
            "{never}"
        );
    }
    for wrong in ["since=now", "limit=0", "cursor=x", "days=1"] {
        assert_eq!(root.get(&format!("{COUNTS}?{wrong}")).await.0, 400, "{wrong}");
    }
    let environment = [
        ("STRONGROOM_ADDR", root.address.as_str()),
        ("STRONGROOM_TOKEN", root.token.as_deref().unwrap()),
    ];
    let (code, stdout, stderr) = run(&["flag", "counts", "shop/prod/a", "-o", "json"], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(serde_json::from_slice::<Value>(&stdout).unwrap()["items"], json!(all));
    let (_, stdout, _) = run(&["flag", "counts", "shop/prod/a", "--limit", "1"], &environment, b"");
    let text = String::from_utf8(stdout).unwrap();
    assert!(text.starts_with("MINUTE") && text.lines().count() == 2, "{text}");

    // Another flag of that name is another.
    assert_eq!(root.delete("flags/shop/prod/a").await.0, 204);
    assert_eq!(root.put("flags/shop/prod/a", by_staff("off")).await.0, 200);
    assert_eq!(pages(&root, COUNTS).await, [Value::Null; 0]);
    stage.server.terminate();
}

/// Without a stop, and so what a crash loses is of a minute.
async fn what_was_given_is_written_each_minute(on: On) {
    let mut stage = stage(on);
    let root = stage.root.clone();
    assert_eq!(root.put("flags/shop/prod/a", by_staff("off")).await.0, 200);
    ask(&root, ONE, false, 5).await;
    let began = Instant::now();
    let mut written = Vec::new();
    // A write may fall between two of them.
    let expected = BTreeMap::from([("off".to_owned(), (5, 0))]);
    while sums(&written) != expected {
        assert!(began.elapsed() < Duration::from_secs(90), "never written");
        tokio::time::sleep(Duration::from_secs(1)).await;
        written = pages(&root, COUNTS).await;
    }
    println!("{on:?}: written after {} s", began.elapsed().as_secs());
    stage.server.kill9();
    stage.server = stage.store.dev(&[]);
    let found = pages(&root.at(&stage.server), COUNTS).await;
    assert_eq!(found, written);
    stage.server.terminate();
}

on_both_stores!(what_was_given_is_counted, what_was_given_is_written_each_minute);
