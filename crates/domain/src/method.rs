//! Login methods: how somebody whom others vouch for proves itself, and what a role asks of that proof. What is decided
//! here is decided from values: the proof was verified before.

mod admit;
mod bounds;
mod config;
mod preset;

pub use admit::{Denied, Facts, claim};
pub use bounds::{Accepted, Bounds, Scalar, ServiceAccount};
pub use config::{
    Algorithm, CertMethod, JwtMethod, KeySource, KubernetesMethod, MethodConfig, MethodType, OidcMethod, Preset,
    Review, SpiffeMethod,
};

use serde::{Deserialize, Serialize};

use crate::{Digest, Name, Time};

/// The methods that every installation has from the start. No row holds them.
pub const BUILT_IN: [&str; 2] = ["client", "password"];

/// Whether a method of this name is built in.
pub fn is_built_in(name: &Name) -> bool {
    BUILT_IN.contains(&name.as_str())
}

/// The body of a method's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    pub config: MethodConfig,
    /// The secret that the method shows to the other side, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<MethodSecret>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Sealed, in hexadecimal, under a key of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodSecret {
    pub key: i64,
    pub sealed: String,
}

/// A login's state that was used: its record's name is what it is found by, and it is kept until the state expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedState {
    pub method: Digest,
}
