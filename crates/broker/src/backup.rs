//! A backup: all rows of one snapshot in one file, the same for every kind of store. Its first two lines stand in clear,
//! with the sealed keys by which it opens; the rest is sealed part by part.

mod file;
mod header;
mod restore;
mod rows;
#[cfg(test)]
mod tests;
mod verify;

pub use file::{BackupFile, Source};
pub use restore::{Restored, restore};
pub use verify::{Verified, verify};

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_crypto::Keys;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::{Code, Digest, Error, Kind, ObjectId, Record, Result, Revision, Time};
use strongroom_ports::{Dump, Fut, Part, Snapshot, StoreError};
use tokio::sync::mpsc;

use self::header::Header;
use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::keys::check_keys;
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::rows::{store_failed, touch};

/// A part of a store's, sealed, is far smaller.
const MAX_PART_BYTES: u64 = 16 * 1024 * 1024;
/// How long whoever takes a backup may leave a part: as long as it does, a snapshot of the store is held.
const PATIENCE: Duration = Duration::from_mins(1);
/// The name of the one record that tells of the last backup.
const LAST: &str = "last";

fn damaged(how: &str) -> Error {
    Error::new(Code::BackupDamaged, format!("The backup is damaged: {how}"))
}

/// How many rows a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Key slots and ring are not among them.
    pub records: u64,
    pub versions: u64,
    pub entries: u64,
}

impl Counts {
    fn add(&mut self, part: &Part) {
        match part {
            Part::Records(rows) => self.records += rows.len() as u64,
            Part::Versions(rows) => self.versions += rows.len() as u64,
            Part::Entries(_, rows) => self.entries += rows.len() as u64,
            Part::Keys { .. } | Part::Uses(_) | Part::Boots(_) | Part::Batches(_) => {}
        }
    }
}

/// Which backup it is, of when. Also the body of the record that tells of the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub id: ObjectId,
    /// The store's time when its snapshot was taken.
    pub at: Time,
    pub revision: Revision,
}

impl Broker {
    /// Hands on a backup's bytes. They are a whole backup only if this succeeds; once they are kept, say so by
    /// [`Broker::backup_kept`].
    pub async fn backup(&self, request: &Request, out: mpsc::Sender<Vec<u8>>) -> Result<Counts> {
        let id = self.new_id();
        let place = self.0.backing_up.try_acquire();
        let free = place.is_ok();
        // On record before anything leaves.
        self.serve(request, Action::Backup, &id.to_string(), |attempt| async move {
            attempt.authorise(Access::Backup)?;
            if !free {
                return Err(Error::new(
                    Code::Conflict,
                    "This node is making a backup already. Wait until it has ended.",
                ));
            }
            Ok(Served::fresh(()))
        })
        .await?;
        self.flush().await;
        let mut writer = Writer {
            broker: self,
            id,
            out,
            begun: None,
            number: 0,
            counts: Counts::default(),
            failure: None,
        };
        let dumped = self.0.store.dump(self.0.clock.now(), &mut writer).await;
        match (dumped, writer.failure.take()) {
            (_, Some(failure)) => Err(failure),
            (Err(error), None) => Err(store_failed(error)),
            (Ok(()), None) => writer.finish().await,
        }
    }

    /// Puts on record that a backup is kept where it should be.
    pub async fn backup_kept(&self, request: &Request, kept: &Stamp) -> Result<()> {
        let asked = Asked {
            action: Action::BackupKept,
            path: kept.id.to_string(),
            locks: vec![self.key(Kind::Backup, LAST)],
            id: self.change_id(request),
            fingerprint: Canon::new(Action::BackupKept.name()).bytes(&kept.id.0).done().into(),
            needs: vec![vec![Access::Backup]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(Access::Backup)?;
            let old = self.load::<Stamp>(Kind::Backup, LAST).await?.value;
            // Of two at once, on two nodes, the older may be kept last.
            let last = old.as_ref().map(|old| &old.body).filter(|last| last.at > kept.at);
            let last = last.unwrap_or(kept);
            let (record, write) = self.upsert(old.as_ref().map(|old| &old.record), Kind::Backup, LAST, last)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: vec![touch(record.key(), Action::BackupKept, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(Action::BackupKept, kept.id.to_string())
                }],
                answer: (),
            }))
        })
        .await?;
        self.learn_last_backup().await;
        Ok(())
    }

    /// When the last backup that was kept was taken, as far as this node has learned.
    pub fn last_backup(&self) -> Option<Time> {
        self.0.node.last_backup()
    }

    /// Reads it anew, if another was taken since.
    pub(crate) async fn learn_last_backup(&self) {
        if !self.0.node.backup_is_news() {
            return;
        }
        match self.load::<Stamp>(Kind::Backup, LAST).await {
            Ok(found) => self.0.node.backup_was_read(found.value.map(|last| last.body.at)),
            Err(error) => {
                self.0.node.backup_stays_news();
                tracing::warn!(?error, "when the last backup was taken could not be read");
            }
        }
    }
}

/// Seals parts as they come, and hands them on.
struct Writer<'a> {
    broker: &'a Broker,
    id: ObjectId,
    out: mpsc::Sender<Vec<u8>>,
    begun: Option<Begun>,
    number: i64,
    counts: Counts,
    /// Why the dump was ended, where the store is not to blame.
    failure: Option<Error>,
}

/// What is known once the keys of the snapshot are.
#[derive(Clone)]
struct Begun {
    header: Arc<Header>,
    digest: Digest,
    keys: Arc<Keys>,
}

impl Dump for Writer<'_> {
    fn take(&mut self, part: Part) -> Fut<'_, ()> {
        Box::pin(async move {
            let done = match part {
                Part::Keys { records, snapshot } => self.begin(&records, &snapshot).await,
                rows => self.rows(&rows).await,
            };
            done.map_err(|failure| {
                self.failure = Some(failure);
                StoreError::Abandoned
            })
        })
    }
}

impl Writer<'_> {
    /// The keys are those of the snapshot: a node may not have read the newest ring yet, or have read a newer one.
    async fn begin(&mut self, records: &[Record], snapshot: &Snapshot) -> Result<()> {
        let (rings, mut slots): (Vec<Record>, Vec<Record>) =
            records.iter().cloned().partition(|record| record.kind == Kind::KeyRing);
        slots.sort_by(|a, b| a.name.cmp(&b.name));
        let ring = rings.into_iter().find(|ring| ring.key() == self.broker.ring_key());
        let (ring, keys) = self.broker.open_ring(ring)?;
        check_keys(&keys, &slots)?;
        let header = Header::new(self.id, snapshot, &slots, &ring);
        let (bytes, digest) = header.to_bytes()?;
        self.begun = Some(Begun {
            header: Arc::new(header),
            digest,
            keys: Arc::new(keys),
        });
        self.send(bytes).await
    }

    async fn rows(&mut self, part: &Part) -> Result<()> {
        self.counts.add(part);
        match rows::to_bytes(part) {
            Some(bytes) => self.seal(&bytes, false).await,
            None => Ok(()),
        }
    }

    fn begun(&self) -> Result<Begun> {
        self.begun.clone().ok_or_else(|| Error::internal("a dump without keys"))
    }

    async fn seal(&mut self, rows: &[u8], last: bool) -> Result<()> {
        let begun = self.begun()?;
        let place = begun.header.part(begun.digest, self.number, last);
        let salt = self.broker.0.entropy.bytes();
        let sealed = begun
            .keys
            .seal_backup_part(&place, salt, rows)
            .map_err(Error::internal)?;
        self.number += 1;
        let length = u32::try_from(sealed.len()).map_err(Error::internal)?;
        if u64::from(length) > MAX_PART_BYTES {
            return Err(Error::internal("a part is too large to be read back"));
        }
        let mut bytes = Vec::with_capacity(sealed.len() + 5);
        bytes.push(last.into());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&sealed);
        self.send(bytes).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<()> {
        let sent = self.out.send_timeout(bytes, PATIENCE).await;
        sent.map_err(|_| Error::internal("whoever asked for the backup takes no more of it"))
    }

    async fn finish(mut self) -> Result<Counts> {
        self.seal(&[], true).await?;
        Ok(self.counts)
    }
}
