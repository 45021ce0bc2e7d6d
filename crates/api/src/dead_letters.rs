//! `dead-letters` and `dead-letters/{id}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::notice::LetterAction;
use strongroom_domain::target::Event;
use strongroom_domain::{Name, Time};

/// A notice that its webhook did not take for as long as it was tried.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// The notice's `webhook-id`.
    pub id: String,
    pub target: Name,
    #[serde(rename = "type")]
    pub event: Event,
    /// A secret's path, or a lease role's name.
    pub about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When it happened.
    pub timestamp: Time,
    pub tries: u32,
    /// Why it was not taken the last time.
    pub failure: String,
    /// When it was given up.
    pub died_at: Time,
    /// When it is forgotten.
    pub expires_at: Time,
}

/// What is done with a dead letter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TellDeadLetter {
    pub action: LetterAction,
}

/// A notice that was sent again, and not taken yet.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UntoldNotice {
    pub id: String,
    pub target: Name,
    /// Why it was not taken; absent: it was not tried yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it is tried next; absent: it is a dead letter once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
}
