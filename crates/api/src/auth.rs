//! `POST auth/client/login`

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLogin {
    pub client_id: String,
    #[serde(with = "crate::exposed")]
    pub client_secret: SecretString,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct AccessToken {
    #[serde(with = "crate::exposed")]
    pub access_token: SecretString,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u32,
}
