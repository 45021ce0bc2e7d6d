//! What the API's description says of the types that are written and read by hand, and the forms that fields share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use strongroom_domain::audit::{Action, OutcomeKind};
use strongroom_domain::policy::{Capability, MAX_PATTERN, ROOTS};

use crate::With;
use crate::batch::BatchWriteOptions;
use crate::secrets::{About, PatchOptions, WriteOptions};

/// A version's id, and a change's.
pub const CHANGE_ID: &str = "^[A-Za-z0-9_-]{32,64}$";
pub(crate) const LABEL: &str = "^[A-Za-z0-9._-]{1,128}$";
pub(crate) const OBJECT_ID: &str = strongroom_domain::schema::ID_PATTERN;

/// What may stand beside a value.
pub trait Carries: JsonSchema {
    /// Of both together.
    const NAME: &'static str;
    /// In which of the three fields the value can be.
    const KINDS: &'static [&'static str] = &["value", "data", "bytes"];
}

impl Carries for About {
    const NAME: &'static str = "Secret";
}

impl Carries for WriteOptions {
    const NAME: &'static str = "WriteSecret";
}

impl Carries for PatchOptions {
    const NAME: &'static str = "PatchSecret";
    const KINDS: &'static [&'static str] = &["data"];
}

impl Carries for BatchWriteOptions {
    const NAME: &'static str = "BatchWrite";
}

/// One of the words that are recorded.
pub(crate) fn action(_: &mut SchemaGenerator) -> Schema {
    words(Action::ALL.iter().map(|action| action.name()))
}

pub(crate) fn outcome(_: &mut SchemaGenerator) -> Schema {
    words(OutcomeKind::ALL.iter().map(|outcome| outcome.name()))
}

/// What a rule can grant.
pub(crate) fn granted(_: &mut SchemaGenerator) -> Schema {
    words(Capability::GRANTS.iter().map(|capability| capability.name()))
}

/// A policy's path: what it is about, then a path in which `+` stands for a segment and a last `*` for all below.
pub(crate) fn pattern(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_PATTERN,
        "pattern": format!("^({})/.", ROOTS.join("|")),
        "description": "`+` stands for one segment, and `*` as the last one for all below.",
    })
}

fn words(all: impl Iterator<Item = &'static str>) -> Schema {
    json_schema!({ "type": "string", "enum": all.collect::<Vec<_>>() })
}

fn form(kind: &str) -> Value {
    match kind {
        "data" => json!({ "type": "object", "description": "A JSON object, kept byte for byte." }),
        "bytes" => json!({
            "type": "string",
            "format": "byte",
            "contentEncoding": "base64",
            "description": "Any bytes, in standard base64 with padding.",
        }),
        _ => json!({ "type": "string", "description": "Text." }),
    }
}

impl<T: Carries> JsonSchema for With<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        let fields = schema.ensure_object();
        // It tells of the rest alone.
        fields.remove("description");
        let properties = fields.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(properties) = properties {
            properties.extend(T::KINDS.iter().map(|kind| ((*kind).to_owned(), form(kind))));
        }
        let one = T::KINDS.iter().map(|kind| json!({ "required": [kind] }));
        fields.insert("oneOf".to_owned(), one.collect());
        schema
    }
}
