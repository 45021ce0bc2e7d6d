//! `POST keys/data/rotate`, `keys/slots` and `keys/slots/{name}`

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, SlotMethod, Time};

/// The data epoch that values are sealed under from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DataKeyRotated")]
pub struct Rotated {
    #[schemars(range(min = 1))]
    pub epoch: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSigningKey {
    /// Ends every access token now: for a key that leaked. Else the old key goes on until what it signed has expired.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end_all: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSlot {
    pub name: Name,
    pub method: SlotMethod,
    /// For a passphrase alone: at least 16 characters. The keys of the other methods are made by the server.
    #[serde(with = "crate::exposed::maybe", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub passphrase: Option<SecretString>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    pub name: Name,
    pub method: SlotMethod,
    pub created_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slots {
    pub items: Vec<Slot>,
}

/// The only answer that shows the key.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SlotAdded {
    pub name: Name,
    pub method: SlotMethod,
    pub created_at: Time,
    /// Of a file 64 hexadecimal digits, of a recovery key `SRR` and groups of four.
    #[serde(with = "crate::exposed::maybe", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub key: Option<SecretString>,
}
