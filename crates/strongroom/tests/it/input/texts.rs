//! Every place of the API where a text may stand, with texts that break what keeps or compares texts.

use serde_json::{Value, json};

use super::Target;
use crate::harness::{Api, On, Store};
use crate::openapi::description::{Description, Example};

/// As it stands in JSON, and in a path or a query.
fn hostile() -> Vec<(String, String)> {
    let long = "x".repeat(20_000);
    [
        ("\0", "%00"),
        ("a\0b", "a%00b"),
        ("\u{ffff}\u{202e}", "%EF%BF%BF%E2%80%AE"),
        ("'; --\\\"$1", "%27%3B%20--%5C%22%241"),
        ("", ""),
        (long.as_str(), long.as_str()),
    ]
    .map(|(plain, encoded)| (plain.to_owned(), encoded.to_owned()))
    .into()
}

/// Copies of the body, each with one of its texts replaced, and one with a name replaced.
fn replaced(body: &Value, text: &str) -> Vec<Value> {
    match body {
        Value::String(_) => vec![text.into()],
        Value::Array(items) => (0..items.len())
            .flat_map(|at| {
                replaced(&items[at], text).into_iter().map(move |new| {
                    let mut copy = items.clone();
                    copy[at] = new;
                    Value::Array(copy)
                })
            })
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                let renamed = {
                    let mut copy = fields.clone();
                    copy.remove(name);
                    copy.insert(text.to_owned(), value.clone());
                    Value::Object(copy)
                };
                let within = replaced(value, text).into_iter().map(move |new| {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), new);
                    Value::Object(copy)
                });
                within.chain([renamed]).collect::<Vec<_>>()
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The example's path with each parameter of its query replaced, one at a time.
fn queries(example: &Example, encoded: &str) -> Vec<String> {
    let (path, _) = example.path.split_once('?').unwrap_or((&example.path, ""));
    example.operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| format!("{path}?{}={encoded}", parameter["name"].as_str().unwrap()))
        .collect()
}

/// Bodies of each field that the example leaves out: with it, and alone.
fn added(example: &Example, description: &Description, text: &str) -> Vec<Value> {
    let Some(body) = example.body.as_ref().and_then(Value::as_object) else {
        return Vec::new();
    };
    description
        .fields(example)
        .into_iter()
        .filter(|field| !body.contains_key(field))
        .flat_map(|field| {
            let mut with = body.clone();
            with.insert(field.clone(), text.into());
            [Value::Object(with), json!({ field: text })]
        })
        .collect()
}

async fn any_text_anywhere(on: On) {
    let store = Store::fresh(on);
    let target = Target::on(&store);
    let description = Description::of(&Api::new(&target.server, store.root_token())).await;
    let ends = |example: &&Example| {
        example.operation["responses"]["200"]["content"]
            .get("text/event-stream")
            .is_none()
    };
    for example in description.examples().values().filter(ends) {
        for (plain, encoded) in hostile() {
            let with = added(example, &description, &plain);
            for body in example.body.iter().flat_map(|body| replaced(body, &plain)).chain(with) {
                target.ask(&example.method, example.path.as_bytes(), body.to_string().as_bytes());
            }
            let body = example.body.as_ref().map(Value::to_string).unwrap_or_default();
            for path in queries(example, &encoded) {
                target.ask(&example.method, path.as_bytes(), body.as_bytes());
            }
        }
    }
    target.end(&format!("texts on {on:?}"));
}

on_both_stores!(any_text_anywhere);
