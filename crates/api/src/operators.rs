//! `operators`, `operators/{name}` and `operators/{name}/password`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, PrincipalId, Time};

/// All that it may do: what is not named here it loses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOperator {
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub policies: Vec<Name>,
    /// Whose policies it has too.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub groups: Vec<Name>,
    /// What policies may name it by, as `{{principal.metadata.KEY}}`: values of at most 256 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 16))]
    pub metadata: BTreeMap<Name, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operator {
    pub name: Name,
    pub principal: PrincipalId,
    pub policies: Vec<Name>,
    pub groups: Vec<Name>,
    /// What policies may name it by, as `{{principal.metadata.KEY}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Name, String>,
    /// Whether a login needs a one-time code.
    pub totp: bool,
    /// Absent: it has none, and cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_set_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// 12 to 1,024 bytes.
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String", length(min = 12, max = 1024))]
    pub password: SecretString,
}
