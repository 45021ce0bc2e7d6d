//! The two rows that everything is made of. A *record* is any object with a name: a secret's head, a policy, a role, a
//! client, a key slot. A *version* is an immutable sealed payload that a record's body vouches for by digest.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::canon::{Canon, Columns};
use crate::{Digest, NamespaceId, ObjectId, PayloadKind, RowRev, Time};

/// What canonical bytes say that they are.
const RECORD: &str = "strongroom record";
const VERSION: &str = "strongroom version";

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What a record is. Numbers are stored and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $variant = $number,)* }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub fn number(self) -> i16 {
                self as i16
            }

            pub fn from_number(number: i16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Namespace = 1, "namespace";
    KeySlot = 2, "key_slot";
    KeyRing = 3, "key_ring";
    /// A secret's head: labels, metadata, and every kept version with its state and digest.
    Secret = 4, "secret";
    Policy = 5, "policy";
    Role = 6, "role";
    Client = 7, "client";
    Principal = 8, "principal";
    /// An opaque token; its name is the keyed hash it is found by.
    Token = 9, "token";
    /// A change id that was used within the last 24 hours, with a keyed digest of its request.
    ChangeId = 10, "change_id";
    /// A person who works on the installation; its name is the username.
    Operator = 11, "operator";
    /// Policies under one name, which operators name.
    Group = 12, "group";
    /// Of what moment the newest backup is that was kept.
    Backup = 13, "backup";
    /// How somebody logs in whom others vouch for.
    Method = 14, "method";
    /// Which rows that grant something were written last; see [`crate::manifest`].
    Manifest = 15, "manifest";
    /// An access token that was revoked before it expired; its name is the token's `jti`.
    Revocation = 16, "revocation";
    /// A login's state that was used, so that it is not used again.
    UsedState = 17, "used_state";
    /// That work on systems outside waits since a restore.
    Hold = 18, "hold";
    /// What a webhook was to be told and did not take; its name is when it was given up, and its id.
    DeadLetter = 19, "dead_letter";
    /// A one-time code of an operator that was used; its name is both.
    UsedCode = 20, "used_code";
    /// A system outside whose credentials are kept here.
    Target = 21, "target";
    /// How a secret is rotated, and how far that is; its name is the secret's path.
    Rotation = 22, "rotation";
    /// What a lease of a target gives.
    LeaseRole = 23, "lease_role";
    /// A credential that was made on demand, until it is taken back.
    Lease = 24, "lease";
    /// How many leases of a role there are; its name is the role's.
    LeaseCount = 25, "lease_count";
    /// What a webhook is to be told still.
    Notice = 26, "notice";
    /// A feature flag as it is now; its name is `project/environment/key`.
    Flag = 27, "flag";
    /// What a flag was from one write to the next.
    FlagVersion = 28, "flag_version";
    /// What the flags of a project's environment share; there is one where there is a flag.
    FlagSet = 29, "flag_set";
    /// What a browser evaluates flags with; its name is the keyed hash it is found by.
    BrowserKey = 30, "browser_key";
    /// What evaluations of the flags of a set gave within a minute on one node.
    FlagCounts = 33, "flag_counts";
}

impl Kind {
    /// Those whose rows are worth nothing once they fell due, and are then removed without an entry.
    pub const EXPIRING: [Self; 8] = [
        Self::ChangeId,
        Self::Token,
        Self::Revocation,
        Self::UsedState,
        Self::UsedCode,
        Self::BrowserKey,
        Self::FlagCounts,
        Self::DeadLetter,
    ];
}

/// Where a record is: unique, and never used for another object's grants or values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub namespace: NamespaceId,
    pub kind: Kind,
    pub name: String,
}

impl Key {
    pub fn new(namespace: NamespaceId, kind: Kind, name: impl Into<String>) -> Self {
        Self {
            namespace,
            kind,
            name: name.into(),
        }
    }
}

/// One row of the table `record`. `mac` covers every other column.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub namespace: NamespaceId,
    pub kind: Kind,
    pub id: ObjectId,
    /// Unique within namespace and kind, compared byte for byte: a secret's path, a policy's name.
    pub name: String,
    pub rev: RowRev,
    /// When a job is to look at the row. Never consulted to decide whether something is still valid.
    pub due: Option<Time>,
    /// How the MAC is taken; see [`crate::upgrade`].
    pub format: i16,
    /// What the domain makes of it, as JSON, or sealed bytes where the kind says so.
    pub body: Vec<u8>,
    /// Key id (4 bytes) and HMAC-SHA-256.
    pub mac: Vec<u8>,
    /// The level of the program that wrote the row.
    #[cfg(feature = "next-schema")]
    pub writer: Option<i64>,
}

impl Record {
    /// A first row, to be filled in.
    pub fn blank(key: Key, id: ObjectId) -> Self {
        Self {
            namespace: key.namespace,
            kind: key.kind,
            id,
            name: key.name,
            rev: RowRev::FIRST,
            due: None,
            format: 0,
            body: Vec::new(),
            mac: Vec::new(),
            #[cfg(feature = "next-schema")]
            writer: None,
        }
    }

    /// The same row as that format has it.
    #[must_use]
    pub fn in_format(mut self, format: i16) -> Self {
        self.format = format;
        #[cfg(feature = "next-schema")]
        {
            self.writer = writer_in(format);
        }
        self
    }

    pub fn key(&self) -> Key {
        Key::new(self.namespace, self.kind, self.name.clone())
    }

    /// What the MAC is taken over: every column but the MAC.
    pub fn canonical(&self) -> Vec<u8> {
        let canon = Canon::new(RECORD)
            .int(self.format.into())
            .bytes(self.namespace.as_slice())
            .int(self.kind.number().into())
            .bytes(self.id.as_slice())
            .text(&self.name)
            .int(self.rev.0)
            .maybe_int(self.due.map(|due| due.0))
            .bytes(&self.body);
        #[cfg(feature = "next-schema")]
        let canon = with_writer(canon, self.format, self.writer);
        canon.done()
    }

    /// The row of these bytes and this MAC; `None` where they are no record's that this program knows.
    pub fn from_canonical(bytes: &[u8], mac: Vec<u8>) -> Option<Self> {
        let mut columns = Columns::read(bytes, RECORD)?;
        let format = columns.small()?;
        let namespace = NamespaceId::from_slice(columns.bytes()?)?;
        let kind = Kind::from_number(columns.small()?)?;
        let id = ObjectId::from_slice(columns.bytes()?)?;
        let key = Key::new(namespace, kind, columns.text()?);
        let row = Self {
            rev: RowRev(columns.int()?),
            due: columns.maybe_int()?.map(Time),
            format,
            body: columns.bytes()?.to_vec(),
            mac,
            #[cfg(feature = "next-schema")]
            writer: read_writer(&mut columns)?,
            ..Self::blank(key, id)
        };
        columns.is_done().then_some(row)
    }

    /// The digest an audit entry carries of a change's result.
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.canonical()).into())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} {} rev {})", self.kind.name(), self.id, self.rev.0)
    }
}

/// One row of the table `version`: a sealed payload. `salt`, `commitment` and `sealed` are empty once destroyed.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    pub namespace: NamespaceId,
    /// The record whose body holds this row's digest.
    pub owner: ObjectId,
    pub number: i64,
    pub rev: RowRev,
    /// How the digest is taken; see [`crate::upgrade`].
    pub format: i16,
    pub payload: PayloadKind,
    /// The data key it is sealed under.
    pub epoch: i64,
    pub salt: Vec<u8>,
    pub commitment: Vec<u8>,
    /// Ciphertext and tag.
    pub sealed: Vec<u8>,
    /// The level of the program that wrote the row.
    #[cfg(feature = "next-schema")]
    pub writer: Option<i64>,
}

impl Version {
    /// A first row with nothing in it, under no data key.
    pub fn blank(namespace: NamespaceId, owner: ObjectId, number: i64) -> Self {
        Self {
            namespace,
            owner,
            number,
            rev: RowRev::FIRST,
            format: 0,
            payload: PayloadKind::Bytes,
            epoch: 0,
            salt: Vec::new(),
            commitment: Vec::new(),
            sealed: Vec::new(),
            #[cfg(feature = "next-schema")]
            writer: None,
        }
    }

    /// The same row as that format has it.
    #[must_use]
    pub fn in_format(mut self, format: i16) -> Self {
        self.format = format;
        #[cfg(feature = "next-schema")]
        {
            self.writer = writer_in(format);
        }
        self
    }

    /// Every column.
    pub fn canonical(&self) -> Vec<u8> {
        let canon = Canon::new(VERSION)
            .int(self.format.into())
            .bytes(self.namespace.as_slice())
            .bytes(self.owner.as_slice())
            .int(self.number)
            .int(self.rev.0)
            .int(self.payload.number().into())
            .int(self.epoch)
            .bytes(&self.salt)
            .bytes(&self.commitment)
            .bytes(&self.sealed);
        #[cfg(feature = "next-schema")]
        let canon = with_writer(canon, self.format, self.writer);
        canon.done()
    }

    /// The row of these bytes; `None` where they are no version's that this program knows.
    pub fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let mut columns = Columns::read(bytes, VERSION)?;
        let format = columns.small()?;
        let namespace = NamespaceId::from_slice(columns.bytes()?)?;
        let owner = ObjectId::from_slice(columns.bytes()?)?;
        let number = columns.int()?;
        let row = Self {
            rev: RowRev(columns.int()?),
            format,
            payload: PayloadKind::from_number(columns.small()?)?,
            epoch: columns.int()?,
            salt: columns.bytes()?.to_vec(),
            commitment: columns.bytes()?.to_vec(),
            sealed: columns.bytes()?.to_vec(),
            #[cfg(feature = "next-schema")]
            writer: read_writer(&mut columns)?,
            ..Self::blank(namespace, owner, number)
        };
        columns.is_done().then_some(row)
    }

    /// Over every column; the owner's body keeps it.
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.canonical()).into())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({} number {})", self.owner, self.number)
    }
}

#[cfg(feature = "next-schema")]
fn writer_in(format: i16) -> Option<i64> {
    (format >= crate::upgrade::NEXT_FORMAT).then_some(crate::upgrade::LEVEL)
}

/// A column that stands in a row whose format has none is taken in as well, so that such a row does not hold.
#[cfg(feature = "next-schema")]
fn with_writer(canon: Canon, format: i16, writer: Option<i64>) -> Canon {
    if format >= crate::upgrade::NEXT_FORMAT || writer.is_some() {
        canon.maybe_int(writer)
    } else {
        canon
    }
}

/// A row whose format has none may stop before it.
#[cfg(feature = "next-schema")]
#[expect(
    clippy::option_option,
    reason = "none: the bytes end; some none: the column is empty"
)]
fn read_writer(columns: &mut Columns<'_>) -> Option<Option<i64>> {
    if columns.is_done() {
        Some(None)
    } else {
        columns.maybe_int()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Record(Record),
    Version(Version),
}

/// What a row is addressed by when it is replaced or removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    Record(NamespaceId, Kind, ObjectId),
    Version(NamespaceId, ObjectId, i64),
}

impl Row {
    pub fn key(&self) -> RowKey {
        match self {
            Self::Record(row) => RowKey::Record(row.namespace, row.kind, row.id),
            Self::Version(row) => RowKey::Version(row.namespace, row.owner, row.number),
        }
    }

    pub fn rev(&self) -> RowRev {
        match self {
            Self::Record(row) => row.rev,
            Self::Version(row) => row.rev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_bytes_of_a_record_are_fixed() {
        let key = Key::new(NamespaceId([1; 16]), Kind::Policy, "p");
        let record = Record {
            rev: RowRev(3),
            due: Some(Time(4)),
            body: b"{}".to_vec(),
            ..Record::blank(key, ObjectId([2; 16]))
        }
        .in_format(1);
        assert_eq!(
            record.digest().to_string(),
            "9e059f1af4f2430bb5aef5a04259404b2c3b3fe4ed3724a6e26727808f3819e4",
            "a landed format never changes"
        );
    }
}
