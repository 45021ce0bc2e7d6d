//! Identifiers. All are 128 random bits written as 32 lower-case hexadecimal digits; each kind is a type of its own.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// The bytes, if there are exactly as many as the type has.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Lower-case hexadecimal only: an id has one spelling.
            pub fn parse(text: &str) -> Option<Self> {
                HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| Self::from_slice(&bytes))
            }

            pub fn as_slice(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * $size];
                HEXLOWER.encode_mut(&self.0, &mut digits);
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an id"))
            }
        }
    };
}

bytes_id!(
    /// A tenant, known inside by this id, which is never reused.
    NamespaceId, 16);
bytes_id!(
    /// A record's id within its namespace and kind.
    ObjectId, 16);
bytes_id!(
    /// Who acts. The name is kept apart, so that it can be erased.
    PrincipalId, 16);
bytes_id!(
    /// A request's id, in the answer's header, the log and the audit entry.
    RequestId, 16);
bytes_id!(
    /// SHA-256 or HMAC-SHA-256.
    Digest, 32);

impl ObjectId {
    /// Where something is spread evenly by it.
    pub fn seed(self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

impl Digest {
    pub const ZERO: Self = Self([0; 32]);
}

/// A change's place in the global order. Numbers have no gap and never fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Revision(pub i64);

/// A row's own counter: 1 when inserted, one more at each replacement. It stands inside the row's MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowRev(pub i64);

impl RowRev {
    pub const FIRST: Self = Self(1);

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
