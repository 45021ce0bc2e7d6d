//! The unit of proof: the entries of one commit.

use std::fmt;

use super::{Class, StoredEntry};
use crate::canon::{Canon, Columns};
use crate::{Digest, Time};

/// A node's three ways into the log. Each numbers its own batches and owns its own connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Entries of reads.
    Reads = 0,
    /// Changes that take a revision.
    Changes = 1,
    /// Changes that take none, logins, and denials.
    Events = 2,
}

impl Lane {
    pub const ALL: [Self; 3] = [Self::Reads, Self::Changes, Self::Events];

    /// A lane's batches are all of one class.
    pub fn class(self) -> Class {
        match self {
            Self::Reads => Class::Reads,
            Self::Changes | Self::Events => Class::Kept,
        }
    }
}

/// Boot (24 bits), lane (2) and number within the lane (37) in one positive integer. A boot is one start of one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub i64);

impl BatchId {
    const NUMBER_BITS: u32 = 37;
    /// Starts that an id has room for.
    pub const MAX_BOOT: i64 = (1 << 24) - 1;

    pub fn new(boot: i64, lane: Lane, number: i64) -> Self {
        Self((boot << (Self::NUMBER_BITS + 2)) | ((lane as i64) << Self::NUMBER_BITS) | number)
    }

    pub fn boot(self) -> i64 {
        self.0 >> (Self::NUMBER_BITS + 2)
    }

    pub fn lane(self) -> Option<Lane> {
        match (self.0 >> Self::NUMBER_BITS) & 3 {
            0 => Some(Lane::Reads),
            1 => Some(Lane::Changes),
            2 => Some(Lane::Events),
            _ => None,
        }
    }

    pub fn number(self) -> i64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// After which this one comes first.
    pub fn before(self) -> Self {
        Self(self.0 - 1)
    }

    /// As it is displayed, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text.split('.').map_while(|part| part.parse().ok()).collect();
        let [boot, lane, number] = *numbers.as_slice() else {
            return None;
        };
        let lane = Lane::ALL.into_iter().find(|each| *each as i64 == lane)?;
        let fits = (0..=Self::MAX_BOOT).contains(&boot) && (0..1 << Self::NUMBER_BITS).contains(&number);
        let id = fits.then(|| Self::new(boot, lane, number))?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lane = self.lane().map_or(3, |lane| lane as i64);
        write!(f, "{}.{lane}.{}", self.boot(), self.number())
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which entry of the log: its batch, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryId {
    pub batch: BatchId,
    pub place: i64,
}

impl EntryId {
    pub fn parse(text: &str) -> Option<Self> {
        let (batch, place) = text.rsplit_once('.')?;
        let id = Self {
            batch: BatchId::parse(batch)?,
            place: place.parse().ok().filter(|place| *place >= 0)?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.batch, self.place)
    }
}

const LABEL: &str = "strongroom batch";
const FORMAT: u8 = 1;

/// The batch's own row. A void batch (count 0) settles a number whose commit was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub class: Class,
    pub at: Time,
    pub count: i64,
    /// RFC 6962 root over the entries' canonical bytes.
    pub root: Digest,
    /// The MAC of the batch before in this lane; zero for a lane's first.
    pub previous: Digest,
    /// Which audit MAC key.
    pub key: i64,
    pub mac: Digest,
}

impl Batch {
    /// What the MAC is taken over. Format 1, fixed.
    pub fn canonical(&self) -> Vec<u8> {
        Canon::new(LABEL)
            .byte(FORMAT)
            .int(self.id.0)
            .int(self.class.number().into())
            .int(self.at.0)
            .int(self.count)
            .bytes(&self.root.0)
            .bytes(&self.previous.0)
            .int(self.key)
            .done()
    }

    /// The batch of these bytes and this MAC; `None` where they are no batch's that this program knows.
    pub fn from_canonical(bytes: &[u8], mac: Digest) -> Option<Self> {
        let mut columns = Columns::read(bytes, LABEL)?;
        let digest = |columns: &mut Columns<'_>| Digest::from_slice(columns.bytes()?);
        if columns.byte()? != FORMAT {
            return None;
        }
        let batch = Self {
            id: BatchId(columns.int()?),
            class: Class::from_number(columns.small()?)?,
            at: Time(columns.int()?),
            count: columns.int()?,
            root: digest(&mut columns)?,
            previous: digest(&mut columns)?,
            key: columns.int()?,
            mac,
        };
        columns.is_done().then_some(batch)
    }
}

/// A batch with its entries, ready to be written in one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    pub batch: Batch,
    pub entries: Vec<StoredEntry>,
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn canonical_bytes_are_fixed_and_ids_take_apart() {
        let id = BatchId::new(77, Lane::Events, 123_456);
        assert_eq!((id.boot(), id.lane(), id.number()), (77, Some(Lane::Events), 123_456));
        assert!(BatchId::new((1 << 24) - 1, Lane::Events, (1 << 37) - 1).0 > 0);
        let entry = EntryId { batch: id, place: 9 };
        assert_eq!(EntryId::parse("77.2.123456.9"), Some(entry));
        assert_eq!(entry.to_string(), "77.2.123456.9");
        for other in [
            "",
            "77.2.123456",
            "77.3.1.0",
            "+77.2.1.0",
            "077.2.1.0",
            "77.2.1.-1",
            "77.2.1.0.0",
            "16777216.2.1.0",
        ] {
            assert_eq!(EntryId::parse(other), None, "{other}");
        }
        let batch = Batch {
            id,
            class: Class::Kept,
            at: Time(1),
            count: 2,
            root: Digest([3; 32]),
            previous: Digest([4; 32]),
            key: 5,
            mac: Digest::ZERO,
        };
        assert_eq!(
            Digest(Sha256::digest(batch.canonical()).into()).to_string(),
            "222be0cc5c321c0637aef90fdc50806df09c334b499c8bb6846f6f8528fc7bb2"
        );
    }
}
