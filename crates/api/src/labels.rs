//! `PUT DELETE labels/{path}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveLabel {
    #[schemars(regex(pattern = crate::schema::LABEL))]
    pub label: String,
    #[schemars(range(min = 1))]
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LabelMoved")]
pub struct Moved {
    pub path: String,
    #[schemars(regex(pattern = crate::schema::LABEL))]
    pub label: String,
    #[schemars(range(min = 1))]
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    #[schemars(regex(pattern = crate::schema::LABEL))]
    pub label: String,
}
