//! What a rule computes with: JSON's values, borrowed from context and rule where possible, and JavaScript's way of turning
//! one kind into another, which is JSONLogic's.

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Fault, number};
use crate::TEXT_BYTES_MAX;

/// What every rule of one evaluation can ask for.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) context: &'a Map<String, Value>,
    pub(crate) flag_key: &'a str,
    pub(crate) now_unix: i64,
}

#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Text<'a>),
    List(List<'a>),
    Object(Object<'a>),
}

#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Given(&'a str),
    Made(Rc<str>),
}

#[derive(Clone, Debug)]
pub(crate) enum List<'a> {
    /// Not a slice: two empty ones would have one address, and be the same.
    Given(&'a Vec<Value>),
    Made(Rc<[Val<'a>]>),
}

#[derive(Clone, Debug)]
pub(crate) enum Object<'a> {
    Given(&'a Map<String, Value>),
    /// The whole context, with `$flagd` in it.
    Context(&'a Facts<'a>),
    Flagd(&'a Facts<'a>),
    /// What the rule of a `reduce` sees: `accumulator` and `current`.
    Reduction(Rc<(Val<'a>, Val<'a>)>),
}

static NO_ITEMS: Vec<Value> = Vec::new();

impl<'a> From<&'a Value> for Val<'a> {
    fn from(json: &'a Value) -> Self {
        match json {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::Text(Text::Given(text)),
            Value::Array(items) => Self::List(List::Given(items)),
            Value::Object(members) => Self::Object(Object::Given(members)),
        }
    }
}

impl<'a> Val<'a> {
    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(crate) fn list(items: impl Into<Rc<[Val<'a>]>>) -> Self {
        Self::List(List::Made(items.into()))
    }

    pub(crate) fn truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(truth) => *truth,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.as_str().is_empty(),
            Self::List(list) => list.len() > 0,
            Self::Object(Object::Given(members)) => !members.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// What an operator that takes a list takes for an empty one.
    pub(crate) fn is_nothing(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Object(_)) && !self.truthy()
    }

    /// A member of an object by its name, or of a list by its place.
    pub(crate) fn member(&self, name: &str) -> Option<Val<'a>> {
        match self {
            Self::Object(object) => object.member(name),
            Self::List(list) => list.get(place(name)?),
            _ => None,
        }
    }

    /// As JavaScript's unary plus, where a list or an object is an error: no rule means its text's number.
    pub(crate) fn number(&self) -> Result<f64, Fault> {
        match self {
            Self::Null => Ok(0.0),
            Self::Bool(truth) => Ok(f64::from(u8::from(*truth))),
            Self::Number(number) => Ok(*number),
            Self::Text(text) => Ok(number::parse(text.as_str())),
            Self::List(_) => Err(Fault::rule("a list is not a number")),
            Self::Object(_) => Err(Fault::rule("an object is not a number")),
        }
    }

    /// As JavaScript's `String(…)`.
    pub(crate) fn to_text(&self) -> Result<Text<'a>, Fault> {
        if let Self::Text(text) = self {
            return Ok(text.clone());
        }
        let mut text = String::new();
        self.write(&mut text)?;
        Ok(Text::Made(text.into()))
    }

    /// Adds the text of this value.
    pub(crate) fn write(&self, to: &mut String) -> Result<(), Fault> {
        match self {
            Self::Null => to.push_str("null"),
            Self::Bool(truth) => to.push_str(if *truth { "true" } else { "false" }),
            Self::Number(number) => to.push_str(&number::print(*number)),
            Self::Text(text) => to.push_str(text.as_str()),
            Self::Object(_) => to.push_str("[object Object]"),
            Self::List(list) => {
                for (at, item) in list.iter().enumerate() {
                    if at > 0 {
                        to.push(',');
                    }
                    if !matches!(item, Self::Null) {
                        item.write(to)?;
                    }
                }
            }
        }
        if to.len() > TEXT_BYTES_MAX {
            return Err(Fault::bound(format!("a text of more than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// JavaScript's `===`: a list or an object is equal to itself only.
    pub(crate) fn same(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Self::Null, Val::Null) => true,
            (Self::Bool(one), Val::Bool(two)) => one == two,
            (Self::Number(one), Val::Number(two)) => one.partial_cmp(two) == Some(Ordering::Equal),
            (Self::Text(one), Val::Text(two)) => one.as_str() == two.as_str(),
            (Self::List(one), Val::List(two)) => one.is(two),
            (Self::Object(one), Val::Object(two)) => one.is(two),
            _ => false,
        }
    }

    /// Whether something with parts has a part with parts.
    pub(crate) fn is_nested(&self) -> bool {
        let has_parts = |part: &Val<'_>| matches!(part, Val::List(_) | Val::Object(_));
        match self {
            Self::List(list) => list.iter().any(|item| has_parts(&item)),
            Self::Object(Object::Given(members)) => members.values().any(|value| value.is_array() || value.is_object()),
            Self::Object(Object::Context(_)) => true,
            Self::Object(Object::Reduction(both)) => has_parts(&both.0) || has_parts(&both.1),
            _ => false,
        }
    }
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Given(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(crate) const EMPTY: Self = Self::Given(&NO_ITEMS);

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Given(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, at: usize) -> Option<Val<'a>> {
        match self {
            Self::Given(items) => items.get(at).map(Val::from),
            Self::Made(items) => items.get(at).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Val<'a>> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    fn is(&self, other: &List<'_>) -> bool {
        match (self, other) {
            (Self::Given(one), List::Given(two)) => std::ptr::eq(*one, *two),
            (Self::Made(one), List::Made(two)) => std::ptr::addr_eq(Rc::as_ptr(one), Rc::as_ptr(two)),
            _ => false,
        }
    }
}

impl<'a> Object<'a> {
    fn member(&self, name: &str) -> Option<Val<'a>> {
        match (self, name) {
            (Self::Context(facts), "$flagd") => Some(Val::Object(Self::Flagd(facts))),
            (Self::Context(facts), _) => facts.context.get(name).map(Val::from),
            (Self::Given(members), _) => members.get(name).map(Val::from),
            (Self::Flagd(facts), "flagKey") => Some(Val::Text(Text::Given(facts.flag_key))),
            #[expect(clippy::cast_precision_loss, reason = "exact for the next 285 million years")]
            (Self::Flagd(facts), "timestamp") => Some(Val::Number(facts.now_unix as f64)),
            (Self::Reduction(both), "accumulator") => Some(both.0.clone()),
            (Self::Reduction(both), "current") => Some(both.1.clone()),
            _ => None,
        }
    }

    fn is(&self, other: &Object<'_>) -> bool {
        match (self, other) {
            (Self::Given(one), Object::Given(two)) => std::ptr::eq(*one, *two),
            (Self::Context(_), Object::Context(_)) | (Self::Flagd(_), Object::Flagd(_)) => true,
            (Self::Reduction(one), Object::Reduction(two)) => std::ptr::addr_eq(Rc::as_ptr(one), Rc::as_ptr(two)),
            _ => false,
        }
    }
}

/// A place in a list is a whole number as it is printed: `1`, and neither `01` nor `+1`.
fn place(name: &str) -> Option<usize> {
    let printed = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if printed { name.parse().ok() } else { None }
}
