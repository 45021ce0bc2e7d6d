//! What it costs to evaluate a flag: within one process, without a connection, a token and the fence, and by OFREP.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use strongroom_flags::{Bucketing, Context, Definition, Evaluators, Set};

use crate::harness::{Api, Store};
use crate::wrk;
use crate::yardstick::Yardstick;

const NOW: i64 = 1_790_000_000;
const BULK: usize = 100;

fn context() -> Value {
    json!({
        "targetingKey": "user-1234", "email": "ana@example.com", "plan": "pro", "country": "CH", "version": "2.4.1", "age": 41,
    })
}

fn suffix_then_share() -> Value {
    json!({ "if": [
        { "ends_with": [{ "var": "email" }, "@example.org"] }, "on",
        { "fractional": [["on", 25], ["off", 75]] }
    ] })
}

pub(crate) fn in_process() {
    let context = context();
    let kinds = [
        ("without a rule", Value::Null),
        ("suffix, then 25/75", suffix_then_share()),
        (
            "six conditions",
            json!({ "if": [{ "and": [
            { "in": [{ "var": "country" }, ["AT", "CH", "DE"]] }, { "==": [{ "var": "plan" }, "pro"] }, { ">=": [{ "var": "age" }, 18] },
            { "sem_ver": [{ "var": "version" }, ">=", "2.0.0"] }, { "starts_with": [{ "var": "email" }, "ana"] },
            { "<": [{ "var": "$flagd.timestamp" }, NOW + 1] }
        ] }, "on", "off"] }),
        ),
    ];
    let parsed = Context::parse(context.clone()).unwrap();
    for (kind, rule) in &kinds {
        let set = set(rule, 1);
        let one = median(50_000, || set.evaluate(black_box("flag-000"), &parsed, NOW));
        println!("=> evaluation, {kind}: median {one:?}");
    }
    let reading = median(20_000, || Context::parse(black_box(context.clone())));
    println!("=> a context of six members is read: median {reading:?}");
    let set_of_many = set(&kinds[1].1, BULK);
    let all = median(500, || set_of_many.evaluate_all(&parsed, NOW).count());
    println!("=> evaluation of all {BULK} flags of a set: median {all:?}");

    // The most that one evaluation may cost, and one of all flags.
    let list: Vec<_> = (0..1_000).collect();
    let endless = json!({ "map": [list.clone(), { "map": [list, { "cat": [{ "var": "" }, "x"] }] }] });
    let endless = set(&endless, BULK);
    let one = median(5, || endless.evaluate("flag-000", &parsed, NOW));
    let all = median(3, || endless.evaluate_all(&parsed, NOW).count());
    println!("=> a rule without end is stopped: median {one:?}; a set of such: {all:?}");
}

/// By OFREP, beside a handler that answers as many bytes.
pub(crate) async fn over_http(store: &Store) {
    const ALL: &str = "/flags/bench/prod/ofrep/v1/evaluate/flags";
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let flags: Map<String, Value> = (0..BULK)
        .map(|number| (format!("flag-{number:03}"), definition(&suffix_then_share())))
        .collect();
    let (status, answer) = root
        .put("flag-sets/bench/prod/flagd.json", json!({ "flags": flags }))
        .await;
    assert_eq!(status, 200, "{answer}");
    let rules = json!([{ "path": "flag/bench/prod/*", "capabilities": ["read"] }]);
    let token = root.workload("evaluator", rules).await;
    let body = json!({ "context": context() }).to_string();
    for (what, way, connections, pairs) in [
        ("one flag", format!("{ALL}/flag-007"), 64, 5),
        ("one flag", format!("{ALL}/flag-007"), 1000, 5),
        ("100 flags at once", ALL.to_owned(), 64, 5),
    ] {
        let request = format!("return wrk.format(\"POST\", \"{way}\", h, '{body}')");
        let answer = answered(&root.address, &way, &token, &body).await;
        let what = format!("evaluation of {what}, {connections} connections");
        Yardstick::start(&answer).beside(&what, pairs, &root.address, |address| {
            wrk(address, &token, store.dir.path(), &request, connections, 2)
        });
    }
}

async fn answered(address: &str, way: &str, token: &str, body: &str) -> String {
    let asked = reqwest::Client::new()
        .post(format!("{address}{way}"))
        .bearer_auth(token);
    let answer = asked.body(body.to_owned()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

fn definition(rule: &Value) -> Value {
    let mut json = json!({ "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off" });
    if !rule.is_null() {
        json["targeting"] = rule.clone();
    }
    json
}

fn set(rule: &Value, flags: usize) -> Set {
    let definition = Definition::parse(&definition(rule), &Evaluators::default()).unwrap();
    let flags = (0..flags).map(|number| (format!("flag-{number:03}"), definition.clone(), Bucketing::V2));
    Set::compile(flags, &Evaluators::default(), Map::new())
}

fn median<T>(times: u32, once: impl Fn() -> T) -> Duration {
    let mut each: Vec<Duration> = (0..9)
        .map(|_| {
            let began = Instant::now();
            (0..times).for_each(|_| drop(black_box(once())));
            began.elapsed() / times
        })
        .collect();
    each.sort();
    each[4]
}
