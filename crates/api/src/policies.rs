//! `policies` and `policies/{name}`

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::policy::{self, Capability};
use strongroom_domain::{Name, Network, PrincipalId, Time};

use crate::explain::{Deciding, HolderKind, Way};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WritePolicy {
    #[schemars(length(min = 1, max = 256))]
    pub rules: Vec<Rule>,
    /// The version that these rules replace; 0: there is no such policy yet. Absent: whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub cas: Option<i64>,
}

/// Strict: a field that is not understood could be meant to restrict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[schemars(schema_with = "crate::schema::pattern")]
    pub path: String,
    #[schemars(length(min = 1))]
    pub capabilities: Vec<Capability>,
    /// From where a request must come for the rule to count; none: from anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub networks: Vec<Network>,
}

impl From<Rule> for policy::Rule {
    fn from(rule: Rule) -> Self {
        Self {
            path: rule.path,
            capabilities: rule.capabilities,
            networks: rule.networks,
        }
    }
}

impl From<policy::Rule> for Rule {
    fn from(rule: policy::Rule) -> Self {
        Self {
            path: rule.path,
            capabilities: rule.capabilities,
            networks: rule.networks,
        }
    }
}

/// How a policy is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Writing {
    /// Writes nothing: the answer says whose access would change. This takes `read` on `sys/explain` too.
    #[serde(default)]
    pub dry_run: bool,
}

/// The policy, or what writing it would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PolicyOrChanges {
    Policy(Policy),
    Changes(PolicyChanges),
}

/// Whose access another set of rules would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChanges {
    pub changes: Vec<AccessChange>,
    /// There is more than one answer looks at: these are not all.
    pub more: bool,
}

/// A capability that somebody would gain or lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessChange {
    pub kind: HolderKind,
    /// A service token's is its accessor.
    pub name: String,
    /// A role has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// How it comes by the policy.
    pub through: Vec<Way>,
    pub change: Direction,
    pub capability: Capability,
    /// On what this pattern matches, as far as no more specific rule decides.
    pub path: String,
    /// Where rules count for some networks alone: one address for which it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub from: Option<IpAddr>,
    /// The rule that decides now. Absent: none matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Deciding>,
    /// The rule that would decide. Absent: none would match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Deciding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Gained,
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    pub name: Name,
    #[schemars(length(min = 1, max = 256))]
    pub rules: Vec<Rule>,
    /// Every installation has it, and nobody can change it.
    #[serde(default)]
    pub built_in: bool,
    /// Counts the rules it has had. Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}

/// The newest versions of a policy, newest first; none of one that is built in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyHistory {
    pub name: Name,
    pub items: Vec<PolicyVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyVersion {
    pub version: i64,
    pub rules: Vec<Rule>,
    pub written_at: Time,
    /// Who wrote it. Absent: it was written by a program that did not keep this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
}
