//! Rules that flags share: `$evaluators`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::definition::within_size;
use crate::place::{Mistake, Place};
use crate::rule::{self, Rule};

/// Bounds the work that finding their order is.
const EVALUATORS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 128;

/// The shared evaluators of a set, by name. A rule names one by `{"$ref": "name"}`, and so may another evaluator.
#[derive(Clone, Debug, Default)]
pub struct Evaluators {
    json: Map<String, Value>,
    compiled: BTreeMap<String, Rule>,
}

impl Evaluators {
    /// From an object of rules by name.
    pub fn parse(json: &Value) -> Result<Self, Mistake> {
        let place = Place::Document;
        let rules = json
            .as_object()
            .ok_or_else(|| place.mistake("evaluators are an object of rules by name"))?;
        within_size(json, "the evaluators")?;
        if rules.len() > EVALUATORS_MAX {
            return Err(place.mistake(format!(
                "a set has at most {EVALUATORS_MAX} evaluators, not {}",
                rules.len()
            )));
        }
        let mut evaluators = Self {
            json: rules.clone(),
            compiled: BTreeMap::new(),
        };
        let mut waiting: Vec<_> = rules
            .iter()
            .map(|(name, rule)| (name.as_str(), rule, references(rule)))
            .collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let unknown_or_compiled =
                |name: &&str, compiled: &BTreeMap<_, _>| compiled.contains_key(*name) || !rules.contains_key(*name);
            let (ready, blocked): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, _, references)| {
                references
                    .iter()
                    .all(|name| unknown_or_compiled(name, &evaluators.compiled))
            });
            for (name, rule, _) in ready {
                let place = Place::Member(&place, name);
                check_name(name, &place)?;
                if rule.as_object().is_none_or(Map::is_empty) {
                    return Err(place.mistake("an evaluator is a rule, such as {\"==\": [one, two]}"));
                }
                let rule = rule::compile(rule, &place, &evaluators)?;
                evaluators.compiled.insert(name.to_owned(), rule);
            }
            waiting = blocked;
            if waiting.len() == before
                && let Some((name, ..)) = waiting.first()
            {
                return Err(
                    Place::Member(&place, name).mistake("this evaluator refers to itself, directly or through others")
                );
            }
        }
        Ok(evaluators)
    }

    pub fn to_json(&self) -> Value {
        Value::Object(self.json.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    pub(crate) fn rule(&self, name: &str) -> Option<&Rule> {
        self.compiled.get(name)
    }
}

fn check_name(name: &str, place: &Place<'_>) -> Result<(), Mistake> {
    // flagd finds references by the text `{"$ref":"name"}`, which escapes would change.
    let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        return Err(place.mistake(format!(
            "an evaluator's name has 1 to {NAME_BYTES_MAX} bytes, without quotes, backslashes and control characters"
        )));
    }
    Ok(())
}

/// The names of the evaluators that a rule refers to.
fn references(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(evaluator) if name == "$ref" => vec![evaluator.as_str()],
                _ => references(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}
