//! `policies` and `policies/{name}`

use serde::{Deserialize, Serialize};
use strongroom_domain::policy::{self, Capability};
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WritePolicy {
    pub rules: Vec<Rule>,
}

/// The domain's rule, strict: a field that is not understood could be meant to restrict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub path: String,
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub name: Name,
    pub rules: Vec<Rule>,
    pub created_at: Time,
    pub updated_at: Time,
}
