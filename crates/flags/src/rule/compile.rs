//! Reading a rule: every mistake that can be seen without a context is found here, with its place.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::bucket::WEIGHTS_MAX;
use super::number;
use super::operators::{Kind, all_names, named};
use super::path::Path;
use super::{Expr, Operator};
use crate::place::{Mistake, Place};
use crate::{Evaluators, RULE_DEPTH_MAX};

/// A compiled rule, and how deep its operators are nested.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) expr: Arc<Expr>,
    pub(crate) depth: usize,
}

pub(crate) fn compile(json: &Value, at: &Place<'_>, evaluators: &Evaluators) -> Result<Rule, Mistake> {
    let mut compiler = Compiler { evaluators, deepest: 0 };
    let expr = compiler.rule(json, at, 0)?;
    Ok(Rule {
        expr: Arc::new(expr),
        depth: compiler.deepest,
    })
}

struct Compiler<'e> {
    evaluators: &'e Evaluators,
    deepest: usize,
}

impl Compiler<'_> {
    fn rule(&mut self, json: &Value, at: &Place<'_>, depth: usize) -> Result<Expr, Mistake> {
        self.deepest = self.deepest.max(depth);
        if self.deepest > RULE_DEPTH_MAX {
            return Err(at.mistake(format!(
                "the rule is nested deeper than {RULE_DEPTH_MAX} operators; make it flatter"
            )));
        }
        match json {
            Value::Array(items) => self.list(json, items, at, depth),
            Value::Object(members) => self.operation(members, at, depth),
            _ => Ok(Expr::Literal(json.clone())),
        }
    }

    fn list(&mut self, json: &Value, items: &[Value], at: &Place<'_>, depth: usize) -> Result<Expr, Mistake> {
        let items = self.rules(items, at, depth)?;
        if items.iter().all(|item| matches!(item, Expr::Literal(_))) {
            return Ok(Expr::Literal(json.clone()));
        }
        Ok(Expr::List(items))
    }

    fn rules(&mut self, rules: &[Value], at: &Place<'_>, depth: usize) -> Result<Vec<Expr>, Mistake> {
        let places = rules.iter().enumerate();
        places
            .map(|(item, rule)| self.rule(rule, &Place::Item(at, item), depth + 1))
            .collect()
    }

    fn operation(&mut self, members: &Map<String, Value>, at: &Place<'_>, depth: usize) -> Result<Expr, Mistake> {
        let mut members = members.iter();
        let (Some((name, argument)), None) = (members.next(), members.next()) else {
            return Err(at.mistake("an operation is an object with one member, the operator: {\"==\": [one, two]}"));
        };
        let at = Place::Member(at, name);
        if name == "$ref" {
            return self.reference(argument, &at, depth);
        }
        let Some(operator) = named(name) else {
            return Err(at.mistake(format!(
                "there is no operator `{name}`; there are {} and $ref",
                all_names()
            )));
        };
        // JSONLogic's short form: one argument without its list.
        let bare = std::slice::from_ref(argument);
        let arguments = match (argument, &operator.kind) {
            (Value::Array(arguments), _) => arguments.as_slice(),
            (_, Kind::Var | Kind::Missing | Kind::Apply(Operator::Not | Operator::Truth)) => bare,
            _ => return Err(at.mistake(format!("write the arguments of `{name}` as a list"))),
        };
        if !operator.takes(arguments.len()) {
            return Err(operator.wrong_count(arguments.len(), &at));
        }
        match &operator.kind {
            Kind::Var => self.var(arguments, argument.is_array(), &at, depth),
            Kind::Missing => self.missing(argument, arguments, &at, depth),
            Kind::MissingSome => missing_some(arguments, &at),
            Kind::Apply(operator) if !argument.is_array() => {
                Ok(Expr::Apply(*operator, vec![self.rule(argument, &at, depth + 1)?]))
            }
            kind => {
                check_literals(kind, arguments, &at)?;
                let rules = self.rules(arguments, &at, depth)?;
                operator.of(rules).map_err(|count| operator.wrong_count(count, &at))
            }
        }
    }

    fn reference(&mut self, name: &Value, at: &Place<'_>, depth: usize) -> Result<Expr, Mistake> {
        let Some(name) = name.as_str() else {
            return Err(at.mistake("`$ref` takes the name of a shared evaluator"));
        };
        let Some(shared) = self.evaluators.rule(name) else {
            return Err(at.mistake(format!("there is no shared evaluator `{name}`")));
        };
        self.deepest = self.deepest.max(depth + shared.depth);
        if self.deepest > RULE_DEPTH_MAX {
            return Err(at.mistake(format!(
                "with the evaluator `{name}` the rule is nested deeper than {RULE_DEPTH_MAX} operators; make it flatter"
            )));
        }
        Ok(Expr::Shared(Arc::clone(&shared.expr)))
    }

    fn var(&mut self, arguments: &[Value], listed: bool, at: &Place<'_>, depth: usize) -> Result<Expr, Mistake> {
        let first = Place::Item(at, 0);
        let at_path = if listed { &first } else { at };
        let [path, rest @ ..] = arguments else {
            return Err(at.mistake("`var` takes a path"));
        };
        let default = match rest.first() {
            Some(default) => Some(Box::new(self.rule(default, &Place::Item(at, 1), depth + 1)?)),
            None => None,
        };
        let path = match path {
            Value::Null => Path::parse(""),
            Value::String(text) => {
                check_path(text, at_path)?;
                Path::parse(text)
            }
            Value::Number(number) => Path::parse(&number.to_string()),
            Value::Object(_) => {
                let path = Box::new(self.rule(path, at_path, depth + 1)?);
                return Ok(Expr::VarOf { path, default });
            }
            _ => return Err(at_path.mistake("`var` takes a path, such as \"user.plan\"")),
        };
        Ok(Expr::Var { path, default })
    }

    fn missing(&mut self, argument: &Value, keys: &[Value], at: &Place<'_>, depth: usize) -> Result<Expr, Mistake> {
        if argument.is_object() {
            return Ok(Expr::MissingOf(Box::new(self.rule(argument, at, depth + 1)?)));
        }
        Ok(Expr::Missing(names(keys, at)?))
    }
}

fn missing_some(arguments: &[Value], at: &Place<'_>) -> Result<Expr, Mistake> {
    let [needed, keys] = arguments else {
        return Err(at.mistake("`missing_some` takes a number and a list of keys"));
    };
    let needed = needed
        .as_f64()
        .ok_or_else(|| Place::Item(at, 0).mistake("the first argument is how many of the keys are needed, a number"))?;
    let at = Place::Item(at, 1);
    let keys = keys
        .as_array()
        .ok_or_else(|| at.mistake("the second argument is a list of keys"))?;
    Ok(Expr::MissingSome {
        needed,
        keys: names(keys, &at)?,
    })
}

fn names(keys: &[Value], at: &Place<'_>) -> Result<Vec<String>, Mistake> {
    let names = keys.iter().enumerate().map(|(item, key)| {
        let at = Place::Item(at, item);
        match key.as_str() {
            Some(key) if !key.is_empty() => check_path(key, &at).map(|()| key.to_owned()),
            _ => Err(at.mistake("a key is a text, such as \"user.plan\"")),
        }
    });
    names.collect()
}

fn check_path(path: &str, at: &Place<'_>) -> Result<(), Mistake> {
    if path.starts_with("../") {
        return Err(
            at.mistake("a path cannot leave the item that a rule runs for; compute what is needed before the list")
        );
    }
    if let Some(member) = path.strip_prefix("$flagd.")
        && !matches!(member, "flagKey" | "timestamp")
    {
        return Err(at.mistake("`$flagd` has `flagKey` and `timestamp`"));
    }
    Ok(())
}

/// Mistakes in arguments that are written out and could only fail.
fn check_literals(kind: &Kind, arguments: &[Value], at: &Place<'_>) -> Result<(), Mistake> {
    match kind {
        Kind::Apply(Operator::SemVer) => match arguments.get(1) {
            Some(Value::Object(_)) => Ok(()),
            Some(Value::String(operator))
                if ["=", "!=", "<", "<=", ">", ">=", "^", "~"].contains(&operator.as_str()) =>
            {
                Ok(())
            }
            _ => Err(Place::Item(at, 1).mistake("the second argument is one of = != < <= > >= ^ ~")),
        },
        Kind::Apply(Operator::Fractional) => {
            let seeded = match arguments.first() {
                Some(Value::Array(_)) => false,
                Some(Value::String(_) | Value::Null | Value::Object(_)) => true,
                _ => return Err(Place::Item(at, 0).mistake("the first argument is a bucket, or the text to bucket by")),
            };
            let mut total = 0_i64;
            for (item, bucket) in arguments.iter().enumerate().skip(usize::from(seeded)) {
                total = total.saturating_add(weight(bucket, &Place::Item(at, item))?);
            }
            if total > WEIGHTS_MAX {
                return Err(at.mistake(format!(
                    "the weights add up to {total}; at most {WEIGHTS_MAX} is possible"
                )));
            }
            Ok(())
        }
        Kind::Apply(
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder,
        ) => check_each(arguments, at, |argument| match argument {
            Value::String(text) => !number::parse(text).is_nan(),
            Value::Array(_) => false,
            _ => true,
        }),
        Kind::Apply(Operator::Max | Operator::Min) => check_each(arguments, at, |argument| {
            matches!(argument, Value::Number(_) | Value::Object(_))
        }),
        _ => Ok(()),
    }
}

fn check_each(arguments: &[Value], at: &Place<'_>, is_number: impl Fn(&Value) -> bool) -> Result<(), Mistake> {
    match arguments.iter().position(|argument| !is_number(argument)) {
        Some(item) => Err(Place::Item(at, item).mistake("a number is needed here")),
        None => Ok(()),
    }
}

/// The weight of a bucket as far as it is written out.
fn weight(bucket: &Value, at: &Place<'_>) -> Result<i64, Mistake> {
    match bucket {
        Value::Object(_) => Ok(0),
        Value::Array(parts) => match parts.as_slice() {
            [_] => Ok(1),
            [_, Value::Object(_)] => Ok(0),
            [_, weight] if weight.as_f64().is_some_and(|weight| weight.fract() == 0.0) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "what is too large stays so")]
                Ok(weight.as_f64().unwrap_or_default().max(0.0) as i64)
            }
            [_, _] => Err(Place::Item(at, 1).mistake("a weight is a whole number")),
            _ => Err(at.mistake("a bucket is [\"variant\"] or [\"variant\", weight]")),
        },
        _ => Err(at.mistake("a bucket is a list: [\"variant\"] or [\"variant\", weight]")),
    }
}
