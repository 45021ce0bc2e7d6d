//! Anything that is JSON, as a definition, an evaluator, a context or a document.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use strongroom_flags::{Bucketing, Context, Definition, Evaluators, Set, parse_flagd};

use crate::evaluation::NOW;

/// Every operator, with how many arguments it takes, or so.
#[rustfmt::skip] // a table
const OPERATORS: &[(&str, usize, usize)] = &[
    ("var", 1, 2), ("missing", 0, 3), ("missing_some", 2, 2), ("if", 2, 5), ("and", 1, 4), ("or", 1, 4), ("map", 2, 2), ("filter", 2, 2),
    ("all", 2, 2), ("none", 2, 2), ("some", 2, 2), ("reduce", 2, 3), ("==", 2, 2), ("===", 2, 2), ("!=", 2, 2), ("!==", 2, 2), ("!", 1, 1),
    ("!!", 1, 1), ("<", 2, 3), ("<=", 2, 3), (">", 2, 2), (">=", 2, 2), ("max", 1, 3), ("min", 1, 3), ("+", 1, 3), ("-", 1, 3), ("*", 1, 3),
    ("/", 2, 2), ("%", 2, 2), ("merge", 1, 3), ("in", 2, 2), ("cat", 1, 4), ("substr", 2, 3), ("fractional", 1, 4), ("sem_ver", 3, 3),
    ("starts_with", 2, 2), ("ends_with", 2, 2),
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-5..200_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "a",
            "list",
            "list.0",
            "accumulator",
            "current",
            "ours",
            "1.2.3",
            "=",
            "😀x",
            "0x10",
            "$flagd"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z$.]{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Operators with any arguments, of which most are good ones.
fn rule() -> impl Strategy<Value = Value> {
    let reference = Just(json!({ "$ref": "ours" }));
    prop_oneof![30 => scalar(), 1 => reference].prop_recursive(5, 48, 4, |inner| {
        let buckets = prop::collection::vec(
            (inner.clone(), 0..100).prop_map(|(variant, weight)| json!([variant, weight])),
            1..4,
        );
        let operation = prop::sample::select(OPERATORS).prop_flat_map(move |(operator, fewest, most)| {
            prop::collection::vec(inner.clone(), fewest..=most)
                .prop_map(move |arguments| json!({ operator: arguments }))
        });
        prop_oneof![
            20 => operation,
            1 => buckets.prop_map(|buckets| json!({ "fractional": buckets })),
            1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::from),
        ]
    })
}

fn evaluators() -> Evaluators {
    Evaluators::parse(&json!({ "ours": { "==": [{ "var": "a" }, 1] } })).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_rule_and_no_context_makes_an_evaluation_panic(rule in rule(), mut context in anything(), key in any::<Option<String>>()) {
        if let Some(members) = context.as_object_mut() {
            members.remove("targetingKey");
            if let Some(key) = key {
                members.insert("targetingKey".to_owned(), key.into());
            }
        }
        let context = if context.is_object() { context } else { json!({ "list": context, "a": 1 }) };
        let json = json!({ "state": "ENABLED", "variants": { "true": 1, "1": 2, "a": 3 }, "defaultVariant": "a", "targeting": rule });
        let (Ok(definition), Ok(context)) = (Definition::parse(&json, &evaluators()), Context::parse(context)) else {
            return Ok(());
        };
        let set = Set::compile([("flag".to_owned(), definition, Bucketing::V2)], &evaluators(), Map::new());
        let evaluation = set.evaluate("flag", &context, NOW);
        let again = set.evaluate_all(&context, NOW).map(|(_, evaluation)| evaluation).next();
        prop_assert!(evaluation.is_some());
        prop_assert_eq!(evaluation, again, "the same every time, alone and among all");
    }

    #[test]
    fn any_json_is_read_or_refused(json in anything()) {
        let _ = Evaluators::parse(&json);
        let _ = Context::parse(json.clone());
        let _ = parse_flagd(&json);
        let _ = parse_flagd(&json!({ "flags": json, "$evaluators": {} }));
        let _ = parse_flagd(&json!({ "flags": {}, "$evaluators": json }));
        if let Ok(definition) = Definition::parse(&json, &Evaluators::default()) {
            prop_assert_eq!(definition.to_json(), json);
        }
    }

    #[test]
    fn a_definition_that_is_read_is_read_again_from_what_it_says(
        variants in prop::collection::btree_map("[a-z]{1,4}", -9_007_199_254_740_991_i64..=9_007_199_254_740_991, 1..5),
        default in any::<Option<prop::sample::Index>>(),
        enabled in any::<bool>(),
        rule in rule(),
    ) {
        let names: Vec<_> = variants.keys().cloned().collect();
        let json = json!({
            "state": if enabled { "ENABLED" } else { "DISABLED" },
            "variants": variants,
            "defaultVariant": default.map(|index| index.get(&names)),
            "targeting": rule,
        });
        let Ok(definition) = Definition::parse(&json, &evaluators()) else { return Ok(()) };
        prop_assert_eq!(definition.to_json().to_string(), json.to_string());
        prop_assert_eq!(Definition::parse(&definition.to_json(), &evaluators()).unwrap(), definition);
    }
}
