//! Definitions as people mean them.

use serde_json::{Map, Value, json};
use strongroom_flags::Evaluators;

use crate::client::failure::{CONFLICT, Failure};

pub(super) type Definition = Map<String, Value>;

/// A flag that gives one value: `on` and `off` where that is a truth, or else the one variant `value`.
pub(super) fn of_value(value: &Value) -> Definition {
    let (variants, default) = match value {
        Value::Bool(on) => (json!({ "on": true, "off": false }), if *on { "on" } else { "off" }),
        value => (json!({ "value": value }), "value"),
    };
    let mut definition = Definition::new();
    definition.insert("state".into(), "ENABLED".into());
    definition.insert("variants".into(), variants);
    definition.insert("defaultVariant".into(), default.into());
    definition
}

/// JSON, or else a text.
pub(super) fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// What a variable says: true or false, a number that is written in the same way again, or else a text.
pub(super) fn of_variable(text: &str) -> Value {
    match json_or_text(text) {
        truth @ Value::Bool(_) => truth,
        number @ Value::Number(_) if is_written(&number, text) && holds(&number) => number,
        _ => text.into(),
    }
}

fn is_written(value: &Value, text: &str) -> bool {
    let written = value.to_string();
    written == text
}

fn holds(value: &Value) -> bool {
    let definition = Value::Object(of_value(value));
    strongroom_flags::Definition::parse(&definition, &Evaluators::default()).is_ok()
}

pub(super) fn variants(definition: &Definition) -> impl Iterator<Item = (&str, &Value)> {
    let variants = definition.get("variants").and_then(Value::as_object);
    variants
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

pub(super) fn is_boolean(definition: &Definition) -> bool {
    variants(definition).all(|(_, value)| value.is_boolean())
}

/// Makes the variant of this value the one that holds; false: there is none. The default stays where it has it already.
pub(super) fn choose(definition: &mut Definition, value: &Value) -> bool {
    let default = definition.get("defaultVariant").and_then(Value::as_str);
    let mut with_it: Vec<&str> = variants(definition)
        .filter(|(_, found)| *found == value)
        .map(|(name, _)| name)
        .collect();
    with_it.sort_by_key(|name| Some(*name) != default);
    let Some(name) = with_it.first().map(|name| Value::from(*name)) else {
        return false;
    };
    definition.insert("defaultVariant".into(), name);
    enable(definition);
    true
}

pub(super) fn enable(definition: &mut Definition) {
    definition.insert("state".into(), "ENABLED".into());
}

/// The rule, where there is one that may decide something.
pub(super) fn rule(definition: &Definition) -> Option<&Value> {
    let rule = definition.get("targeting").filter(|rule| !rule.is_null());
    rule.filter(|rule| rule.as_object().is_none_or(|rule| !rule.is_empty()))
}

/// Weights of everybody, as `rollout` writes them, and nothing else.
pub(super) fn is_rollout(rule: &Value) -> bool {
    let buckets = rule.as_object().filter(|rule| rule.len() == 1);
    let buckets = buckets
        .and_then(|rule| rule.get("fractional"))
        .and_then(Value::as_array);
    buckets.is_some_and(|buckets| {
        !buckets.is_empty()
            && buckets.iter().all(|bucket| {
                matches!(bucket.as_array().map(Vec::as_slice), Some([name, weight]) if name.is_string() && weight.is_u64())
            })
    })
}

pub(super) fn rollout(weights: &[(String, u32)]) -> Value {
    let buckets: Vec<Value> = weights.iter().map(|(name, weight)| json!([name, weight])).collect();
    json!({ "fractional": buckets })
}

/// Takes the rule away. One that is more than a rollout was thought about: it goes only where that is said.
pub(super) fn clear_rule(definition: &mut Definition, replace: bool) -> Result<(), Failure> {
    if rule(definition).is_some_and(|rule| !replace && !is_rollout(rule)) {
        return Err(
            Failure::usage("The flag has a rule, which would still decide or would be lost.")
                .help(
                    "'--replace' takes the rule away, and 'flag rollback' brings it back; 'flag set --default' changes what holds \
                     where the rule says nothing, 'flag set --state disabled' disables the flag.",
                )
                .exiting(CONFLICT),
        );
    }
    definition.remove("targeting");
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn variables_are_truths_numbers_or_texts() {
        for (text, wanted) in [
            ("true", json!(true)),
            ("false", json!(false)),
            ("0", json!(0)),
            ("-1.5", json!(-1.5)),
            ("9007199254740991", json!(9_007_199_254_740_991_u64)),
            ("9007199254740992", json!("9007199254740992")),
            ("007", json!("007")),
            ("1e3", json!("1e3")),
            (" 1", json!(" 1")),
            ("TRUE", json!("TRUE")),
            ("null", json!("null")),
            ("{}", json!("{}")),
            ("", json!("")),
        ] {
            assert_eq!(of_variable(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_variant_is_chosen_by_its_value() {
        let mut flag =
            json!({ "state": "DISABLED", "variants": { "a": true, "b": true, "c": false }, "defaultVariant": "b" });
        let flag = flag.as_object_mut().unwrap();
        assert!(choose(flag, &json!(true)) && flag["defaultVariant"] == "b" && flag["state"] == "ENABLED");
        assert!(choose(flag, &json!(false)) && flag["defaultVariant"] == "c");
        assert!(!choose(flag, &json!("x")) && flag["defaultVariant"] == "c");
    }

    #[test]
    fn a_rollout_is_weights_alone() {
        assert!(is_rollout(&rollout(&[("on".into(), 1), ("off".into(), 99)])));
        for other in [
            json!({ "if": [true, "on"] }),
            json!({ "fractional": [] }),
            json!({ "fractional": [{ "var": "company" }, ["on", 1]] }),
            json!({ "fractional": [["on", { "var": "x" }]] }),
            json!("on"),
        ] {
            assert!(!is_rollout(&other), "{other}");
            let mut flag = Definition::from_iter([("targeting".to_owned(), other)]);
            assert!(clear_rule(&mut flag, false).is_err() && flag.contains_key("targeting"));
            assert!(clear_rule(&mut flag, true).is_ok() && flag.is_empty());
        }
        for none in [json!(null), json!({}), rollout(&[("on".into(), 1)])] {
            let mut flag = Definition::from_iter([("targeting".to_owned(), none)]);
            assert!(clear_rule(&mut flag, false).is_ok());
        }
    }

    proptest! {
        #[test]
        fn what_a_variable_says_is_written_as_it_was(text in "(-?[0-9]{1,18}(\\.[0-9]{1,3})?|\\PC{0,12})") {
            let value = of_variable(&text);
            let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            prop_assert_eq!(written, text);
            prop_assert!(holds(&value));
        }
    }
}
