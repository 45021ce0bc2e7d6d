//! `policies` and `policies/{name}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::policy::{self, Capability};
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WritePolicy {
    #[schemars(length(min = 1, max = 256))]
    pub rules: Vec<Rule>,
}

/// Strict: a field that is not understood could be meant to restrict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[schemars(schema_with = "crate::schema::pattern")]
    pub path: String,
    #[schemars(length(min = 1))]
    pub capabilities: Vec<Capability>,
}

impl From<Rule> for policy::Rule {
    fn from(Rule { path, capabilities }: Rule) -> Self {
        Self { path, capabilities }
    }
}

impl From<policy::Rule> for Rule {
    fn from(policy::Rule { path, capabilities }: policy::Rule) -> Self {
        Self { path, capabilities }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    pub name: Name,
    #[schemars(length(min = 1, max = 256))]
    pub rules: Vec<Rule>,
    /// Every installation has it, and nobody can change it.
    #[serde(default)]
    pub built_in: bool,
    /// Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}
