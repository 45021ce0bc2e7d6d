//! The order in which a flag's value is found.

use serde_json::{Map, Value, json};
use strongroom_flags::{Bucketing, Context, Definition, Evaluation, Evaluators, FailureCode, Reason, Set};

pub(crate) const NOW: i64 = 1_790_000_000;

/// What a flag with the key `flag` is for this context.
pub(crate) fn evaluate(definition: &Value, context: Value) -> Evaluation {
    let definition = Definition::parse(definition, &Evaluators::default()).unwrap();
    let flags = [("flag".to_owned(), definition, Bucketing::V2)];
    let set = Set::compile(flags, &Evaluators::default(), Map::new());
    set.evaluate("flag", &Context::parse(context).unwrap(), NOW).unwrap()
}

/// Value, variant and reason; or the code of a failure.
fn told(evaluation: &Evaluation) -> (Option<Value>, Option<String>, &'static str) {
    match &evaluation.outcome {
        Ok(evaluated) => (
            evaluated.value.as_deref().cloned(),
            evaluated.variant.as_deref().map(str::to_owned),
            evaluated.reason.name(),
        ),
        Err(failure) => (None, None, failure.code.name()),
    }
}

fn flag(state: &str, default: Value, targeting: Value) -> Value {
    let mut flag = json!({ "state": state, "variants": { "on": true, "off": false, "true": true } });
    if default != json!("absent") {
        flag["defaultVariant"] = default;
    }
    if targeting != json!("absent") {
        flag["targeting"] = targeting;
    }
    flag
}

#[test]
fn a_value_is_found_in_this_order() {
    let (on, off) = (Some(json!(true)), Some(json!(false)));
    let some = |name: &str| Some(name.to_owned());
    let absent = || json!("absent");
    let matches = json!({ "if": [true, "on", "off"] });
    let cases = [
        (
            flag("DISABLED", json!("off"), matches.clone()),
            (None, None, "DISABLED"),
        ),
        (
            flag("ENABLED", json!("off"), absent()),
            (off.clone(), some("off"), "STATIC"),
        ),
        (
            flag("ENABLED", json!("off"), json!({})),
            (off.clone(), some("off"), "STATIC"),
        ),
        (
            flag("ENABLED", json!("off"), Value::Null),
            (off.clone(), some("off"), "DEFAULT"),
        ),
        (
            flag("ENABLED", json!("off"), json!({ "var": "unset" })),
            (off.clone(), some("off"), "DEFAULT"),
        ),
        (flag("ENABLED", absent(), absent()), (None, None, "DEFAULT")),
        (flag("ENABLED", Value::Null, absent()), (None, None, "DEFAULT")),
        (
            flag("ENABLED", Value::Null, json!({ "var": "unset" })),
            (None, None, "DEFAULT"),
        ),
        (
            flag("ENABLED", json!("off"), matches),
            (on.clone(), some("on"), "TARGETING_MATCH"),
        ),
        (
            flag("ENABLED", json!("off"), json!({ "==": [1, 1] })),
            (on, some("true"), "TARGETING_MATCH"),
        ),
        (
            flag("ENABLED", json!("off"), json!({ "==": [1, 2] })),
            (None, None, "GENERAL"),
        ),
        (
            flag("ENABLED", json!("off"), json!({ "/": [1, 0] })),
            (None, None, "PARSE_ERROR"),
        ),
    ];
    for (definition, expected) in cases {
        assert_eq!(told(&evaluate(&definition, json!({}))), expected, "{definition}");
    }
}

#[test]
fn a_rule_sees_the_flags_key_and_the_time_whatever_the_caller_says_of_them() {
    let definition = json!({
        "state": "ENABLED",
        "variants": { "right": 1, "wrong": 2 },
        "targeting": { "if": [{ "and": [
            { "==": [{ "var": "$flagd.flagKey" }, "flag"] },
            { "==": [{ "var": "$flagd.timestamp" }, NOW] },
        ] }, "right", "wrong"] },
    });
    let lies = json!({ "$flagd": { "flagKey": "other", "timestamp": 1 } });
    assert_eq!(told(&evaluate(&definition, lies)).1.as_deref(), Some("right"));
}

#[test]
fn a_sets_metadata_is_overlaid_by_the_flags() {
    let definition =
        json!({ "state": "ENABLED", "variants": { "a": 1 }, "metadata": { "team": "web", "since": 2026 } });
    let definition = Definition::parse(&definition, &Evaluators::default()).unwrap();
    let shared = json!({ "team": "all", "version": "7" }).as_object().unwrap().clone();
    let set = Set::compile(
        [("flag".to_owned(), definition, Bucketing::V2)],
        &Evaluators::default(),
        shared,
    );
    let evaluation = set.evaluate("flag", &Context::default(), NOW).unwrap();
    assert_eq!(
        Value::Object((*evaluation.metadata).clone()),
        json!({ "team": "web", "since": 2026, "version": "7" })
    );
}

#[test]
fn a_flag_whose_evaluator_was_taken_away_fails_alone() {
    let evaluators =
        Evaluators::parse(&json!({ "ours": { "ends_with": [{ "var": "email" }, "@example.com"] } })).unwrap();
    let with = json!({
        "state": "ENABLED",
        "variants": { "on": true, "off": false },
        "targeting": { "if": [{ "$ref": "ours" }, "on", "off"] },
    });
    let without = json!({ "state": "ENABLED", "variants": { "on": true }, "defaultVariant": "on" });
    let flags = || {
        [("with", &with), ("without", &without)].map(|(key, json)| {
            (
                key.to_owned(),
                Definition::parse(json, &evaluators).unwrap(),
                Bucketing::V2,
            )
        })
    };
    let context = Context::parse(json!({ "email": "a@example.com" })).unwrap();
    let set = Set::compile(flags(), &evaluators, Map::new());
    assert_eq!(
        set.evaluate("with", &context, NOW).unwrap().outcome.unwrap().reason,
        Reason::TargetingMatch
    );

    let set = Set::compile(flags(), &Evaluators::default(), Map::new());
    let failure = set.evaluate("with", &context, NOW).unwrap().outcome.unwrap_err();
    assert_eq!(failure.code, FailureCode::ParseError);
    assert_eq!(
        failure.details,
        "/targeting/if/0/$ref: there is no shared evaluator `ours`"
    );
    assert_eq!(
        set.evaluate("without", &context, NOW).unwrap().outcome.unwrap().reason,
        Reason::Static
    );
    assert!(set.evaluate("nothing", &context, NOW).is_none());
    assert_eq!(
        set.evaluate_all(&context, NOW).map(|(key, _)| key).collect::<Vec<_>>(),
        ["with", "without"]
    );
}
