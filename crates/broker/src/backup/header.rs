//! What stands before a backup's parts, in clear: whose it is, of when, and the sealed keys by which it opens.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_crypto::{BackupPart, Keys, Unlock};
use strongroom_domain::{Digest, Error, NamespaceId, ObjectId, Record, Result, Revision, Schema, Time};
use strongroom_ports::Snapshot;

use super::{Stamp, damaged};
use crate::open::{RingError, open_ring};
use crate::slots::MAX_SLOTS;

/// The first line of every backup. Another format has another number.
const MAGIC: &[u8] = b"strongroom backup 1\n";
/// More than slots ever take.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// A key slot or the ring, as it is stored: sealed already.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    name: String,
    row: String,
    mac: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) id: ObjectId,
    pub(super) namespace: NamespaceId,
    /// The store's time when the snapshot was taken.
    pub(super) created_at: Time,
    pub(super) revision: Revision,
    /// The oldest program that reads every row.
    oldest_program: i64,
    /// By name: what opens the backup.
    slots: Vec<Stored>,
    ring: Stored,
}

impl Stored {
    fn of(record: &Record) -> Self {
        Self {
            name: record.name.clone(),
            row: HEXLOWER.encode(&record.canonical()),
            mac: HEXLOWER.encode(&record.mac),
        }
    }

    fn record(&self) -> Result<Record> {
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_| malformed());
        Record::from_canonical(&bytes(&self.row)?, bytes(&self.mac)?).ok_or_else(malformed)
    }
}

fn malformed() -> Error {
    damaged("Its header is malformed.")
}

impl Header {
    pub(super) fn new(id: ObjectId, snapshot: &Snapshot, slots: &[Record], ring: &Record) -> Self {
        Self {
            id,
            namespace: ring.namespace,
            created_at: snapshot.at,
            revision: snapshot.revision,
            oldest_program: snapshot.oldest_program,
            slots: slots.iter().map(Stored::of).collect(),
            ring: Stored::of(ring),
        }
    }

    /// The two lines, and their digest, which every part is bound to.
    pub(super) fn to_bytes(&self) -> Result<(Vec<u8>, Digest)> {
        let mut bytes = MAGIC.to_vec();
        serde_json::to_writer(&mut bytes, self).map_err(Error::internal)?;
        bytes.push(b'\n');
        let digest = Digest(Sha256::digest(&bytes).into());
        Ok((bytes, digest))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<(Self, Digest)> {
        let not_ours = || damaged("It is not a backup, or one of a newer program.");
        let line = bytes.strip_prefix(MAGIC).ok_or_else(not_ours)?;
        let line = line
            .strip_suffix(b"\n")
            .ok_or_else(|| damaged("It is cut off in its header."))?;
        let header: Self = serde_json::from_slice(line).map_err(|_| malformed())?;
        // Nodes that add slots at the same moment can pass the bound; a header that asks for hours of stretching cannot.
        if header.slots.len() > 2 * MAX_SLOTS {
            return Err(malformed());
        }
        let schema = Schema {
            oldest_program: header.oldest_program,
            ..Schema::OWN
        };
        schema.fits().map_err(|_| not_ours())?;
        Ok((header, Digest(Sha256::digest(bytes).into())))
    }

    pub(super) fn slots(&self) -> Result<Vec<Record>> {
        self.slots.iter().map(Stored::record).collect()
    }

    pub(super) fn ring(&self) -> Result<Record> {
        self.ring.record()
    }

    /// The keys, if this one opens a slot; `None` where it opens none.
    pub(super) fn unlock(&self, unlock: &Unlock, format: i16) -> Result<Option<Keys>> {
        let (slots, ring) = (self.slots()?, self.ring()?);
        match open_ring(unlock, &slots, &ring, format) {
            Ok(keys) => Ok(Some(keys)),
            Err(RingError::WrongKey) => Ok(None),
            Err(RingError::Broken(_)) => Err(damaged("Its keys are altered.")),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            at: self.created_at,
            oldest_program: self.oldest_program,
        }
    }

    /// In words, for whoever has to find the key.
    pub(super) fn opened_by(&self) -> String {
        let names = self.slots.iter().map(|slot| format!("the slot '{}'", slot.name));
        names.collect::<Vec<_>>().join(" or ")
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            id: self.id,
            at: self.created_at,
            revision: self.revision,
        }
    }

    pub(super) fn part(&self, header: Digest, number: i64, last: bool) -> BackupPart {
        BackupPart {
            namespace: self.namespace,
            file: self.id,
            header,
            number,
            last,
        }
    }
}
