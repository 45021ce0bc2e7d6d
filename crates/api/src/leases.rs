//! `lease-roles`, `lease-roles/{name}`, `leases` and `leases/{lease}`

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::lease::LeaseRoleConfig;
use strongroom_domain::period::Period;
use strongroom_domain::target::Engine;
use strongroom_domain::{Name, PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseRole {
    pub name: Name,
    #[serde(flatten)]
    pub config: LeaseRoleConfig,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Which leases.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeasesQuery {
    /// Of this lease role alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Name>,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Leases on a page; 100 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// How a lease is ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndQuery {
    /// Forget it where its user could not be removed: that stays where it is. With `manage` on `lease/NAME` of its role.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abandon: bool,
}

/// For how long; usually as the role says.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct For {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Period>,
}

/// A lease with what its user logs in with, which is told once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewLease {
    pub lease_id: String,
    pub expires_at: Time,
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dbname: Option<String>,
    pub username: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub password: SecretString,
    /// All of it in one.
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub url: SecretString,
}

/// How far a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Its user is being made.
    Planned,
    Live,
    /// Its user is being taken back.
    Ending,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    pub lease_id: String,
    pub role: Name,
    pub target: Name,
    pub username: String,
    /// The principal that asked for it.
    #[schemars(with = "String")]
    pub holder: PrincipalId,
    pub state: LeaseState,
    pub expires_at: Time,
    /// Until when it can be renewed.
    pub renewable_until: Time,
    pub created_at: Time,
    /// Why its user could not be taken back the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
