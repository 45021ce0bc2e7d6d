//! No rule, evaluator or context runs long, deep or large, whatever it says.

use serde_json::{Map, Value, json};
use strongroom_flags::{
    Bucketing, CONTEXT_BYTES_MAX, CONTEXT_DEPTH_MAX, Context, Definition, Evaluators, FailureCode, RULE_DEPTH_MAX, Set,
};

use crate::evaluation::{NOW, evaluate};

fn flag(rule: impl Into<Value>) -> Value {
    let rule = rule.into();
    json!({ "state": "ENABLED", "variants": { "on": true }, "defaultVariant": "on", "targeting": rule })
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |rule, _| json!({ "!": [rule] }))
}

#[test]
fn rules_are_nested_so_deep_and_no_deeper() {
    let parse = |rule: Value, evaluators: &Evaluators| Definition::parse(&flag(rule), evaluators).map(|_| ());
    let none = Evaluators::default();
    assert_eq!(parse(nested(RULE_DEPTH_MAX), &none), Ok(()));
    assert!(
        parse(nested(RULE_DEPTH_MAX + 1), &none)
            .unwrap_err()
            .why
            .contains("nested deeper")
    );

    // Evaluators count where they are put in, or a chain of them would be as deep as one likes.
    let half = RULE_DEPTH_MAX / 2;
    let chain = json!({ "low": nested(half), "high": (0..half).fold(json!({ "$ref": "low" }), |rule, _| json!({ "!": [rule] })) });
    let evaluators = Evaluators::parse(&chain).unwrap();
    assert_eq!(parse(json!({ "$ref": "high" }), &evaluators), Ok(()));
    assert_eq!(
        parse(json!({ "!": [{ "$ref": "high" }] }), &evaluators).unwrap_err().at,
        "/targeting/!/0/$ref"
    );
}

#[test]
fn a_rule_that_would_run_long_is_stopped() {
    let list: Vec<_> = (0..3_000).collect();
    let context = json!({ "list": list, "text": "x".repeat(30_000) });
    let all = || json!({ "var": "list" });
    let long = [
        // 3,000 ^ 3 times
        json!({ "map": [all(), { "map": [list.clone(), { "map": [list.clone(), 1] }] }] }),
        json!({ "reduce": [all(), { "some": [list.clone(), { "in": [-1, list.clone()] }] }, 0] }),
        json!({ "filter": [all(), { "==": [{ "cat": ["a", 1] }, { "cat": list.clone() }] }] }),
        json!({ "map": [all(), { "merge": [list.clone(), list.clone()] }] }),
        json!({ "map": [all(), { "missing": { "merge": [list.clone()] } }] }),
        json!({ "map": [all(), { "fractional": list.iter().map(|_| json!(["on", 1])).collect::<Vec<_>>() }] }),
    ];
    for rule in long {
        let failure = evaluate(&flag(rule.clone()), context.clone()).outcome.unwrap_err();
        assert_eq!(failure.code, FailureCode::General);
        assert_eq!(failure.details, "the rule needs more steps than an evaluation may take");
    }
    // Text is work as well: each item of the list would read 30,000 bytes some times.
    for operation in [
        json!({ "in": ["y", { "var": "accumulator" }] }),
        json!({ "starts_with": [{ "var": "accumulator" }, { "var": "accumulator" }] }),
        json!({ "==": [{ "var": "accumulator" }, { "var": "accumulator" }] }),
        json!({ "substr": [{ "var": "accumulator" }, 1] }),
    ] {
        let rule = json!({ "reduce": [all(), { "if": [operation, { "var": "accumulator" }, { "var": "accumulator" }] }, { "var": "text" }] });
        let failure = evaluate(&flag(rule.clone()), context.clone()).outcome.unwrap_err();
        assert_eq!(
            failure.details, "the rule needs more steps than an evaluation may take",
            "{rule}"
        );
    }
}

#[test]
fn a_text_does_not_grow_without_bound() {
    let twice = json!({ "cat": [{ "var": "accumulator" }, { "var": "accumulator" }] });
    let list: Vec<_> = (0..40).collect();
    let failure = evaluate(&flag(json!({ "reduce": [list, twice, "xx"] })), json!({}))
        .outcome
        .unwrap_err();
    assert_eq!(failure.details, "the rule needs a text of more than 65536 bytes");
    assert_eq!(failure.code, FailureCode::General);
}

#[test]
fn all_flags_of_a_set_have_a_bound_together() {
    let list: Vec<_> = (0..300).collect();
    let rule =
        json!({ "if": [{ "some": [list.clone(), { "all": [list, { "<": [{ "var": "" }, 0] }] }] }, "on", "on"] });
    let heavy = Definition::parse(&flag(rule), &Evaluators::default()).unwrap();
    let light = Definition::parse(&flag(json!({ "==": [1, 1] })), &Evaluators::default()).unwrap();
    let flags = (0..2_000).map(|number| (format!("heavy-{number:04}"), heavy.clone(), Bucketing::V2));
    let flags = flags.chain([("last".to_owned(), light, Bucketing::V2)]);
    let set = Set::compile(flags, &Evaluators::default(), Map::new());
    let context = Context::default();
    assert!(set.evaluate("last", &context, NOW).is_some());
    let outcomes: Vec<_> = set
        .evaluate_all(&context, NOW)
        .map(|(_, evaluation)| evaluation.outcome.is_ok())
        .collect();
    assert_eq!(outcomes.len(), 2_001);
    let served = outcomes.iter().take_while(|ok| **ok).count();
    assert!(
        (100..2_000).contains(&served),
        "{served} flags were evaluated before the bound"
    );
    assert!(
        outcomes.iter().skip(served).all(|ok| !ok),
        "what comes after the bound fails, each flag by itself"
    );
}

#[test]
fn a_context_is_of_bounded_depth_and_size() {
    let deep = |depth: usize| json!({ "a": (1..depth).fold(json!(1), |value, _| json!([value])) });
    assert!(Context::parse(deep(CONTEXT_DEPTH_MAX)).is_ok());
    assert!(
        Context::parse(deep(CONTEXT_DEPTH_MAX + 1))
            .unwrap_err()
            .why
            .contains("deeper")
    );

    let large = |bytes: usize| json!({ "a": "x".repeat(bytes - 1) });
    assert!(Context::parse(large(CONTEXT_BYTES_MAX)).is_ok());
    assert_eq!(Context::parse(large(CONTEXT_BYTES_MAX + 1)).unwrap_err().at, "/a");
    assert!(Context::parse(json!({ "a": vec![0; CONTEXT_BYTES_MAX / 8] })).is_err());

    assert!(Context::parse(json!([])).is_err());
    assert_eq!(
        Context::parse(json!({ "targetingKey": 5 })).unwrap_err().at,
        "/targetingKey"
    );
    assert_eq!(
        Context::parse(json!({ "targetingKey": null })).unwrap().targeting_key(),
        None
    );
    let context = Context::parse(json!({ "targetingKey": "ana", "email": "ana@example.com" })).unwrap();
    assert_eq!(context.targeting_key(), Some("ana"));
    assert_eq!(
        format!("{context:?}"),
        "Context(2 members)",
        "a context is not for logs"
    );
}
