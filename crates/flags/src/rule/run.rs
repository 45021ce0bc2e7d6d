//! Running a compiled rule, every operation counted.

use super::bucket::{self, Buckets};
use super::compare::compare;
use super::path::Path;
use super::value::{Facts, List, Object, Text, Val};
use super::{Expr, Fault, Operator, version};

/// So much text is read or made for one step.
const BYTES_A_STEP: usize = 64;

/// What the rule gives for these facts. Takes what it used off the steps left.
pub(crate) fn run<'a>(rule: &'a Expr, facts: &'a Facts<'a>, steps_left: &mut u32) -> Result<Val<'a>, Fault> {
    let mut run = Run {
        facts,
        steps_left: *steps_left,
    };
    let result = run.value(rule, &Val::Object(Object::Context(facts)));
    *steps_left = run.steps_left;
    result
}

pub(super) struct Run<'a> {
    facts: &'a Facts<'a>,
    steps_left: u32,
}

impl<'a> Run<'a> {
    pub(super) fn value(&mut self, rule: &'a Expr, scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        self.spend(1)?;
        match rule {
            Expr::Literal(json) => Ok(Val::from(json)),
            Expr::List(items) => Ok(Val::list(self.values(items, scope)?)),
            Expr::Var { path, default } => self.var(path, default.as_deref(), scope),
            Expr::VarOf { path, default } => {
                let path = self.value(path, scope)?;
                let path = if matches!(path, Val::Null) {
                    Path::parse("")
                } else {
                    Path::parse(self.text(&path)?.as_str())
                };
                self.var(&path, default.as_deref(), scope)
            }
            Expr::Missing(keys) => self.missing(keys, scope),
            Expr::MissingOf(keys) => self.missing_of(keys, scope),
            Expr::MissingSome { needed, keys } => self.missing_some(*needed, keys, scope),
            Expr::If(parts) => self.branch(parts, scope),
            Expr::And(parts) => self.until(false, parts, scope),
            Expr::Or(parts) => self.until(true, parts, scope),
            Expr::Each { each, list, rule } => self.each(*each, list, rule, scope),
            Expr::Reduce { list, rule, start } => self.reduce(list, rule, start.as_deref(), scope),
            Expr::Apply(operator, arguments) => self.apply(*operator, arguments, scope),
            Expr::Shared(rule) => self.value(rule, scope),
        }
    }

    fn values(&mut self, rules: &'a [Expr], scope: &Val<'a>) -> Result<Vec<Val<'a>>, Fault> {
        rules.iter().map(|rule| self.value(rule, scope)).collect()
    }

    fn spend(&mut self, steps: usize) -> Result<(), Fault> {
        let left = u32::try_from(steps)
            .ok()
            .and_then(|steps| self.steps_left.checked_sub(steps));
        self.steps_left = left.unwrap_or_default();
        left.map(|_| ())
            .ok_or_else(|| Fault::bound("more steps than an evaluation may take"))
    }

    /// Text that an operator reads or makes is work too.
    fn spend_on(&mut self, value: &Val<'_>) -> Result<(), Fault> {
        match value {
            Val::Text(text) => self.spend(text.as_str().len() / BYTES_A_STEP),
            _ => Ok(()),
        }
    }

    fn text(&mut self, value: &Val<'a>) -> Result<Text<'a>, Fault> {
        if let Val::List(list) = value {
            self.spend(list.len())?;
        }
        let text = value.to_text()?;
        self.spend(text.as_str().len() / BYTES_A_STEP)?;
        Ok(text)
    }

    fn var(&mut self, path: &Path, default: Option<&'a Expr>, scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        match (path.find(scope), default.filter(|_| !path.is_whole())) {
            (None | Some(Val::Null), Some(default)) => self.value(default, scope),
            (found, _) => Ok(found.unwrap_or(Val::Null)),
        }
    }

    fn missing(&mut self, keys: &'a [String], scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        self.spend(keys.len())?;
        let missing = keys.iter().filter(|key| Path::parse(key).find(scope).is_none());
        let missing: Vec<_> = missing.map(|key| Val::Text(Text::Given(key))).collect();
        Ok(Val::list(missing))
    }

    fn missing_of(&mut self, keys: &'a Expr, scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        let keys = match self.value(keys, scope)? {
            Val::List(keys) => keys.iter().collect(),
            key => vec![key],
        };
        let mut missing = Vec::new();
        for key in keys {
            self.spend(1)?;
            if Path::parse(self.text(&key)?.as_str()).find(scope).is_none() {
                missing.push(key);
            }
        }
        Ok(Val::list(missing))
    }

    fn missing_some(&mut self, needed: f64, keys: &'a [String], scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        let missing = self.missing(keys, scope)?;
        let Val::List(list) = &missing else { return Ok(missing) };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rule has fewer keys than a number has digits"
        )]
        let found = (keys.len() - list.len()) as f64;
        Ok(if found >= needed {
            Val::List(List::EMPTY)
        } else {
            missing
        })
    }

    fn branch(&mut self, parts: &'a [Expr], scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        for pair in parts.chunks(2) {
            let (condition, then) = match pair {
                [condition, then] => (condition, then),
                [otherwise] => return self.value(otherwise, scope),
                _ => break,
            };
            if self.value(condition, scope)?.truthy() {
                return self.value(then, scope);
            }
        }
        Ok(Val::Null)
    }

    /// The first value of this truth, or the last.
    fn until(&mut self, truth: bool, parts: &'a [Expr], scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        let mut last = Val::Null;
        for part in parts {
            last = self.value(part, scope)?;
            if last.truthy() == truth {
                break;
            }
        }
        Ok(last)
    }

    fn apply(&mut self, operator: Operator, arguments: &'a [Expr], scope: &Val<'a>) -> Result<Val<'a>, Fault> {
        // The only one here that does not look at its last argument where the first two decide.
        if let (Operator::Less | Operator::LessOrEqual, [low, middle, high]) = (operator, arguments) {
            return self.between(operator, [low, middle, high], scope);
        }
        let values = self.values(arguments, scope)?;
        for value in &values {
            self.spend_on(value)?;
        }
        match (operator, values.as_slice()) {
            (Operator::Same, [one, two]) => Ok(Val::Bool(one.same(two))),
            (Operator::NotSame, [one, two]) => Ok(Val::Bool(!one.same(two))),
            (Operator::Not, [value]) => Ok(Val::Bool(!value.truthy())),
            (Operator::Truth, [value]) => Ok(Val::Bool(value.truthy())),
            (Operator::In, [item, whole]) => self.is_in(item, whole),
            (Operator::Max, values) => extreme(values, f64::max),
            (Operator::Min, values) => extreme(values, f64::min),
            (Operator::Merge, values) => self.merge(values),
            (Operator::Cat, values) => self.cat(values),
            (Operator::Substr, [text, rest @ ..]) => substr(text, rest),
            (Operator::StartsWith, [Val::Text(text), Val::Text(part)]) => {
                Ok(Val::Bool(text.as_str().starts_with(part.as_str())))
            }
            (Operator::EndsWith, [Val::Text(text), Val::Text(part)]) => {
                Ok(Val::Bool(text.as_str().ends_with(part.as_str())))
            }
            (Operator::StartsWith | Operator::EndsWith, _) => Ok(Val::Null),
            (Operator::SemVer, [one, operator, two]) => {
                let (one, operator, two) = (self.text(one)?, self.text(operator)?, self.text(two)?);
                let holds = version::compare(one.as_str(), operator.as_str(), two.as_str());
                Ok(holds.map_or(Val::Null, Val::Bool))
            }
            (Operator::Fractional, _) => self.fractional(values),
            (operator, [one, two]) if is_comparison(operator) => Ok(Val::Bool(compare(one, two)?.holds(operator))),
            (operator, values) => arithmetic(operator, values),
        }
    }

    fn between(
        &mut self,
        operator: Operator,
        [low, middle, high]: [&'a Expr; 3],
        scope: &Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        let (low, middle) = (self.value(low, scope)?, self.value(middle, scope)?);
        self.spend_on(&middle)?;
        if !compare(&low, &middle)?.holds(operator) {
            return Ok(Val::Bool(false));
        }
        let high = self.value(high, scope)?;
        Ok(Val::Bool(compare(&middle, &high)?.holds(operator)))
    }

    fn is_in(&mut self, item: &Val<'a>, whole: &Val<'a>) -> Result<Val<'a>, Fault> {
        match whole {
            // Also an empty text, in which there would be another.
            nothing if nothing.is_nothing() => Ok(Val::Bool(false)),
            Val::Text(whole) => Ok(Val::Bool(whole.as_str().contains(self.text(item)?.as_str()))),
            Val::List(list) => {
                self.spend(list.len())?;
                let mut found = false;
                for member in list.iter() {
                    self.spend_on(&member)?;
                    found = found || member.same(item);
                }
                Ok(Val::Bool(found))
            }
            _ => Err(Fault::rule("`in` looks into a text or a list")),
        }
    }

    fn merge(&mut self, values: &[Val<'a>]) -> Result<Val<'a>, Fault> {
        let mut merged = Vec::new();
        for value in values {
            if let Val::List(list) = value {
                self.spend(list.len())?;
                merged.extend(list.iter());
            } else {
                merged.push(value.clone());
            }
        }
        Ok(Val::list(merged))
    }

    fn cat(&mut self, values: &[Val<'a>]) -> Result<Val<'a>, Fault> {
        let mut text = String::new();
        for value in values.iter().filter(|value| !matches!(value, Val::Null)) {
            if let Val::List(list) = value {
                self.spend(list.len())?;
            }
            value.write(&mut text)?;
        }
        self.spend(text.len() / BYTES_A_STEP)?;
        Ok(Val::text(text))
    }

    fn fractional(&mut self, values: Vec<Val<'a>>) -> Result<Val<'a>, Fault> {
        let (seed, buckets) = bucket::arguments(values);
        let key = self
            .facts
            .context
            .get("targetingKey")
            .and_then(serde_json::Value::as_str);
        let seed = match (&seed, key) {
            (Some(seed), _) => seed.as_str().to_owned(),
            (None, Some(key)) if !key.is_empty() => format!("{}{key}", self.facts.flag_key),
            _ => return Ok(Val::Null),
        };
        self.spend(buckets.len() + seed.len() / BYTES_A_STEP)?;
        Ok(Buckets::read(&buckets)
            .and_then(|buckets| buckets.choose(&seed))
            .unwrap_or(Val::Null))
    }
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    matches!(
        operator,
        Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual
    )
}

/// Only numbers have a largest and a smallest: a text that looks like one is refused.
fn extreme<'a>(values: &[Val<'a>], choose: fn(f64, f64) -> f64) -> Result<Val<'a>, Fault> {
    let numbers = values.iter().map(|value| match value {
        Val::Number(number) => Ok(*number),
        _ => Err(Fault::rule("`max` and `min` take numbers")),
    });
    let numbers: Vec<f64> = numbers.collect::<Result<_, _>>()?;
    let extreme = numbers.into_iter().reduce(choose);
    extreme
        .map(Val::Number)
        .ok_or_else(|| Fault::rule("`max` and `min` take at least one number"))
}

fn arithmetic<'a>(operator: Operator, values: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let numbers: Vec<f64> = values.iter().map(Val::number).collect::<Result<_, _>>()?;
    let result = match (operator, numbers.as_slice()) {
        (Operator::Add, numbers) => numbers.iter().sum(),
        (Operator::Subtract, [number]) => -number,
        (Operator::Subtract, [first, rest @ ..]) => rest.iter().fold(*first, |left, number| left - number),
        (Operator::Multiply, numbers) => numbers.iter().product(),
        (Operator::Divide, [_, by]) if *by == 0.0 => return Err(Fault::rule("a division by zero")),
        (Operator::Divide, [number, by]) => number / by,
        (Operator::Remainder, [number, by]) => number % by,
        _ => f64::NAN,
    };
    if result.is_nan() {
        return Err(Fault::rule("arithmetic with what is no number"));
    }
    Ok(Val::Number(result))
}

/// By UTF-16 units, as JavaScript counts; a character that is cut in half is replaced.
fn substr<'a>(text: &Val<'a>, rest: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let Val::Text(text) = text else {
        return Err(Fault::rule("`substr` takes a text"));
    };
    let units: Vec<u16> = text.as_str().encode_utf16().collect();
    let from = rest.first().map_or(Ok(0.0), Val::number)?.trunc();
    let start = clamp(if from < 0.0 { length(units.len()) + from } else { from }, units.len());
    let left = units.get(start..).unwrap_or_default();
    let count = match rest.get(1).map(Val::number).transpose()? {
        None => left.len(),
        Some(count) if count < 0.0 => clamp(length(left.len()) + count, left.len()),
        Some(count) => clamp(count, left.len()),
    };
    Ok(Val::text(String::from_utf16_lossy(
        left.get(..count).unwrap_or_default(),
    )))
}

#[expect(clippy::cast_precision_loss, reason = "texts are shorter than 2^53")]
fn length(length: usize) -> f64 {
    length as f64
}

/// What is no number counts as zero here.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between zero and the length"
)]
fn clamp(at: f64, most: usize) -> usize {
    at.clamp(0.0, length(most)) as usize
}
