//! `roles` and `roles/{name}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::method::Bounds;
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRole {
    #[schemars(length(max = 64))]
    pub policies: Vec<Name>,
    /// Seconds; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub access_token_ttl: Option<u32>,
    /// Who may have it by which login method; absent: clients alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    pub name: Name,
    pub policies: Vec<Name>,
    pub access_token_ttl: u32,
    /// Absent: for clients alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    pub created_at: Time,
    pub updated_at: Time,
}
