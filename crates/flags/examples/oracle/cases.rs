//! Random sets, flags and contexts.

use serde_json::{Map, Value, json};
use strongroom_flags::{Bucketing, Context, Definition, Evaluators, FailureCode, Set};

use crate::dice::Dice;
use crate::leaves::{NUMBERS, TEXTS, VARIANTS, VERSIONS};
use crate::rules::Rules;

const RULE_DEPTH: usize = 5;

/// One flag, and whom it is evaluated for.
pub(crate) struct Case {
    pub(crate) definition: Value,
    pub(crate) evaluators: Value,
    metadata: Value,
    context: Value,
    now_unix: i64,
}

const KEY: &str = "new-checkout";

impl Case {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let (definition, evaluators) = loop {
            let (definition, evaluators) = definition(dice);
            // Literals that no operator takes are refused when a flag is written.
            if Evaluators::parse(&evaluators)
                .is_ok_and(|evaluators| Definition::parse(&definition, &evaluators).is_ok())
            {
                break (definition, evaluators);
            }
        };
        let metadata = if dice.chance(30) {
            json!({ "flagSetId": "shop", "team": "all" })
        } else {
            json!({})
        };
        let now_unix = dice.between(1_700_000_000, 1_800_000_000);
        Self {
            definition,
            evaluators,
            metadata,
            context: context(dice),
            now_unix,
        }
    }

    /// What flagd-core needs for it.
    pub(crate) fn question(&self, rules: &[&str]) -> Value {
        json!({
            "key": KEY,
            "type": Definition::parse(&self.definition, &Evaluators::parse(&self.evaluators).unwrap()).unwrap().value_type().name(),
            "document": { "flags": { KEY: self.definition }, "$evaluators": self.evaluators, "metadata": self.metadata },
            "context": self.context,
            "now": self.now_unix,
            "rules": rules,
        })
    }

    /// Ours, in the form of flagd-core's answer.
    pub(crate) fn answer(&self) -> Value {
        let evaluation = self.evaluate(&self.definition, &self.evaluators).unwrap();
        let metadata = Value::Object((*evaluation.metadata).clone());
        match evaluation.outcome {
            Ok(evaluated) => {
                let mut answer = json!({ "reason": evaluated.reason.name(), "metadata": metadata });
                if let Some(variant) = evaluated.variant {
                    answer["variant"] = json!(*variant);
                }
                if let Some(value) = evaluated.value {
                    answer["value"] = (*value).clone();
                }
                answer
            }
            Err(failure) => json!({ "code": failure.code.name(), "metadata": metadata }),
        }
    }

    /// Whether the evaluation comes by an operator: whether it fails where the operator is replaced by one that does.
    pub(crate) fn reaches(&self, definition: &Value, evaluators: &Value) -> bool {
        let evaluation = self.evaluate(definition, evaluators);
        evaluation.is_some_and(|evaluation| {
            evaluation
                .outcome
                .is_err_and(|failure| failure.code == FailureCode::ParseError && failure.details.contains("zero"))
        })
    }

    fn evaluate(&self, definition: &Value, evaluators: &Value) -> Option<strongroom_flags::Evaluation> {
        let evaluators = Evaluators::parse(evaluators).ok()?;
        let definition = Definition::parse(definition, &evaluators).ok()?;
        let metadata = self.metadata.as_object().cloned().unwrap_or_default();
        let set = Set::compile([(KEY.to_owned(), definition, Bucketing::V2)], &evaluators, metadata);
        set.evaluate(KEY, &Context::parse(self.context.clone()).unwrap(), self.now_unix)
    }
}

fn definition(dice: &mut Dice) -> (Value, Value) {
    let names: Vec<_> = (0..dice.below(4)).map(|number| format!("shared{number}")).collect();
    let mut evaluators = Map::new();
    for (at, name) in names.iter().enumerate() {
        // flagd-core puts them in one after the other, so each may refer to those that follow.
        let mut rules = Rules::new(dice, names[at + 1..].to_vec());
        let rule = if rules.dice.chance(70) {
            rules.truth(2)
        } else {
            rules.result(2)
        };
        evaluators.insert(name.clone(), rule);
    }
    let mut definition = json!({
        "state": if dice.chance(95) { "ENABLED" } else { "DISABLED" },
        "variants": variants(dice),
    });
    match dice.below(10) {
        0 => {}
        1 => definition["defaultVariant"] = Value::Null,
        _ => definition["defaultVariant"] = json!(*dice.one_of(VARIANTS)),
    }
    match dice.below(50) {
        0 => {}
        1 => definition["targeting"] = json!({}),
        2 => definition["targeting"] = Value::Null,
        _ => definition["targeting"] = operation(dice, &names),
    }
    if dice.chance(20) {
        definition["metadata"] = json!({ "team": "web", "since": 2026 });
    }
    (definition, Value::Object(evaluators))
}

/// A rule that is an operation, as a flag's targeting has to be.
fn operation(dice: &mut Dice, evaluators: &[String]) -> Value {
    loop {
        let rule = Rules::new(dice, evaluators.to_vec()).result(RULE_DEPTH);
        if rule.is_object() {
            return rule;
        }
    }
}

fn variants(dice: &mut Dice) -> Value {
    let kind = dice.below(4);
    let values = VARIANTS.iter().enumerate().map(|(at, name)| {
        let value = match kind {
            0 => json!(at % 2 == 0),
            1 => json!(format!("value {at}")),
            2 => json!(at),
            _ => json!({ "at": at, "list": [1, null, "x"] }),
        };
        ((*name).to_owned(), value)
    });
    Value::Object(values.collect())
}

fn context(dice: &mut Dice) -> Value {
    let mut context = Map::new();
    let mut put = |dice: &mut Dice, name: &str, percent: usize, value: &dyn Fn(&mut Dice) -> Value| {
        if dice.chance(percent) {
            context.insert(name.to_owned(), value(dice));
        }
    };
    let text = |dice: &mut Dice| json!(*dice.one_of(TEXTS));
    let number = |dice: &mut Dice| json!(*dice.one_of(NUMBERS));
    let key = |dice: &mut Dice| match dice.below(10) {
        0 => json!(""),
        1 => json!(*dice.one_of(TEXTS)),
        _ => json!(format!("user-{}", dice.below(10_000))),
    };
    put(dice, "targetingKey", 85, &key);
    put(dice, "email", 80, &text);
    put(dice, "age", 80, &|dice| {
        if dice.chance(70) {
            json!(dice.below(100))
        } else {
            wild(dice, 1)
        }
    });
    put(dice, "version", 80, &|dice| json!(*dice.one_of(VERSIONS)));
    put(dice, "country", 70, &text);
    put(dice, "plan", 70, &|dice| json!(*dice.one_of(VARIANTS)));
    put(dice, "tags", 70, &|dice| {
        Value::Array((0..dice.below(4)).map(|_| text(dice)).collect())
    });
    put(dice, "scores", 70, &|dice| {
        Value::Array((0..dice.below(5)).map(|_| number(dice)).collect())
    });
    put(dice, "items", 60, &|dice| {
        let item = |dice: &mut Dice| json!({ "price": number(dice), "qty": dice.below(5), "tags": [text(dice)] });
        Value::Array((0..dice.below(4)).map(|_| item(dice)).collect())
    });
    put(
        dice,
        "user",
        70,
        &|dice| json!({ "id": number(dice), "name": text(dice), "score": number(dice), "roles": [text(dice), wild(dice, 1)] }),
    );
    put(dice, "beta", 50, &|dice| json!(dice.chance(50)));
    put(dice, "a.b", 50, &text);
    put(dice, "nothing", 50, &|_| Value::Null);
    put(dice, "empty", 50, &|dice| {
        if dice.chance(50) { json!([]) } else { json!({}) }
    });
    put(dice, "0", 30, &number);
    put(dice, "$flagd", 5, &|_| json!({ "flagKey": "other", "timestamp": 1 }));
    Value::Object(context)
}

/// Anything.
fn wild(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(if depth == 0 { 4 } else { 6 }) {
        0 => Value::Null,
        1 => json!(dice.chance(50)),
        2 => json!(*dice.one_of(NUMBERS)),
        3 => json!(*dice.one_of(TEXTS)),
        4 => Value::Array((0..dice.below(3)).map(|_| wild(dice, depth - 1)).collect()),
        _ => json!({ "id": wild(dice, depth - 1) }),
    }
}
