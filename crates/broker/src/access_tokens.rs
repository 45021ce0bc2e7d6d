//! Access tokens as others see them: the keys that verify them, and where they are.

use serde_json::{Value, json};
use strongroom_domain::{Error, Result};

use crate::Broker;

impl Broker {
    /// Seconds for which others may keep what is published here.
    pub const KEYS_FRESH_FOR: u32 = strongroom_crypto::KEYS_FRESH_FOR;

    /// The JSON Web Key Set (RFC 7517) of every key whose tokens may still hold.
    pub fn jwks(&self) -> Result<Value> {
        self.0.ring.keys.load().jwks().map_err(Error::internal)
    }

    /// OpenID Connect discovery, as far as it concerns who only verifies tokens.
    pub fn discovery(&self) -> Value {
        let issuer = &self.0.settings.issuer.issuer;
        json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "token_endpoint": format!("{issuer}/api/v1/auth/client/login"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "claims_supported": [
                "iss", "aud", "sub", "client_id", "iat", "nbf", "exp", "jti", "namespace", "method", "role",
                "credential", "generations",
            ],
        })
    }
}
