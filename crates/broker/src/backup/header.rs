//! What stands before a backup's parts, in clear: whose it is, of when, and the sealed keys by which it opens.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_crypto::{BackupPart, Keys, Unlock};
use strongroom_domain::row::FORMAT;
use strongroom_domain::{Digest, Error, Kind, NamespaceId, ObjectId, Record, Result, Revision, RowRev, Time};

use super::{Stamp, damaged};
use crate::open::{RingError, open_ring};

/// The first line of every backup. Another format has another number.
const MAGIC: &[u8] = b"strongroom backup 1\n";
/// More than slots ever take.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// A key slot or the ring, as it is stored: sealed already.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    id: ObjectId,
    name: String,
    rev: RowRev,
    body: String,
    mac: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) id: ObjectId,
    pub(super) namespace: NamespaceId,
    /// The store's time when the snapshot was taken.
    pub(super) created_at: Time,
    pub(super) revision: Revision,
    /// By name: what opens the backup.
    slots: Vec<Stored>,
    ring: Stored,
}

impl Stored {
    fn of(record: &Record) -> Self {
        Self {
            id: record.id,
            name: record.name.clone(),
            rev: record.rev,
            body: HEXLOWER.encode(&record.body),
            mac: HEXLOWER.encode(&record.mac),
        }
    }

    fn record(&self, namespace: NamespaceId, kind: Kind) -> Result<Record> {
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_| malformed());
        Ok(Record {
            namespace,
            kind,
            id: self.id,
            name: self.name.clone(),
            rev: self.rev,
            due: None,
            format: FORMAT,
            body: bytes(&self.body)?,
            mac: bytes(&self.mac)?,
        })
    }
}

fn malformed() -> Error {
    damaged("Its header is malformed.")
}

impl Header {
    pub(super) fn new(id: ObjectId, created_at: Time, revision: Revision, slots: &[Record], ring: &Record) -> Self {
        Self {
            id,
            namespace: ring.namespace,
            created_at,
            revision,
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
        let header = serde_json::from_slice(line).map_err(|_| malformed())?;
        Ok((header, Digest(Sha256::digest(bytes).into())))
    }

    pub(super) fn slots(&self) -> Result<Vec<Record>> {
        let slots = self.slots.iter();
        slots.map(|slot| slot.record(self.namespace, Kind::KeySlot)).collect()
    }

    pub(super) fn ring(&self) -> Result<Record> {
        self.ring.record(self.namespace, Kind::KeyRing)
    }

    /// The keys, if this one opens a slot; `None` where it opens none.
    pub(super) fn unlock(&self, unlock: &Unlock) -> Result<Option<Keys>> {
        let (slots, ring) = (self.slots()?, self.ring()?);
        let keys = match open_ring(unlock, &slots, &ring) {
            Ok(keys) => keys,
            Err(RingError::WrongKey) => return Ok(None),
            Err(RingError::Broken(_)) => return Err(damaged("Its keys do not open.")),
        };
        for record in slots.iter().chain([&ring]) {
            let held = keys.check_record(record);
            held.map_err(|error| damaged("Its keys are altered.").because(error))?;
        }
        Ok(Some(keys))
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
