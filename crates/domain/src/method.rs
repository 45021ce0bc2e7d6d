//! Login methods: how somebody whom others vouch for proves itself, and what a role asks of that proof. What is decided
//! here is decided from values: the proof was verified before.

mod admit;
mod algorithm;
mod bounds;
mod check;
mod config;
mod preset;

pub use admit::{Denied, Facts, claim};
pub use algorithm::Algorithm;
pub use bounds::{Accepted, Bounds, Scalar, ServiceAccount};
pub use config::{
    CertMethod, JwtMethod, KeySource, KubernetesMethod, MethodConfig, MethodType, NoConfig, OidcMethod, Preset, Review,
    SpiffeMethod,
};

use serde::{Deserialize, Serialize};

use crate::grant::Generation;
use crate::{Name, ObjectId, Time};

/// The methods that every installation has from the start. No row holds them.
pub const BUILT_IN: [&str; 2] = ["client", "password"];

/// The body of a method's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Never another's: who logged in by it is known by this, and its secret opens with it.
    pub id: ObjectId,
    pub config: MethodConfig,
    #[serde(default)]
    pub generation: Generation,
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

impl Method {
    /// One that is built in, as it is before anything is written of it.
    pub fn built_in(name: &Name) -> Option<Self> {
        let config = match name.as_str() {
            "client" => MethodConfig::Client(NoConfig {}),
            "password" => MethodConfig::Password(NoConfig {}),
            _ => return None,
        };
        Some(Self {
            id: ObjectId([0; 16]),
            config,
            generation: Generation::default(),
            secret: None,
            created_at: Time(0),
            updated_at: Time(0),
        })
    }
}

/// A login's state that was used. Its record's name is what it is found by; it is kept for longer than the state holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedState {
    pub used_at: Time,
}
