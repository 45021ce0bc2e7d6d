//! Which operators an evaluation comes by: those whose failing makes it fail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::cases::Case;

#[derive(Default)]
pub(crate) struct Reached(pub(crate) BTreeMap<String, usize>);

impl Reached {
    pub(crate) fn count(&mut self, case: &Case) {
        // Where the rule fails like this by itself, it cannot be told.
        if case.reaches(&case.definition, &case.evaluators) {
            return;
        }
        let document = json!([case.definition["targeting"], case.evaluators]);
        let mut reached = BTreeSet::new();
        for (operator, at) in operations(&document, "") {
            if !reached.contains(&operator) && reaches(case, &document, &at) {
                reached.insert(operator);
            }
        }
        for operator in reached {
            *self.0.entry(operator).or_default() += 1;
        }
    }
}

fn reaches(case: &Case, document: &Value, at: &str) -> bool {
    let mut broken = document.clone();
    if let Some(operation) = broken.pointer_mut(at) {
        *operation = json!({ "/": [1, 0] });
    }
    let mut definition = case.definition.clone();
    definition["targeting"] = broken[0].take();
    case.reaches(&definition, &broken[1])
}

/// Every operation of a rule: its operator and its place.
fn operations(rule: &Value, at: &str) -> Vec<(String, String)> {
    match rule {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(item, rule)| operations(rule, &format!("{at}/{item}")))
            .collect(),
        Value::Object(members) => {
            let here = members
                .keys()
                .filter(|_| !at.is_empty() && at != "/1")
                .map(|name| (name.clone(), at.to_owned()));
            let below = members.iter().flat_map(|(name, rule)| {
                operations(rule, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")))
            });
            here.chain(below).collect()
        }
        _ => Vec::new(),
    }
}
