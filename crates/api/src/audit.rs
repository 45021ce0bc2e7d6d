//! `GET audit`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::{PrincipalId, Time};

/// All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub principal: Option<String>,
    pub path: Option<String>,
    #[schemars(schema_with = "crate::schema::action")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[schemars(schema_with = "crate::schema::outcome")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    pub cursor: Option<String>,
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// One entry, and where its proof starts: its batch and its place there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    pub at: Time,
    pub batch: String,
    pub place: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    pub request_id: String,
    pub dialect: String,
    #[schemars(schema_with = "crate::schema::action")]
    pub action: String,
    #[schemars(schema_with = "crate::schema::outcome")]
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// Absent once the person is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_name: Option<String>,
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// How many identical failures the entry stands for.
    pub count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accessor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
