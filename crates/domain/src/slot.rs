//! How a key slot is opened.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlotMethod {
    /// By a root key, which stands in a file.
    File,
    /// By a recovery key, for paper and a safe.
    Recovery,
    /// By words that people remember.
    Passphrase,
}

impl SlotMethod {
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Recovery => "recovery",
            Self::Passphrase => "passphrase",
        }
    }
}

impl fmt::Display for SlotMethod {
    /// What opens such a slot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "root key",
            Self::Recovery => "recovery key",
            Self::Passphrase => "passphrase",
        })
    }
}
