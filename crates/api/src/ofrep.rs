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

/// What a notice of a stream said, from whoever asks because of it. A protocol's own, so others beside them are let be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefetchQuery {
    /// The notice's `etag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag_config_etag: Option<String>,
    /// The notice's `lastModified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag_config_last_modified: Option<String>,
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
    /// Where changes are told.
    #[serde(rename = "eventStreams", default, skip_serializing_if = "Vec::is_empty")]
    pub event_streams: Vec<EventStream>,
}

/// Where it is told that flags changed, never what they give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventStream {
    /// `sse`
    #[serde(rename = "type")]
    pub kind: String,
    pub endpoint: StreamEndpoint,
    /// Seconds after which one that shows nothing may let the stream go.
    #[serde(rename = "inactivityDelaySec")]
    pub inactivity_delay_sec: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamEndpoint {
    /// On this origin. It opens one stream, within a minute.
    pub request_uri: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// What an evaluation of all flags gave in `eventStreams`.
    pub ticket: String,
}
