//! Definitions, shared rules, documents and contexts that nobody sane would send, as text: names given twice, numbers that no
//! float holds, halves of characters, names that programs in JavaScript trip over, and depth and length around every bound.
//! Many are accepted, so that what they say is evaluated.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use strongroom_testkit::scale;

use super::raw::Answer;
use super::{Target, check, raw};
use crate::harness::{On, Store};

const CASES: f64 = 120.0;

#[rustfmt::skip] // tables
const SCALARS: &[&str] = &[
    "null", "true", "false", "0", "-0", "-0.0", "1", "100", "1.0", "1e3", "1e308", "-1e308", "1e-400", "9007199254740993", "18446744073709551616",
    "123456789012345678901234567890", "0.1000000000000000055511151231257827", r#""""#, r#""a""#, r#""list""#, r#""list.0""#, r#""on""#, r#""1.2.3""#,
    r#""v1.2.3-rc.1+b""#, r#""^""#, r#""=""#, r#""0x10""#, r#"" 12 ""#, r#""1e999""#, r#""\u0000""#, r#""\ud83d\ude00""#, r#""\uffff\u202e""#,
    r#""__proto__""#, r#""constructor.name""#, r#""$flagd""#, r#""$flagd.flagKey""#, r#""accumulator""#, r#""current""#, r#""\\.""#,
];
/// No JSON.
const POISON: &[&str] = &[
    "1e400",
    r#""\ud800""#,
    r#""\udc00x""#,
    "01",
    "NaN",
    "'a'",
    "",
    "\"\u{0}\"",
];

#[rustfmt::skip] // a table
const NAMES: &[&str] = &[
    "a",
    "b",
    "list",
    "on",
    "ours",
    "targetingKey",
    "",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "$ref",
    "$flagd",
    "$evaluators",
    "if",
    "var",
    "key",
    "state",
    "variants",
    "a.b",
    "a\\\\.b",
    "\\u0000",
    "\\ud83d\\ude00",
    "\\u202e",
    "0",
    "-1",
];

/// Each with how many arguments it takes, or so.
#[rustfmt::skip] // a table
const OPERATORS: &[(&str, usize, usize)] = &[
    ("missing", 0, 3), ("missing_some", 2, 2), ("if", 2, 5), ("and", 1, 4), ("or", 1, 4), ("map", 2, 2), ("filter", 2, 2), ("all", 2, 2),
    ("none", 2, 2), ("some", 2, 2), ("reduce", 2, 3), ("==", 2, 2), ("===", 2, 2), ("!=", 2, 2), ("!==", 2, 2), ("!", 1, 1), ("!!", 1, 1),
    ("<", 2, 3), ("<=", 2, 3), (">", 2, 2), (">=", 2, 2), ("max", 1, 3), ("min", 1, 3), ("+", 1, 3), ("-", 1, 2), ("*", 1, 3), ("/", 2, 2),
    ("%", 2, 2), ("merge", 1, 3), ("in", 2, 2), ("cat", 1, 4), ("substr", 2, 3), ("fractional", 1, 4), ("sem_ver", 3, 3),
    ("starts_with", 2, 2), ("ends_with", 2, 2),
];

const KEYS: &[&str] = &["k", "constructor", "toString", "0"];

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// A name may stand there twice.
fn object(members: &[(String, String)]) -> String {
    let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn name() -> impl Strategy<Value = String> {
    let any_text = any::<String>().prop_map(|text| {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    });
    prop_oneof![8 => select(NAMES).prop_map(str::to_owned), 1 => any_text]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        200 => select(SCALARS).prop_map(str::to_owned),
        1 => select(POISON).prop_map(str::to_owned),
        25 => any::<f64>().prop_map(|number| Value::from(number).to_string()),
        25 => any::<i64>().prop_map(|number| number.to_string()),
        25 => any::<String>().prop_map(|text| Value::from(text).to_string()),
    ]
}

/// Around the bounds on depth and length, and far beyond.
fn extreme() -> impl Strategy<Value = String> {
    let deep = (
        select(vec![30_usize, 33, 63, 65, 130, 5_000]),
        select(vec![("[", "]"), ("{\"!\":[", "]}"), ("{\"a\":", "}")]),
    );
    let deep = deep.prop_map(|(depth, (open, close))| format!("{}1{}", open.repeat(depth), close.repeat(depth)));
    let long = select(vec![1_000_usize, 65_500, 65_600, 300_000]);
    let text = long
        .clone()
        .prop_map(|length| format!("\"{}\"", "é".repeat(length / 2)));
    let wide = long.prop_map(|length| list(&vec!["7".to_owned(); length / 4]));
    prop_oneof![deep, text, wide]
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![100 => scalar(), 1 => extreme()].prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| list(&items)),
            vec((name(), inner), 0..5).prop_map(|members| object(&members)),
        ]
    })
}

/// An operation, since only that is a rule; what it is given is read from the context more often than not.
fn rule() -> impl Strategy<Value = String> {
    let read = name().prop_map(|name| format!("{{\"var\":[\"{name}\"]}}"));
    let reference = Just(r#"{"$ref":"ours"}"#.to_owned());
    let leaf = prop_oneof![60 => read, 40 => scalar(), 5 => reference, 1 => extreme()];
    let argument = leaf.prop_recursive(3, 24, 4, |inner| operation(inner.boxed()));
    let rule = operation(argument.boxed()).boxed();
    let chosen = rule.clone().prop_map(|rule| format!(r#"{{"if":[{rule},"a",null]}}"#));
    prop_oneof![1 => rule, 2 => chosen]
}

fn operation(argument: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let buckets = vec((argument.clone(), 0..1_000_000_i64), 1..4).prop_map(|buckets| {
        let buckets: Vec<String> = buckets
            .iter()
            .map(|(name, weight)| format!("[{name},{weight}]"))
            .collect();
        format!("{{\"fractional\":{}}}", list(&buckets))
    });
    let any = select(OPERATORS).prop_flat_map(move |(operator, fewest, most)| {
        let arguments = vec(argument.clone(), fewest..=most);
        arguments.prop_map(move |arguments| format!("{{\"{operator}\":{}}}", list(&arguments)))
    });
    prop_oneof![8 => any, 1 => buckets]
}

/// Most are nearly right.
fn definition() -> impl Strategy<Value = String> {
    let variants = prop_oneof![
        6 => Just(r#"{"on":true,"a":false,"1":true}"#.to_owned()),
        2 => vec((name(), any::<f64>().prop_map(|number| Value::from(number).to_string())), 1..4).prop_map(|members| object(&members)),
        1 => vec((name(), anything()), 0..4).prop_map(|members| object(&members)),
    ];
    let default = prop_oneof![4 => Just(r#""on""#.to_owned()), 4 => Just("null".to_owned()), 1 => scalar()];
    let metadata = prop_oneof![
        9 => Just("{}".to_owned()), 1 => vec((name(), scalar()), 0..4).prop_map(|members| object(&members))];
    let more = prop_oneof![
        20 => Just(String::new()), 1 => (name(), anything()).prop_map(|(name, value)| format!(",\"{name}\":{value}"))];
    let whole = (variants, default, rule(), metadata, more).prop_map(|(variants, default, rule, metadata, more)| {
        format!(
            r#"{{"state":"ENABLED","variants":{variants},"defaultVariant":{default},"targeting":{rule},"metadata":{metadata}{more}}}"#
        )
    });
    prop_oneof![9 => whole, 1 => anything()]
}

fn evaluators() -> impl Strategy<Value = String> {
    let named = prop_oneof![4 => Just("ours".to_owned()), 1 => name()];
    let usual = Just(r#"{"ours":{"==":[{"var":"a"},1]}}"#.to_owned());
    let known = vec((named, rule()), 1..4).prop_map(|members| object(&members));
    prop_oneof![4 => usual, 5 => known, 1 => anything()]
}

fn document() -> impl Strategy<Value = String> {
    let key = prop_oneof![4 => select(KEYS).prop_map(str::to_owned), 1 => name()];
    let by_key = vec((key.clone(), definition()), 0..4).prop_map(|flags| object(&flags));
    let listed = vec((key, definition()), 0..4).prop_map(|flags| {
        let flags = flags
            .iter()
            .map(|(key, flag)| flag.replacen('{', &format!("{{\"key\":\"{key}\","), 1));
        list(&flags.collect::<Vec<_>>())
    });
    let flags = prop_oneof![4 => by_key, 2 => listed, 1 => anything()];
    (flags, evaluators()).prop_map(|(flags, evaluators)| format!(r#"{{"flags":{flags},"$evaluators":{evaluators}}}"#))
}

fn context() -> impl Strategy<Value = String> {
    let key = prop_oneof![8 => any::<String>().prop_map(|text| Value::from(text).to_string()), 1 => scalar()];
    let known = (key, vec((name(), anything()), 0..6)).prop_map(|(key, mut members)| {
        members.push(("targetingKey".to_owned(), key));
        format!(r#"{{"context":{}}}"#, object(&members))
    });
    prop_oneof![8 => known, 1 => anything().prop_map(|context| format!(r#"{{"context":{context}}}"#)), 1 => anything()]
}

#[derive(Debug, Clone)]
struct Case {
    shared: String,
    key: &'static str,
    flag: String,
    document: String,
    contexts: Vec<String>,
}

fn case() -> impl Strategy<Value = Case> {
    let flag = prop_oneof![9 => definition().prop_map(|definition| format!(r#"{{"definition":{definition}}}"#)), 1 => anything()];
    (evaluators(), select(KEYS), flag, document(), vec(context(), 2)).prop_map(
        |(shared, key, flag, document, contexts)| Case {
            shared: format!(r#"{{"evaluators":{shared}}}"#),
            key,
            flag,
            document,
            contexts,
        },
    )
}

/// How much was accepted: of what is refused, nothing is evaluated.
#[derive(Debug, Default)]
struct Reached {
    sets: Cell<u32>,
    shared: Cell<u32>,
    flags: Cell<u32>,
    documents: Cell<u32>,
    evaluated: Cell<u32>,
    failed: Cell<u32>,
}

fn add(to: &Cell<u32>, when: bool) {
    to.set(to.get() + u32::from(when));
}

impl Reached {
    fn run(&self, target: &Target, case: &Case) -> Result<(), TestCaseError> {
        let send = |method: &str, path: &str, body: &str| -> Result<Answer, TestCaseError> {
            let bytes = raw::request(method, path.as_bytes(), &[&target.authorization], body.as_bytes());
            let answer = raw::send(target.server.port, &bytes);
            target.asked.set(target.asked.get() + 1);
            let told = || format!("{answer:?} to {}", bytes[..bytes.len().min(2_000)].escape_ascii());
            check(method, answer.as_ref()).map_err(|fault| TestCaseError::fail(format!("{fault}: {}", told())))?;
            answer.ok_or_else(|| TestCaseError::fail("no answer"))
        };
        let put = |path: &str, body: &str| {
            Ok::<_, TestCaseError>(send("PUT", &format!("/api/v1/{path}"), body)?.status == 200)
        };
        // A set for each, so that no case rests on what another left.
        add(&self.sets, true);
        let set = format!("fuzz/s{}", self.sets.get());
        add(&self.shared, put(&format!("flag-sets/{set}/evaluators"), &case.shared)?);
        let written = put(&format!("flags/{set}/{}", case.key), &case.flag)?;
        add(&self.flags, written);
        let imported = put(&format!("flag-sets/{set}/flagd.json"), &case.document)?;
        add(&self.documents, imported);
        for context in &case.contexts {
            for path in ["", "/k", "/constructor", "/toString", "/0"] {
                let path = format!("/flags/{set}/ofrep/v1/evaluate/flags{path}");
                let answer = send("POST", &path, context)?;
                add(
                    &self.evaluated,
                    answer.status == 200 && answer.json()["variant"].is_string(),
                );
                let details = answer.json()["errorDetails"].as_str().map(str::to_owned);
                add(
                    &self.failed,
                    details.is_some_and(|details| details.starts_with("the rule")),
                );
            }
        }
        // What was accepted comes out, and goes in again.
        let out = send("GET", &format!("/api/v1/flag-sets/{set}/flagd.json"), "")?;
        prop_assert!(out.status == 200 || !(written || imported), "{out:?}");
        if out.status == 200 {
            let body = String::from_utf8(out.body).unwrap();
            let again = send("PUT", &format!("/api/v1/flag-sets/{set}-again/flagd.json"), &body)?;
            prop_assert_eq!(again.status, 200, "{:?} to {}", again, body);
        }
        Ok(())
    }
}

async fn hostile_flags(on: On) {
    let store = Store::fresh(on);
    let target = Target::on(&store);
    let reached = Reached::default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number of cases"
    )]
    let cases = (CASES * scale()) as u32;
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    if let Err(error) = runner.run(&case(), |case| reached.run(&target, &case)) {
        panic!("{error}\n{}", target.server.log_text());
    }
    println!("{on:?}: {reached:?}");
    for (what, count) in [
        ("shared rules", &reached.shared),
        ("definitions", &reached.flags),
        ("documents", &reached.documents),
        ("evaluations", &reached.evaluated),
        ("failures", &reached.failed),
    ] {
        assert!(count.get() > cases / 20, "too few {what} of {reached:?}");
    }
    target.end(&format!("hostile flags on {on:?}"));
}

on_both_stores!(hostile_flags);
