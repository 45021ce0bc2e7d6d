//! What the API's description says of values that are written and read by hand: the form they have as JSON.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::flag::FlagKey;
use crate::{Name, NamespaceId, NamespaceName, ObjectId, PrincipalId, Time};

/// Of everything with 128 random bits.
pub const ID_PATTERN: &str = "^[0-9a-f]{32}$";

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339, with microseconds." })
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9._-]{0,127}$",
            "description": "The name of a policy, a role or a client.",
        })
    }
}

impl JsonSchema for FlagKey {
    fn schema_name() -> Cow<'static, str> {
        "FlagKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
            "description": "The name of a flag within its set.",
        })
    }
}

impl JsonSchema for NamespaceName {
    fn schema_name() -> Cow<'static, str> {
        "NamespaceName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9-]{1,63}$", "description": "The name of a namespace." })
    }
}

impl JsonSchema for NamespaceId {
    fn schema_name() -> Cow<'static, str> {
        "NamespaceId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": ID_PATTERN, "description": "A namespace, whatever its name." })
    }
}

impl JsonSchema for ObjectId {
    fn schema_name() -> Cow<'static, str> {
        "ObjectId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": ID_PATTERN, "description": "What an object is known by." })
    }
}

impl JsonSchema for PrincipalId {
    fn schema_name() -> Cow<'static, str> {
        "PrincipalId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": ID_PATTERN,
            "description": "Who acts, without a name: a name can be erased.",
        })
    }
}
