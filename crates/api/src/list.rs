//! `GET list/{prefix}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::Time;
use strongroom_domain::metadata::SecretType;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuery {
    pub recursive: bool,
    /// Text within the path or the description, in any case. With this or one of the next three only secrets are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<SecretType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `key:value`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ":"))]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    pub prefix: String,
    pub items: Vec<Item>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A secret or a folder. One name can be both, and then is two items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListItem")]
pub struct Item {
    /// Below the prefix.
    pub name: String,
    pub path: String,
    pub folder: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}
