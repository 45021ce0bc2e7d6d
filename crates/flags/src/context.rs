//! Whom a flag is evaluated for: an object of any JSON, of bounded size.

use serde_json::{Map, Value};

use crate::place::{Mistake, Place};
use crate::{CONTEXT_BYTES_MAX, CONTEXT_DEPTH_MAX};

/// An evaluation context. It comes from outside, and may hold what people are known by: it is evaluated, never kept.
#[derive(Clone, Default)]
pub struct Context(Map<String, Value>);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({} members)", self.0.len())
    }
}

impl Context {
    /// OFREP calls a mistake here INVALID_CONTEXT.
    pub fn parse(json: Value) -> Result<Self, Mistake> {
        let place = Place::Document;
        let Value::Object(members) = json else {
            return Err(place.mistake("the context is an object"));
        };
        let mut bytes_left = CONTEXT_BYTES_MAX;
        for (name, value) in &members {
            let place = Place::Member(&place, name);
            spend(name.len(), &place, &mut bytes_left)?;
            measure(value, &place, 1, &mut bytes_left)?;
        }
        match members.get("targetingKey") {
            None | Some(Value::Null | Value::String(_)) => Ok(Self(members)),
            Some(_) => Err(Place::Member(&place, "targetingKey").mistake("`targetingKey` is a string")),
        }
    }

    pub fn targeting_key(&self) -> Option<&str> {
        self.0.get("targetingKey").and_then(Value::as_str)
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// What a value without text counts as.
const SCALAR_BYTES: usize = 8;

fn measure(value: &Value, place: &Place<'_>, depth: usize, bytes_left: &mut usize) -> Result<(), Mistake> {
    if depth > CONTEXT_DEPTH_MAX {
        return Err(place.mistake(format!("the context is nested deeper than {CONTEXT_DEPTH_MAX} levels")));
    }
    match value {
        Value::String(text) => spend(text.len(), place, bytes_left),
        Value::Array(items) => {
            spend(SCALAR_BYTES, place, bytes_left)?;
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| measure(item, &Place::Item(place, at), depth + 1, bytes_left))
        }
        Value::Object(members) => {
            spend(SCALAR_BYTES, place, bytes_left)?;
            members.iter().try_for_each(|(name, value)| {
                spend(name.len(), place, bytes_left)?;
                measure(value, &Place::Member(place, name), depth + 1, bytes_left)
            })
        }
        _ => spend(SCALAR_BYTES, place, bytes_left),
    }
}

fn spend(bytes: usize, place: &Place<'_>, bytes_left: &mut usize) -> Result<(), Mistake> {
    let left = bytes_left.checked_sub(bytes);
    *bytes_left =
        left.ok_or_else(|| place.mistake(format!("the context holds more than {CONTEXT_BYTES_MAX} bytes")))?;
    Ok(())
}
