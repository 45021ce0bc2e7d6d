//! `control/…`: what a server's control socket serves besides the API, to this machine's operator alone.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{ObjectId, Time};

/// How large the store is, and since when it has grown.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Extent {
    pub bytes: i64,
    pub since: Option<Time>,
}

/// A root token that lives for a quarter of an hour.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recovered {
    #[serde(with = "crate::exposed")]
    pub token: SecretString,
    pub expires_at: Time,
}

/// That a backup stands where it was to be kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupKept {
    pub id: ObjectId,
    pub at: Time,
    pub revision: i64,
}
