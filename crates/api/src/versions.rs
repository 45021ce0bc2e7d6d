//! `GET POST versions/{path}`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::secret::State;
use strongroom_domain::{PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    pub path: String,
    /// The number under `current`; 0: none.
    pub current: i64,
    pub labels: BTreeMap<String, i64>,
    pub versions: Vec<Version>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    #[schemars(range(min = 1))]
    pub version: i64,
    #[schemars(regex(pattern = crate::schema::CHANGE_ID))]
    pub id: String,
    pub state: State,
    pub labels: Vec<String>,
    pub created_at: Time,
    pub created_by: PrincipalId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    /// It counts as deleted from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_at: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeVersions {
    pub action: Action,
    #[schemars(length(min = 1, max = 100), inner(range(min = 1)))]
    pub versions: Vec<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VersionsAction")]
pub enum Action {
    Undelete,
    Destroy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    pub path: String,
    pub versions: Vec<i64>,
}
