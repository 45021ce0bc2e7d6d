//! `methods` and `methods/{name}`

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::method::MethodConfig;
use strongroom_domain::{Name, Time};

/// The whole of it: what is not said is not kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WriteMethod {
    #[serde(flatten)]
    pub config: MethodConfig,
    /// What it shows to the other side: an OpenID client's secret, or the token that asks a cluster to review others.
    #[serde(default, with = "crate::exposed::maybe", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 8192))]
    pub secret: Option<SecretString>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Method {
    pub name: Name,
    pub built_in: bool,
    /// Whether it shows a secret to the other side; which, nobody is told.
    pub has_secret: bool,
    #[serde(flatten)]
    pub config: MethodConfig,
    /// Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Absent: built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}
