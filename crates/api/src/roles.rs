//! `roles` and `roles/{name}`

use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteRole {
    pub policies: Vec<Name>,
    /// Seconds; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub name: Name,
    pub policies: Vec<Name>,
    pub access_token_ttl: u32,
    pub created_at: Time,
    pub updated_at: Time,
}
