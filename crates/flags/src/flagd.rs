//! flagd's document of a whole set: what it syncs from, and what is imported.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::definition::check_metadata;
use crate::place::{Mistake, Place};
use crate::{Definition, Evaluators};

const SCHEMA: &str = "https://flagd.dev/schema/v0/flags.json";

/// What a flagd document holds.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// In the document's order.
    pub flags: Vec<(String, Definition)>,
    pub evaluators: Evaluators,
    pub metadata: Map<String, Value>,
}

/// The document of a set. References to evaluators stay references.
pub fn set_to_flagd<'a>(
    flags: impl IntoIterator<Item = (&'a str, &'a Definition)>,
    evaluators: &Evaluators,
    metadata: &Map<String, Value>,
) -> Value {
    let flags: Map<_, _> = flags
        .into_iter()
        .map(|(key, definition)| (key.to_owned(), definition.to_json()))
        .collect();
    let mut document = Map::new();
    document.insert("$schema".to_owned(), SCHEMA.into());
    document.insert("flags".to_owned(), Value::Object(flags));
    if !evaluators.is_empty() {
        document.insert("$evaluators".to_owned(), evaluators.to_json());
    }
    if !metadata.is_empty() {
        document.insert("metadata".to_owned(), Value::Object(metadata.clone()));
    }
    Value::Object(document)
}

/// Reads a document; `flags` may be an object by key, or a list of definitions that each have a `key`. All mistakes are told,
/// except those of flags where the evaluators have one already.
pub fn parse_flagd(document: &Value) -> Result<Imported, Vec<Mistake>> {
    let place = Place::Document;
    let one = |mistake: Mistake| vec![mistake];
    let members = document
        .as_object()
        .ok_or_else(|| one(place.mistake("a flagd document is an object")))?;
    let mut mistakes = Vec::new();
    for name in members.keys() {
        if !["$schema", "flags", "$evaluators", "metadata"].contains(&name.as_str()) {
            let place = Place::Member(&place, name);
            mistakes.push(place.mistake("a flagd document has flags, $evaluators and metadata, and nothing else"));
        }
    }
    if let Some(metadata) = members.get("metadata")
        && let Err(mistake) = check_metadata(metadata, &Place::Member(&place, "metadata"))
    {
        mistakes.push(mistake);
    }
    let evaluators = match members.get("$evaluators").map(Evaluators::parse) {
        None => Evaluators::default(),
        Some(Ok(evaluators)) => evaluators,
        Some(Err(mistake)) => {
            mistakes.push(mistake.within(&Place::Member(&place, "$evaluators")));
            return Err(mistakes);
        }
    };
    let flags = match members.get("flags") {
        Some(flags) => parse_flags(flags, &evaluators, &mut mistakes),
        None => {
            mistakes.push(place.mistake("`flags` is missing"));
            Vec::new()
        }
    };
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let metadata = members
        .get("metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    Ok(Imported {
        flags,
        evaluators,
        metadata,
    })
}

fn parse_flags(flags: &Value, evaluators: &Evaluators, mistakes: &mut Vec<Mistake>) -> Vec<(String, Definition)> {
    let document = Place::Document;
    let place = Place::Member(&document, "flags");
    let mut parsed = Vec::new();
    let mut keys = BTreeSet::new();
    let mut take = |key: &str, definition: &Value, place: &Place<'_>| {
        let taken = Definition::parse(definition, evaluators).map_err(|mistake| mistake.within(place));
        match check_key(key, place).and(taken) {
            Ok(_) if !keys.insert(key.to_owned()) => {
                mistakes.push(place.mistake(format!("the flag `{key}` is in the list twice")));
            }
            Ok(definition) => parsed.push((key.to_owned(), definition)),
            Err(mistake) => mistakes.push(mistake),
        }
    };
    match flags {
        Value::Object(flags) => {
            for (key, definition) in flags {
                take(key, definition, &Place::Member(&place, key));
            }
        }
        Value::Array(flags) => {
            for (at, flag) in flags.iter().enumerate() {
                let mut definition = flag.clone();
                let key = definition.as_object_mut().and_then(|members| members.remove("key"));
                let key = key.as_ref().and_then(Value::as_str).unwrap_or_default();
                take(key, &definition, &Place::Item(&place, at));
            }
        }
        _ => {
            mistakes
                .push(place.mistake("`flags` is an object by key, or a list of definitions that each have a `key`"));
        }
    }
    parsed
}

fn check_key(key: &str, place: &Place<'_>) -> Result<(), Mistake> {
    if is_key(key) {
        return Ok(());
    }
    Err(place.mistake(
        "a flag's key has 1 to 128 letters, digits, dots, underscores and hyphens, and begins with a letter or a digit",
    ))
}

/// Whether a flag can have this key: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
pub fn is_key(key: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    key.len() <= 128 && key.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && key.bytes().all(inner)
}
