//! The ends of a rule: literals, and what it reads of a context.

use serde_json::{Value, json};

use crate::rules::{Rules, Scope};

pub(crate) const TEXTS: &[&str] = &[
    "",
    "a",
    "abc",
    "on",
    "off",
    "12",
    "1.5",
    "0x10",
    "  7 ",
    "1e3",
    "-3",
    "Infinity",
    "true",
    "null",
    "pro",
    "beta-user",
    "a@example.com",
    "b@example.org",
    "example",
    "é",
    "日本語",
    "x😀y",
    "\u{e000}",
    "10",
    "9",
];
pub(crate) const VERSIONS: &[&str] = &[
    "1.2.3",
    "v1.2",
    "2",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0+b1",
    "2.0.0.0",
    "V3.1.4",
    "vv1.0.0",
    "01.2.3",
    "1.2.3-01",
    "9007199254740993.0.0",
    " 1.2.3 ",
    "abc",
    "1.",
    "3.1",
    "1.0.0-",
    "0.0.1",
];
pub(crate) const NUMBERS: &[f64] = &[
    0.0,
    1.0,
    2.0,
    3.0,
    10.0,
    18.0,
    21.0,
    50.0,
    100.0,
    -1.0,
    -3.0,
    0.5,
    1.5,
    1e21,
    1e-7,
    2_147_483_647.0,
];
const PATHS: &[&str] = &[
    "email",
    "age",
    "version",
    "country",
    "plan",
    "tags",
    "user",
    "user.id",
    "user.name",
    "user.roles",
    "user.score",
    "user.roles.0",
    "tags.1",
    "beta",
    "items",
    "items.0.price",
    "a\\.b",
    "unset",
    "user.unset",
    "nothing",
    "targetingKey",
    "$flagd.timestamp",
    "$flagd.flagKey",
    "empty",
    "scores",
    "$flagd",
    "tags.01",
];
/// What JavaScript finds in a text or a list, and JSON does not have.
const INNER_PATHS: &[&str] = &["email.length", "tags.length", "email.0", "country.0"];
pub(crate) const VARIANTS: &[&str] = &["on", "off", "pro", "a", "1", "true", "false"];

impl Rules<'_> {
    pub(crate) fn version(&mut self) -> Value {
        match self.dice.below(8) {
            0..=4 => json!(*self.dice.one_of(VERSIONS)),
            5..=6 => self.var_of(&["version", "unset"]),
            _ => json!(*self.dice.one_of(NUMBERS)),
        }
    }

    pub(crate) fn literal(&mut self) -> Value {
        match self.dice.below(8) {
            0 => Value::Null,
            1 => json!(self.dice.chance(50)),
            2..=4 => json!(*self.dice.one_of(NUMBERS)),
            _ => json!(*self.dice.one_of(TEXTS)),
        }
    }

    pub(crate) fn leaf(&mut self) -> Value {
        if self.dice.chance(25) {
            self.literal()
        } else {
            self.leaf_object()
        }
    }

    pub(crate) fn leaf_object(&mut self) -> Value {
        match self.scope {
            Scope::Item => self.var_of(&["", "", "price", "qty", "tags", "unset"]),
            Scope::Reduction => self.var_of(&["accumulator", "current", "accumulator", "current", "current.price", ""]),
            Scope::Context if self.dice.chance(1) => self.var_of(INNER_PATHS),
            Scope::Context => self.var_of(PATHS),
        }
    }

    pub(crate) fn var_of(&mut self, paths: &[&str]) -> Value {
        let paths = match self.scope {
            Scope::Context => paths,
            Scope::Item => &["", "price", "qty", "tags"],
            Scope::Reduction => &["accumulator", "current", "current.qty"],
        };
        let path = *self.dice.one_of(paths);
        match self.dice.below(20) {
            0..=2 => json!({ "var": [path, self.literal()] }),
            3 => json!({ "var": [path] }),
            4 => json!({ "var": [{ "cat": [path] }, self.literal()] }),
            5 => json!({ "var": { "if": [true, path, "unset"] } }),
            6 => json!({ "var": self.dice.below(2) }),
            _ => json!({ "var": path }),
        }
    }
}
