//! The ring: random keys, each with an id that rows name, sealed as a whole under a key that only slots hold.
//! Changing the root key or a data epoch voids nothing else.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Kind, NamespaceId, ObjectId, Payload, Record, RowRev, Time, Version, upgrade};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, Zeroizing};

use crate::seal::{self, Place, Sealed};
use crate::slot::{SlotBody, SlotPlace, Unlock};
use crate::{CryptoError, labels};

/// Where keys and salts come from: each call gives 32 fresh random bytes.
pub type Random<'a> = &'a dyn Fn() -> [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A namespace's data epoch.
    Data,
    RowMac,
    AuditMac,
    TokenHash,
    TokenSigning,
    LogSigning,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RingKey {
    pub(crate) id: i64,
    pub(crate) purpose: Purpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<NamespaceId>,
    secret: String,
    pub(crate) created_at: Time,
}

impl Drop for RingKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl RingKey {
    pub(crate) fn bytes(&self) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let mut bytes = HEXLOWER
            .decode(self.secret.as_bytes())
            .map_err(|_| CryptoError::Unopened)?;
        let key = bytes
            .as_slice()
            .try_into()
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::Unopened);
        bytes.zeroize();
        key
    }
}

struct Opened {
    id: i64,
    purpose: Purpose,
    namespace: Option<NamespaceId>,
    bytes: Zeroizing<[u8; 32]>,
}

/// The opened ring. Immutable: a rotation makes another.
pub struct Keys {
    /// The format of rows that are made with it.
    format: i16,
    ring_key: Zeroizing<[u8; 32]>,
    stored: Vec<RingKey>,
    opened: Vec<Opened>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} keys)", self.stored.len())
    }
}

fn ring_place(namespace: NamespaceId, row: ObjectId, generation: i64) -> Place<'static> {
    Place {
        label: labels::RING,
        namespace,
        kind: Kind::KeyRing,
        row,
        path: "",
        version: generation,
        payload: 0,
        epoch: 0,
    }
}

impl Keys {
    /// A new ring with one key for each purpose, which writes rows in that format.
    pub fn generate(namespace: NamespaceId, format: i16, now: Time, random: Random<'_>) -> Result<Self, CryptoError> {
        let purposes = [
            Purpose::Data,
            Purpose::RowMac,
            Purpose::AuditMac,
            Purpose::TokenHash,
            Purpose::TokenSigning,
            Purpose::LogSigning,
        ];
        let mut stored = Vec::new();
        for purpose in purposes {
            let namespace = (purpose == Purpose::Data).then_some(namespace);
            push(&mut stored, purpose, namespace, now, random);
        }
        Self::from_stored(format, Zeroizing::new(random()), stored)
    }

    fn from_stored(format: i16, ring_key: Zeroizing<[u8; 32]>, stored: Vec<RingKey>) -> Result<Self, CryptoError> {
        let open = |key: &RingKey| {
            Ok(Opened {
                id: key.id,
                purpose: key.purpose,
                namespace: key.namespace,
                bytes: key.bytes()?,
            })
        };
        let opened = stored.iter().map(open).collect::<Result<_, CryptoError>>()?;
        Ok(Self {
            format,
            ring_key,
            stored,
            opened,
        })
    }

    /// The same ring with a new data epoch for `namespace`, which seals from then on.
    pub fn with_data_epoch(&self, namespace: NamespaceId, now: Time, random: Random<'_>) -> Result<Self, CryptoError> {
        self.with_key(Purpose::Data, Some(namespace), now, random)
    }

    pub(crate) fn with_key(
        &self,
        purpose: Purpose,
        namespace: Option<NamespaceId>,
        now: Time,
        random: Random<'_>,
    ) -> Result<Self, CryptoError> {
        let mut stored = self.stored.clone();
        push(&mut stored, purpose, namespace, now, random);
        Self::from_stored(self.format, self.ring_key.clone(), stored)
    }

    /// The same ring without the keys to sign tokens that are older than this one.
    pub fn without_token_signing_before(&self, id: i64) -> Result<Self, CryptoError> {
        let goes = |key: &&RingKey| key.purpose == Purpose::TokenSigning && key.id < id;
        let stored = self.stored.iter().filter(|key| !goes(key)).cloned().collect();
        Self::from_stored(self.format, self.ring_key.clone(), stored)
    }

    /// The same ring without any key of that namespace: nothing that they sealed can be opened again.
    pub fn without_namespace(&self, namespace: NamespaceId) -> Result<Self, CryptoError> {
        let stays = |key: &&RingKey| key.namespace != Some(namespace);
        let stored = self.stored.iter().filter(stays).cloned().collect();
        Self::from_stored(self.format, self.ring_key.clone(), stored)
    }

    pub(crate) fn made_at(&self, id: i64) -> Option<Time> {
        self.stored.iter().find(|key| key.id == id).map(|key| key.created_at)
    }

    /// The same ring without the namespace's data epochs older than `epoch`: what they sealed cannot be opened again.
    pub fn without_data_epochs_before(&self, namespace: NamespaceId, epoch: i64) -> Result<Self, CryptoError> {
        let goes = |key: &&RingKey| key.purpose == Purpose::Data && key.namespace == Some(namespace) && key.id < epoch;
        let stored = self.stored.iter().filter(|key| !goes(key)).cloned().collect();
        Self::from_stored(self.format, self.ring_key.clone(), stored)
    }

    /// The same ring with one new key to sign tokens: none that was issued before verifies any more.
    pub fn with_new_token_signing(&self, now: Time, random: Random<'_>) -> Result<Self, CryptoError> {
        let mut stored = self.stored.clone();
        // The new one first: no id is used again.
        push(&mut stored, Purpose::TokenSigning, None, now, random);
        let newest = stored.last().map_or(0, |key| key.id);
        stored.retain(|key| key.purpose != Purpose::TokenSigning || key.id == newest);
        Self::from_stored(self.format, self.ring_key.clone(), stored)
    }

    /// The same ring to be sealed under another key: who has an old slot's key opens none of what follows.
    pub fn under_new_ring_key(&self, random: Random<'_>) -> Result<Self, CryptoError> {
        Self::from_stored(self.format, Zeroizing::new(random()), self.stored.clone())
    }

    /// The key that slots hold.
    pub(crate) fn ring_key(&self) -> &[u8; 32] {
        &self.ring_key
    }

    /// How many there are that seal or still open values, of all namespaces.
    pub fn count_data_epochs(&self) -> usize {
        self.stored.iter().filter(|key| key.purpose == Purpose::Data).count()
    }

    /// The namespace's data epochs and when each was made, oldest first; the last one seals.
    pub fn data_epochs(&self, namespace: NamespaceId) -> Vec<(i64, Time)> {
        let data = |key: &&RingKey| key.purpose == Purpose::Data && key.namespace == Some(namespace);
        let keys = self.stored.iter().filter(data);
        keys.map(|key| (key.id, key.created_at)).collect()
    }

    /// The body of the ring's record. `generation` is the record's revision.
    pub fn seal_ring(
        &self,
        namespace: NamespaceId,
        row: ObjectId,
        generation: i64,
        salt: [u8; 32],
    ) -> Result<Vec<u8>, CryptoError> {
        let text = Zeroizing::new(serde_json::to_vec(&self.stored).map_err(|_| CryptoError::Unopened)?);
        Ok(seal::seal(&self.ring_key, salt, &ring_place(namespace, row, generation), &text)?.to_bytes())
    }

    /// The body of a slot's record. Stretching a passphrase takes a noticeable time and 64 MiB.
    pub fn wrap(
        &self,
        unlock: &Unlock,
        place: SlotPlace,
        now: Time,
        random: Random<'_>,
    ) -> Result<SlotBody, CryptoError> {
        SlotBody::wrap(unlock, &self.ring_key, place, now, random)
    }

    /// Opens the ring by way of a slot. What is written with it is written in `format`. Stretching a passphrase takes a
    /// noticeable time and 64 MiB.
    pub fn open(
        unlock: &Unlock,
        slot: &SlotBody,
        slot_row: ObjectId,
        ring: &Record,
        format: i16,
    ) -> Result<Self, CryptoError> {
        let place = SlotPlace {
            namespace: ring.namespace,
            row: slot_row,
        };
        Self::open_ring(format, slot.unwrap(unlock, place)?, ring)
    }

    /// Whether this opens the slot, and the slot this ring.
    pub fn opened_by(&self, unlock: &Unlock, slot: &SlotBody, place: SlotPlace) -> bool {
        let opened = slot.unwrap(unlock, place);
        opened.is_ok_and(|key| bool::from(key.ct_eq(self.ring_key.as_slice())))
    }

    /// A newer generation of this ring, which is sealed under the same key.
    pub fn reopen(&self, ring: &Record) -> Result<Self, CryptoError> {
        Self::open_ring(self.format, self.ring_key.clone(), ring)
    }

    fn open_ring(format: i16, ring_key: Zeroizing<[u8; 32]>, ring: &Record) -> Result<Self, CryptoError> {
        let sealed = Sealed::from_bytes(&ring.body)?;
        let place = ring_place(ring.namespace, ring.id, ring.rev.0);
        let text = seal::open(&ring_key, &place, &sealed.salt, &sealed.commitment, &sealed.sealed)?;
        let stored = serde_json::from_slice(&text).map_err(|_| CryptoError::Unopened)?;
        Self::from_stored(format, ring_key, stored)
    }

    pub(crate) fn format(&self) -> i16 {
        self.format
    }

    /// The newest key of a purpose, which is the one that is used for what is new.
    pub(crate) fn newest(
        &self,
        purpose: Purpose,
        namespace: Option<NamespaceId>,
    ) -> Result<(i64, &[u8; 32]), CryptoError> {
        self.opened
            .iter()
            .rfind(|key| key.purpose == purpose && key.namespace == namespace)
            .map(|key| (key.id, &*key.bytes))
            .ok_or(CryptoError::UnknownKey)
    }

    /// The key a row names; it must be of the purpose, and of the namespace.
    pub(crate) fn named(
        &self,
        id: i64,
        purpose: Purpose,
        namespace: Option<NamespaceId>,
    ) -> Result<&[u8; 32], CryptoError> {
        self.opened
            .iter()
            .find(|key| key.id == id && key.purpose == purpose && key.namespace == namespace)
            .map(|key| &*key.bytes)
            .ok_or(CryptoError::UnknownKey)
    }

    pub(crate) fn of_purpose(&self, purpose: Purpose) -> impl Iterator<Item = (i64, &[u8; 32])> {
        self.opened
            .iter()
            .filter(move |key| key.purpose == purpose)
            .map(|key| (key.id, &*key.bytes))
    }

    /// The data epoch that seals now.
    pub fn data_epoch(&self, namespace: NamespaceId) -> Result<i64, CryptoError> {
        self.newest(Purpose::Data, Some(namespace)).map(|(id, _)| id)
    }

    /// Seals a payload into its version's row. `salt` must be fresh.
    pub fn seal_version(
        &self,
        row: Version,
        path: &str,
        salt: [u8; 32],
        payload: &Payload,
    ) -> Result<Version, CryptoError> {
        let (epoch, key) = self.newest(Purpose::Data, Some(row.namespace))?;
        let mut row = row.in_format(self.format);
        row.epoch = epoch;
        row.payload = payload.kind;
        let sealed = seal::seal(key, salt, &version_place(&row, path), &payload.bytes)?;
        row.salt = sealed.salt;
        row.commitment = sealed.commitment;
        row.sealed = sealed.sealed;
        Ok(row)
    }

    /// What stands in a destroyed version's place: without salt, commitment or ciphertext, under no data key.
    pub fn destroyed_version(&self, namespace: NamespaceId, owner: ObjectId, number: i64, rev: RowRev) -> Version {
        Version {
            rev,
            ..Version::blank(namespace, owner, number)
        }
        .in_format(self.format)
    }

    pub fn open_version(&self, row: &Version, path: &str) -> Result<Payload, CryptoError> {
        if !upgrade::reads(row.format) {
            return Err(CryptoError::UnknownFormat);
        }
        let key = self.named(row.epoch, Purpose::Data, Some(row.namespace))?;
        let bytes = seal::open(key, &version_place(row, path), &row.salt, &row.commitment, &row.sealed)?;
        Ok(Payload {
            kind: row.payload,
            bytes,
        })
    }
}

fn push(stored: &mut Vec<RingKey>, purpose: Purpose, namespace: Option<NamespaceId>, now: Time, random: Random<'_>) {
    let id = stored.iter().map(|key| key.id).max().unwrap_or(0) + 1;
    let bytes = Zeroizing::new(random());
    stored.push(RingKey {
        id,
        purpose,
        namespace,
        secret: HEXLOWER.encode(bytes.as_slice()),
        created_at: now,
    });
}

fn version_place<'a>(row: &Version, path: &'a str) -> Place<'a> {
    Place {
        label: labels::VERSION,
        namespace: row.namespace,
        kind: Kind::Secret,
        row: row.owner,
        path,
        version: row.number,
        payload: row.payload.number(),
        epoch: row.epoch,
    }
}

/// For tests: a ring whose keys are made of its seed.
#[cfg(test)]
pub(crate) fn keys(seed: u8) -> Keys {
    let counter = std::cell::Cell::new(seed);
    let random = || {
        counter.set(counter.get() + 1);
        [counter.get(); 32]
    };
    Keys::generate(NamespaceId([1; 16]), 1, Time(1), &random).unwrap()
}
