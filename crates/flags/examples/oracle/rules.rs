//! Random rules that a definition may have: mostly of the kinds that operators take, sometimes not.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::leaves::{NUMBERS, TEXTS, VARIANTS};

/// Where a rule stands, and so what `var` finds there.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scope {
    Context,
    Item,
    Reduction,
}

pub(crate) struct Rules<'d> {
    pub(crate) dice: &'d mut Dice,
    /// Names of the evaluators that may be referred to here.
    pub(crate) evaluators: Vec<String>,
    pub(crate) scope: Scope,
}

impl<'d> Rules<'d> {
    pub(crate) fn new(dice: &'d mut Dice, evaluators: Vec<String>) -> Self {
        Self {
            dice,
            evaluators,
            scope: Scope::Context,
        }
    }

    /// A rule whose result is mostly a variant.
    pub(crate) fn result(&mut self, depth: usize) -> Value {
        let shallow = depth == 0;
        match self.dice.below(if shallow { 5 } else { 20 }) {
            0..=2 => json!(*self.dice.one_of(VARIANTS)),
            3 => Value::Null,
            4 => self.leaf(),
            5..=9 => self.branch(depth),
            10..=13 => self.fractional(depth),
            14 => {
                let operator = *self.dice.one_of(&["and", "or"]);
                let parts = self.many(1, 3, |rules| {
                    if rules.dice.chance(50) {
                        rules.truth(depth - 1)
                    } else {
                        rules.result(depth - 1)
                    }
                });
                json!({ operator: parts })
            }
            15 => self.truth(depth - 1),
            16 => json!({ "cat": [self.text(depth - 1)] }),
            17 => self.reference().unwrap_or_else(|| self.branch(depth)),
            _ => self.any(depth - 1),
        }
    }

    fn branch(&mut self, depth: usize) -> Value {
        let mut parts = Vec::new();
        for _ in 0..=usize::from(self.dice.chance(25)) {
            parts.push(self.truth(depth - 1));
            parts.push(self.result(depth - 1));
        }
        if self.dice.chance(80) {
            parts.push(self.result(depth - 1));
        }
        json!({ "if": parts })
    }

    fn fractional(&mut self, depth: usize) -> Value {
        let mut arguments = Vec::new();
        match self.dice.below(10) {
            0..=2 => arguments.push(json!({ "cat": [{ "var": "$flagd.flagKey" }, self.text(depth - 1)] })),
            3 => arguments.push(json!(*self.dice.one_of(TEXTS))),
            4 => arguments.push(self.leaf_object()),
            5 if self.dice.chance(30) => arguments.push(Value::Null),
            _ => {}
        }
        for _ in 0..=self.dice.below(4) {
            let variant = match self.dice.below(8) {
                0 => self.result(depth - 1),
                1 => json!(self.dice.chance(50)),
                _ => json!(*self.dice.one_of(VARIANTS)),
            };
            arguments.push(match self.dice.below(8) {
                0 => json!([variant]),
                1 => json!([variant, { "-": [100, self.number(depth - 1)] }]),
                2 => json!([variant, self.leaf_object()]),
                3 => json!([variant, self.dice.between(-49, 0)]),
                _ => json!([variant, self.dice.below(100)]),
            });
        }
        json!({ "fractional": arguments })
    }

    /// Mostly true or false.
    pub(crate) fn truth(&mut self, depth: usize) -> Value {
        if depth == 0 {
            return if self.dice.chance(20) {
                json!(self.dice.chance(50))
            } else {
                self.leaf()
            };
        }
        let depth = depth - 1;
        match self.dice.below(22) {
            0..=3 => {
                let operator = *self.dice.one_of(&["==", "!=", "===", "!=="]);
                let (one, two) = self.alike(depth);
                json!({ operator: [one, two] })
            }
            4..=6 => {
                let operator = *self.dice.one_of(&["<", "<=", ">", ">="]);
                let (one, two) = self.alike(depth);
                json!({ operator: [one, two] })
            }
            7 => {
                let operator = *self.dice.one_of(&["<", "<="]);
                json!({ operator: [self.number(depth), self.number(depth), self.number(depth)] })
            }
            8 => {
                let operator = *self.dice.one_of(&["!", "!!"]);
                let one = self.any(depth);
                if self.dice.chance(50) && !one.is_array() {
                    json!({ operator: one })
                } else {
                    json!({ operator: [one] })
                }
            }
            9..=10 => {
                let operator = *self.dice.one_of(&["and", "or"]);
                json!({ operator: self.many(1, 4, |rules| rules.truth(depth)) })
            }
            11..=12 => {
                let (item, whole) = if self.dice.chance(50) {
                    (self.text(depth), self.text(depth))
                } else {
                    (self.any(depth), self.list(depth))
                };
                json!({ "in": [item, whole] })
            }
            13..=14 => {
                let operator = *self.dice.one_of(&["starts_with", "ends_with"]);
                let text = if self.dice.chance(10) {
                    json!("x😀y")
                } else {
                    self.text(depth)
                };
                let mut part = self.text(depth);
                if self.dice.chance(30) {
                    part = json!({ "substr": [text, self.dice.between(-2, 1), 1 + self.dice.below(3)] });
                }
                json!({ operator: [text, part] })
            }
            15..=16 => {
                let operator = *self.dice.one_of(&["=", "!=", "<", "<=", ">", ">=", "^", "~"]);
                json!({ "sem_ver": [self.version(), operator, self.version()] })
            }
            17..=19 => {
                let operator = *self.dice.one_of(&["all", "some", "none"]);
                json!({ operator: [self.list(depth), self.within(Scope::Item, |rules| rules.truth(depth))] })
            }
            20 => self.reference().unwrap_or_else(|| self.missing()),
            _ => self.any(depth),
        }
    }

    /// Two of one kind, most of the time.
    fn alike(&mut self, depth: usize) -> (Value, Value) {
        match self.dice.below(10) {
            0..=4 => (self.number(depth), self.number(depth)),
            5..=7 => (self.text(depth), self.text(depth)),
            8 => {
                let same = self.leaf();
                (same.clone(), same)
            }
            _ => (self.any(depth), self.any(depth)),
        }
    }

    fn number(&mut self, depth: usize) -> Value {
        if depth == 0 || self.dice.chance(30) {
            return match self.dice.below(10) {
                0..=4 => json!(*self.dice.one_of(NUMBERS)),
                5..=6 => json!(self.dice.below(120)),
                7..=8 => self.var_of(&["age", "user.score", "scores.0", "scores.1", "$flagd.timestamp", "unset"]),
                _ => self.leaf(),
            };
        }
        let depth = depth - 1;
        match self.dice.below(8) {
            0..=1 => json!({ "+": self.many(1, 3, |rules| rules.number(depth)) }),
            2 => json!({ "-": self.many(1, 3, |rules| rules.number(depth)) }),
            3 => json!({ "*": self.many(1, 3, |rules| rules.number(depth)) }),
            4 => json!({ (*self.dice.one_of(&["/", "%"])): [self.number(depth), self.number(depth)] }),
            5 => json!({ (*self.dice.one_of(&["max", "min"])): self.many(1, 3, |rules| rules.number(depth)) }),
            6 => {
                let rule = self.within(Scope::Reduction, |rules| rules.number(depth));
                let mut arguments = vec![self.list(depth), rule];
                if self.dice.chance(80) {
                    arguments.push(json!(*self.dice.one_of(NUMBERS)));
                }
                json!({ "reduce": arguments })
            }
            _ => self.text(depth),
        }
    }

    fn text(&mut self, depth: usize) -> Value {
        if depth == 0 || self.dice.chance(40) {
            return match self.dice.below(10) {
                0..=4 => json!(*self.dice.one_of(TEXTS)),
                5..=8 => self.var_of(&[
                    "email",
                    "country",
                    "plan",
                    "user.name",
                    "tags.0",
                    "targetingKey",
                    "unset",
                ]),
                _ => self.leaf(),
            };
        }
        let depth = depth - 1;
        match self.dice.below(6) {
            0..=2 => json!({ "cat": self.many(1, 3, |rules| rules.any(depth)) }),
            3..=4 => {
                let mut arguments = vec![self.text(depth), json!(self.dice.between(-3, 2))];
                if self.dice.chance(60) {
                    arguments.push(json!(self.dice.between(-3, 4)));
                }
                json!({ "substr": arguments })
            }
            _ => json!({ "if": [self.truth(depth), self.text(depth), self.text(depth)] }),
        }
    }

    fn list(&mut self, depth: usize) -> Value {
        if depth == 0 || self.dice.chance(40) {
            return match self.dice.below(10) {
                0..=2 => Value::Array(self.many(0, 4, Self::literal)),
                3..=8 => self.var_of(&["tags", "scores", "items", "user.roles", "empty", "unset", "nothing"]),
                _ => self.leaf(),
            };
        }
        let depth = depth - 1;
        match self.dice.below(8) {
            0 => Value::Array(self.many(0, 3, |rules| rules.any(depth))),
            1..=2 => json!({ "merge": self.many(1, 3, |rules| rules.list(depth)) }),
            3..=4 => json!({ "map": [self.list(depth), self.within(Scope::Item, |rules| rules.any(depth))] }),
            5..=6 => json!({ "filter": [self.list(depth), self.within(Scope::Item, |rules| rules.truth(depth))] }),
            _ => self.missing(),
        }
    }

    fn missing(&mut self) -> Value {
        let keys = self.many(1, 4, |rules| {
            json!(
                *rules
                    .dice
                    .one_of(&["email", "age", "unset", "nothing", "user.id", "user.no", "a\\.b"])
            )
        });
        match self.dice.below(4) {
            0 => json!({ "missing_some": [self.dice.below(4), keys] }),
            1 => json!({ "missing": { "merge": [keys, "unset"] } }),
            _ => json!({ "missing": keys }),
        }
    }

    fn any(&mut self, depth: usize) -> Value {
        match self.dice.below(if depth == 0 { 2 } else { 8 }) {
            0 => self.literal(),
            1 => self.leaf(),
            2..=3 => self.text(depth),
            4 => self.number(depth),
            5 => self.list(depth),
            6 => self.truth(depth),
            _ => self.result(depth),
        }
    }

    fn reference(&mut self) -> Option<Value> {
        // What an evaluator finds by its paths is the context.
        if self.evaluators.is_empty() || self.scope != Scope::Context {
            return None;
        }
        Some(json!({ "$ref": self.dice.one_of(&self.evaluators) }))
    }

    fn within(&mut self, scope: Scope, rule: impl FnOnce(&mut Self) -> Value) -> Value {
        let outer = std::mem::replace(&mut self.scope, scope);
        let rule = rule(self);
        self.scope = outer;
        rule
    }

    fn many(&mut self, fewest: usize, most: usize, mut item: impl FnMut(&mut Self) -> Value) -> Vec<Value> {
        let count = fewest + self.dice.below(most - fewest + 1);
        (0..count).map(|_| item(self)).collect()
    }
}
