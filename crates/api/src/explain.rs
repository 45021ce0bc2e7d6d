//! `POST explain` and `GET who-can`

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Error, Name, Network, PrincipalId, Result};

use crate::policies::Rule;

/// About a denial, or about an access.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("oneOf" = [{ "required": ["denial_id"] }, { "required": ["capability", "path"] }]),
    extend("dependentRequired" = { "principal": ["path"], "from": ["principal"] })
)]
pub struct Explain {
    /// As the denial's answer said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub denial_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::granted")]
    pub capability: Option<Capability>,
    /// As a policy's, but of one object or of a folder, which ends in `/`; without `secret/`, `sys/` … a secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub path: Option<String>,
    /// An id, or the name of a client or an operator; absent: whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub principal: Option<String>,
    /// An address that the principal's request comes from; absent: from anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub from: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Allow,
    /// By a rule that says so.
    Deny,
    /// No rule matches, or the one that decides lacks the capability.
    NoGrant,
}

/// The most specific path of rules that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deciding {
    /// As the rules have it.
    pub path: String,
    /// Of all its rules together.
    pub capabilities: Vec<Capability>,
    /// Those whose rules of this path grant what is asked for, or deny; where it is neither granted nor denied, all of them.
    pub policies: Vec<Name>,
    /// Where these rules count, if in some networks alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
}

/// What would be decided now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    pub decision: Decision,
    pub principal: PrincipalId,
    pub capability: Capability,
    pub path: String,
    /// All of it in words.
    pub detail: String,
    /// May do everything, whatever the policies say.
    pub root: bool,
    /// Absent: no rule matches, or none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deciding: Option<Deciding>,
    /// Absent: nothing is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Capability>,
    /// The smallest rule that would allow it, were it in one policy more. It repeats what was granted on this path before,
    /// since it would count there alone. Absent: it is allowed, or what denies it must be changed itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_allow: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoCan {
    #[schemars(schema_with = "crate::schema::granted")]
    pub capability: Capability,
    /// As in `POST explain`.
    pub path: String,
    /// An address that requests come from; absent: from anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    Role,
    Client,
    Operator,
    Token,
    /// It reads the flags of its set by no policy.
    BrowserKey,
}

/// By which way somebody has a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It stands with itself.
    Own,
    Group(Name),
    Role(Name),
}

/// Who may, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    pub kind: HolderKind,
    /// A service token's is its accessor, a browser key's its id.
    pub name: String,
    /// A role has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// May do everything, whatever the policies say.
    pub root: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deciding: Option<Deciding>,
    /// How it comes by the policies that decide.
    pub through: Vec<Way>,
}

/// Refuses `deny`, which nobody needs.
pub fn asked(capability: Capability) -> Result<Capability> {
    if capability == Capability::Deny {
        return Err(Error::invalid(
            "'capability' is one that a rule grants: 'deny' is none.",
        ));
    }
    Ok(capability)
}
