//! OFREP 0.3: `flags/{project}/{environment}/ofrep/v1/evaluate/flags`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Whom a flag is evaluated for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Evaluate {
    /// Any JSON object; `targetingKey` is the text by which `fractional` finds a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    pub context: Option<Value>,
}

/// What a flag gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluated {
    pub key: String,
    /// Absent: the caller's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub value: Option<Value>,
    /// Empty where there is none.
    pub variant: String,
    /// `STATIC`, `TARGETING_MATCH`, `DEFAULT` or `DISABLED`.
    pub reason: String,
    pub metadata: Map<String, Value>,
}

/// Why a flag, or all, cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR`, `INVALID_CONTEXT` or `GENERAL`.
    pub error_code: String,
    pub error_details: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// What all flags give that the caller may read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluations {
    /// Of each, what it gives or why it cannot be evaluated.
    pub flags: Vec<Value>,
    pub metadata: Map<String, Value>,
}
