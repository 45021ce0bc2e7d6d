//! `GET PUT PATCH DELETE secrets/{path}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::Time;

use crate::With;

/// Which version; neither: the one under `current`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::LABEL))]
    pub label: Option<String>,
    /// Wait until a newer version than this is current. Not with `version` or `label`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub wait: Option<i64>,
    /// How many seconds to wait; usually 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout: Option<u16>,
}

/// One version and its value.
pub type Secret = With<About>;

/// What a read says besides the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    pub path: String,
    #[schemars(range(min = 1))]
    pub version: i64,
    #[schemars(regex(pattern = crate::schema::CHANGE_ID))]
    pub id: String,
    pub labels: Vec<String>,
    pub created_at: Time,
}

pub type WriteSecret = With<WriteOptions>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOptions {
    /// The number under `current` that the writer has seen; 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cas: Option<i64>,
    /// 32 to 64 characters; makes the write idempotent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::CHANGE_ID))]
    pub id: Option<String>,
    /// Where the new version's labels go; absent: `current`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = crate::schema::LABEL)))]
    pub labels: Option<Vec<String>>,
}

/// A JSON merge patch (RFC 7396) in `data`.
pub type PatchSecret = With<PatchOptions>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchOptions {
    /// The number under `current` that the writer has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cas: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    pub path: String,
    #[schemars(range(min = 1))]
    pub version: i64,
    #[schemars(regex(pattern = crate::schema::CHANGE_ID))]
    pub id: String,
    pub created_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    pub path: String,
    #[schemars(range(min = 1))]
    pub version: i64,
}
