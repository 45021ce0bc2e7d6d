//! One flag's definition, in flagd's form.

use serde_json::{Map, Value};

use crate::place::{Mistake, Place};
use crate::{Evaluators, FLAG_BYTES_MAX, rule};

/// Whole numbers beyond this are not exact in every client.
const EXACT_MAX: u64 = (1 << 53) - 1;

/// A flag's definition: valid, and kept exactly as it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    json: Map<String, Value>,
    value_type: ValueType,
}

/// What all variants of a flag are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Boolean,
    String,
    Number,
    Object,
}

impl ValueType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Object => "object",
        }
    }

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_) => Some(Self::Boolean),
            Value::String(_) => Some(Self::String),
            Value::Number(_) => Some(Self::Number),
            Value::Object(_) => Some(Self::Object),
            Value::Null | Value::Array(_) => None,
        }
    }
}

impl Definition {
    /// `{"state", "variants", "defaultVariant", "targeting", "metadata"}`, and nothing else.
    pub fn parse(json: &Value, evaluators: &Evaluators) -> Result<Self, Mistake> {
        let place = Place::Document;
        let members = json
            .as_object()
            .ok_or_else(|| place.mistake("a flag's definition is an object"))?;
        within_size(json, "a flag's definition")?;
        for name in members.keys() {
            if !["state", "variants", "defaultVariant", "targeting", "metadata"].contains(&name.as_str()) {
                return Err(Place::Member(&place, name).mistake(
                    "a definition has no such member; it has state, variants, defaultVariant, targeting and metadata",
                ));
            }
        }
        match members.get("state").map(Value::as_str) {
            Some(Some("ENABLED" | "DISABLED")) => {}
            None => return Err(place.mistake("`state` is missing; it is \"ENABLED\" or \"DISABLED\"")),
            Some(_) => return Err(Place::Member(&place, "state").mistake("`state` is \"ENABLED\" or \"DISABLED\"")),
        }
        let value_type = check_variants(members, &place)?;
        let definition = Self {
            json: members.clone(),
            value_type,
        };
        match members.get("defaultVariant") {
            None | Some(Value::Null) => {}
            Some(name) => definition.check_default(name)?,
        }
        definition.check_targeting(evaluators)?;
        if let Some(metadata) = members.get("metadata") {
            check_metadata(metadata, &Place::Member(&place, "metadata"))?;
        }
        Ok(definition)
    }

    pub fn to_json(&self) -> Value {
        Value::Object(self.json.clone())
    }

    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Their names and values, by name.
    pub fn variants(&self) -> impl Iterator<Item = (&str, &Value)> {
        let variants = self.json.get("variants").and_then(Value::as_object);
        variants
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
    }

    pub fn enabled(&self) -> bool {
        self.json.get("state").and_then(Value::as_str) == Some("ENABLED")
    }

    /// Nothing: callers use the default in their code.
    pub fn default_variant(&self) -> Option<&str> {
        self.json.get("defaultVariant").and_then(Value::as_str)
    }

    /// The rule, where there is one: nothing for `{}`, which says the same as no targeting.
    pub fn targeting(&self) -> Option<&Value> {
        self.json
            .get("targeting")
            .filter(|targeting| targeting.as_object().is_none_or(|rule| !rule.is_empty()))
    }

    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.json.get("metadata").and_then(Value::as_object)
    }

    pub fn set_enabled(&mut self, enabled: bool) {
        let state = if enabled { "ENABLED" } else { "DISABLED" };
        self.json.insert("state".to_owned(), state.into());
    }

    /// Nothing for the default in callers' code.
    pub fn set_default_variant(&mut self, variant: Option<&str>) -> Result<(), Mistake> {
        let name = variant.map_or(Value::Null, Value::from);
        if variant.is_some() {
            self.check_default(&name)?;
        }
        self.json.insert("defaultVariant".to_owned(), name);
        Ok(())
    }

    fn check_default(&self, name: &Value) -> Result<(), Mistake> {
        let variants = || self.variants().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        match name.as_str() {
            Some(name) if self.variants().any(|(variant, _)| variant == name) => Ok(()),
            _ => Err(Place::Member(&Place::Document, "defaultVariant").mistake(format!(
                "`defaultVariant` is null or the name of a variant; there are {}",
                variants()
            ))),
        }
    }

    fn check_targeting(&self, evaluators: &Evaluators) -> Result<(), Mistake> {
        let place = Place::Member(&Place::Document, "targeting");
        match self.json.get("targeting") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Object(rule)) if rule.is_empty() => Ok(()),
            Some(rule @ Value::Object(_)) => rule::compile(rule, &place, evaluators).map(|_| ()),
            Some(_) => Err(place.mistake("`targeting` is a rule, such as {\"if\": [condition, \"on\", \"off\"]}")),
        }
    }
}

fn check_variants(members: &Map<String, Value>, place: &Place<'_>) -> Result<ValueType, Mistake> {
    let Some(variants) = members.get("variants") else {
        return Err(place.mistake("`variants` is missing; it is an object of values by name"));
    };
    let place = Place::Member(place, "variants");
    let variants = variants
        .as_object()
        .ok_or_else(|| place.mistake("`variants` is an object of values by name"))?;
    let mut all: Option<ValueType> = None;
    for (name, value) in variants {
        let place = Place::Member(&place, name);
        if name.is_empty() {
            return Err(place.mistake("a variant needs a name"));
        }
        let Some(value_type) = ValueType::of(value) else {
            return Err(place.mistake("a variant's value is a boolean, a string, a number or an object"));
        };
        if let Some(first) = all.filter(|first| *first != value_type) {
            let (first, other) = (first.name(), value_type.name());
            return Err(place.mistake(format!(
                "all variants are of one type; this is {other}, those before are {first}"
            )));
        }
        let exact = value
            .as_u64()
            .or_else(|| value.as_i64().map(i64::unsigned_abs))
            .is_none_or(|whole| whole <= EXACT_MAX);
        if !exact {
            return Err(place.mistake(format!(
                "a number beyond {EXACT_MAX} is not exact in every client; use a string"
            )));
        }
        all = Some(value_type);
    }
    all.ok_or_else(|| place.mistake("a flag needs at least one variant"))
}

/// Clients take metadata of these types only.
pub(crate) fn check_metadata(metadata: &Value, place: &Place<'_>) -> Result<(), Mistake> {
    let members = metadata
        .as_object()
        .ok_or_else(|| place.mistake("metadata is an object"))?;
    for (name, value) in members {
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            let place = Place::Member(place, name);
            return Err(place.mistake("a value in metadata is a boolean, a string or a number"));
        }
    }
    Ok(())
}

pub(crate) fn within_size(json: &Value, what: &str) -> Result<(), Mistake> {
    let bytes = json.to_string().len();
    if bytes > FLAG_BYTES_MAX {
        return Err(Place::Document.mistake(format!(
            "{what} has at most {FLAG_BYTES_MAX} bytes as JSON, not {bytes}"
        )));
    }
    Ok(())
}
