//! `GET POST versions/{path}`

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_domain::secret::State;
use strongroom_domain::{PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    pub path: String,
    /// The number under `current`; 0: none.
    pub current: i64,
    pub labels: BTreeMap<String, i64>,
    pub versions: Vec<Version>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub version: i64,
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeVersions {
    pub action: Action,
    pub versions: Vec<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Undelete,
    Destroy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub path: String,
    pub versions: Vec<i64>,
}
