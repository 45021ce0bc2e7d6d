//! A namespace's manifest: of each row that grants something which one it is, so that one which is gone, or was put
//! back, is told from the one that was written last. A MAC alone cannot: an older row was genuine once.
//!
//! It lies in records of its own: buckets, by a digest of what a row is called, and a top which vouches for these. The
//! top of each namespace is a row in the manifest of `root`, whose top's row revision is the *number* of the whole.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::row::Key;
use crate::{Digest, Kind, NamespaceId, ObjectId, Record, RowRev, Time};

/// The name of a top's record; buckets have numbers.
pub const TOP: &str = "top";
/// With 10,000 rows a bucket has some 25 kB, and a change of one row writes that and the top.
const BUCKETS: u8 = 64;
/// Numbers go on at the next multiple where a restore was accepted: nobody remembers one that comes after.
const AHEAD: i64 = 1 << 32;

/// Where numbers go on after a restore; none: they have come to their end.
pub fn number_ahead(last: i64) -> Option<i64> {
    (last / AHEAD + 1).checked_mul(AHEAD)
}

/// Whether a restore was accepted between the two.
pub fn is_ahead(number: i64, of: i64) -> bool {
    number / AHEAD > of / AHEAD
}

/// Which row it is that was written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub id: ObjectId,
    pub rev: RowRev,
    /// In hexadecimal. It covers all else.
    pub mac: String,
}

impl Listed {
    pub fn of(row: &Record) -> Self {
        Self {
            id: row.id,
            rev: row.rev,
            mac: HEXLOWER.encode(&row.mac),
        }
    }
}

/// What a bucket's record holds: rows by their slots.
pub type Bucket = BTreeMap<String, Listed>;

/// What a top's record holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Top {
    /// Each bucket's record, by its name.
    pub buckets: BTreeMap<String, Digest>,
    /// Opaque tokens that were made by then are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_since: Option<Time>,
}

/// What a row is called in its manifest.
pub fn slot(kind: Kind, name: &str) -> String {
    format!("{}/{name}", kind.name())
}

/// What the top of a namespace is called in the manifest of `root`.
pub fn slot_of_top(namespace: NamespaceId) -> String {
    slot(Kind::Manifest, &namespace.to_string())
}

/// The name of the bucket which has that slot.
pub fn bucket_of(slot: &str) -> String {
    let [first, ..]: [u8; 32] = Sha256::digest(slot.as_bytes()).into();
    (first % BUCKETS).to_string()
}

/// Whether rows of this kind stand in a manifest: all of them, or those that say so by [`must_be_listed`].
pub fn lists(kind: Kind) -> bool {
    match kind {
        Kind::Namespace
        | Kind::KeySlot
        | Kind::KeyRing
        | Kind::Policy
        | Kind::Role
        | Kind::Method
        | Kind::Client
        | Kind::Operator
        | Kind::Group
        | Kind::Principal
        | Kind::Token
        | Kind::Target
        | Kind::LeaseRole => true,
        Kind::Secret
        | Kind::ChangeId
        | Kind::Backup
        | Kind::Manifest
        | Kind::Revocation
        | Kind::UsedState
        | Kind::Hold
        | Kind::UsedCode
        | Kind::Rotation
        | Kind::Lease
        | Kind::LeaseCount
        | Kind::Notice
        | Kind::DeadLetter
        | Kind::Flag
        | Kind::FlagVersion
        | Kind::FlagSet
        | Kind::BrowserKey
        | Kind::FlagCounts => false,
    }
}

/// What is read of a body to tell whether its row is in a manifest.
#[derive(Deserialize)]
struct Marks {
    #[serde(default)]
    root: bool,
    #[serde(default)]
    generation: i64,
    created_at: Time,
    #[serde(default)]
    erased_at: Option<Time>,
}

fn marks(row: &Record) -> Option<Marks> {
    serde_json::from_slice(&row.body).ok()
}

/// Principals are many and seldom change: one is listed from when its tokens were revoked, or its name erased. Of tokens
/// those are that may do everything and do not end by themselves.
pub fn must_be_listed(row: &Record) -> bool {
    match row.kind {
        Kind::Principal => {
            marks(row).is_none_or(|marks| marks.erased_at.is_some() || marks.generation > marks.created_at.0)
        }
        Kind::Token => row.due.is_none() && marks(row).is_none_or(|marks| marks.root),
        // The top of a namespace, in the manifest of `root`.
        Kind::Manifest => true,
        kind => lists(kind),
    }
}

/// Whether this is an opaque token that does not hold, since it was made by then.
pub fn token_is_void(row: &Record, since: Time) -> bool {
    row.kind == Kind::Token && marks(row).is_none_or(|marks| marks.created_at <= since)
}

/// Why a row is not the one that its manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlike {
    Gone,
    Another,
    PutBack,
}

impl Unlike {
    /// What is the matter with a row of some kind.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "is gone, and nobody deleted it by this program",
            Self::Another => "is not the one that was written last",
            Self::PutBack => "was deleted, and is there again",
        }
    }
}

/// Whether what was found is what the manifest has.
pub fn compare(listed: Option<&Listed>, found: Option<&Record>) -> Result<(), Unlike> {
    match (listed, found) {
        (Some(listed), Some(row)) if *listed == Listed::of(row) => Ok(()),
        (Some(_), Some(_)) => Err(Unlike::Another),
        (Some(_), None) => Err(Unlike::Gone),
        (None, Some(row)) if must_be_listed(row) => Err(Unlike::PutBack),
        (None, _) => Ok(()),
    }
}

/// Where a manifest's own records are.
pub fn key(namespace: NamespaceId, name: impl Into<String>) -> Key {
    Key::new(namespace, Kind::Manifest, name)
}
