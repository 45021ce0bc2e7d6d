//! `clients`, `clients/{id}` and `clients/{id}/secrets`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    pub name: Name,
    pub role: Name,
    /// What policies may name it by, as `{{principal.metadata.KEY}}`: values of at most 256 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 16))]
    pub metadata: BTreeMap<Name, String>,
}

/// The only answer that shows the secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ClientCreated")]
pub struct Created {
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub client_id: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub client_secret: SecretString,
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub secret_id: String,
    pub name: Name,
    pub role: Name,
}

/// The only answer that shows the secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretAdded {
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub client_id: String,
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub secret_id: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub client_secret: SecretString,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub client_id: String,
    pub name: Name,
    pub role: Name,
    pub principal: PrincipalId,
    /// What policies may name it by, as `{{principal.metadata.KEY}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Name, String>,
    pub secrets: Vec<ClientSecret>,
    pub created_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientSecret {
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub secret_id: String,
    pub created_at: Time,
}
