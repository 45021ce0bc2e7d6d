//! `control/…`: what a server's control socket serves besides the API, to this machine's operator alone.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{ObjectId, SlotMethod, Time};

/// What may open the installation: asked for before anybody relies on it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckKey {
    pub method: SlotMethod,
    #[serde(with = "crate::exposed")]
    pub key: SecretString,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct KeyChecked {
    pub opens: bool,
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

/// That what grants access is to stand as it was put back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptRestore {
    /// For whoever reads the log.
    pub reason: String,
}

/// That work on systems outside is to go on after a restore.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftHold {
    /// For whoever reads the log.
    pub reason: String,
}

/// What stands from now on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RestoreAccepted {
    /// The number of its manifest.
    pub manifest: i64,
    /// Rows that grant something.
    pub rows: usize,
    /// Rows that were left out because they fail their check.
    pub broken: usize,
}
