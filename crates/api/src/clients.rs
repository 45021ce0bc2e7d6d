//! `clients`, `clients/{id}` and `clients/{id}/secrets`

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    pub name: Name,
    pub role: Name,
}

/// The only answer that shows the secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct Created {
    pub client_id: String,
    #[serde(with = "crate::exposed")]
    pub client_secret: SecretString,
    pub secret_id: String,
    pub name: Name,
    pub role: Name,
}

/// The only answer that shows the secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct SecretAdded {
    pub client_id: String,
    pub secret_id: String,
    #[serde(with = "crate::exposed")]
    pub client_secret: SecretString,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub client_id: String,
    pub name: Name,
    pub role: Name,
    pub principal: PrincipalId,
    pub secrets: Vec<ClientSecret>,
    pub created_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    pub secret_id: String,
    pub created_at: Time,
}
