//! `policies` and `policies/{name}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::policy::{self, Capability};
use strongroom_domain::{Name, Network, Time};

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
