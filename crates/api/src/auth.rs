//! `POST auth/client/login`

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientLogin {
    pub client_id: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub client_secret: SecretString,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AccessToken {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub access_token: SecretString,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u32,
}
