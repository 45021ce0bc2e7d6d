//! What a lease is called.

use std::fmt;

use data_encoding::BASE32_DNSSEC;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use super::LeaseRole;
use crate::{Name, Result};

const PREFIX: &str = "lease:";
/// Of base 32.
const ID: usize = 20;
/// Of these, 40 bits of the role's name; the others are 60 random bits.
const ROLE: usize = 8;

/// `lease:` and 20 characters: no name is written so. The characters are the name of the row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(String);

impl LeaseId {
    pub fn new(role: &Name, random: [u8; 16]) -> Self {
        let mut text = Self::start_of(role) + &BASE32_DNSSEC.encode(&random);
        text.truncate(ID);
        Self(text)
    }

    /// What the names of the rows of a role's leases start with, so that they stand together: of that role, and of hardly another.
    pub fn start_of(role: &Name) -> String {
        let mut text = BASE32_DNSSEC.encode(&Sha256::digest(role.as_str()));
        text.truncate(ROLE);
        text
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::of_row(text.strip_prefix(PREFIX)?)
    }

    pub fn of_row(name: &str) -> Option<Self> {
        let fits = name.len() == ID && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v'));
        fits.then(|| Self(name.to_owned()))
    }

    /// The lease that a user of this role is of, if it is one.
    pub fn of_user(username: &str, role: &LeaseRole) -> Option<Self> {
        Self::of_row(username.strip_prefix(&role.user_prefix())?)
    }

    pub fn row_name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl Serialize for LeaseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a lease's id is 'lease:' and 20 characters"))
    }
}
