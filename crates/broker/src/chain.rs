//! A lane's chain of batches: numbers without a gap, each batch vouching for the one before.

use strongroom_crypto::Keys;
use strongroom_domain::audit::{Batch, BatchId, Entry, EntryId, Lane, SealedBatch, StoredEntry, merkle};
use strongroom_domain::{Digest, Error, Result, Time};

use crate::lanes::Noted;

pub(crate) struct Chain {
    lane: Lane,
    next: BatchId,
    previous: Digest,
}

impl Chain {
    pub(crate) fn new(boot: i64, lane: Lane) -> Self {
        Self {
            lane,
            next: BatchId::new(boot, lane, 1),
            previous: Digest::ZERO,
        }
    }

    /// Seals entries under the next number. The chain goes on only at [`Chain::advance`].
    /// Beside the batch, which entry each of them became.
    pub(crate) fn seal(
        &self,
        keys: &Keys,
        now: Time,
        notes: impl IntoIterator<Item = Noted>,
    ) -> Result<(SealedBatch, Vec<EntryId>)> {
        let (entries, ids) = fold(notes, self.next);
        let leaves: Vec<Digest> = entries
            .iter()
            .map(|stored| merkle::leaf(&stored.entry.canonical()))
            .collect();
        let batch = self.batch(keys, now, merkle::root(&leaves), entries.len())?;
        Ok((SealedBatch { batch, entries }, ids))
    }

    /// What takes the number's place if its commit never happened.
    pub(crate) fn void(&self, keys: &Keys, now: Time) -> Result<SealedBatch> {
        Ok(SealedBatch {
            batch: self.batch(keys, now, merkle::root(&[]), 0)?,
            entries: Vec::new(),
        })
    }

    fn batch(&self, keys: &Keys, at: Time, root: Digest, count: usize) -> Result<Batch> {
        let batch = Batch {
            id: self.next,
            class: self.lane.class(),
            at,
            count: i64::try_from(count).map_err(Error::internal)?,
            root,
            previous: self.previous,
            key: 0,
            mac: Digest::ZERO,
        };
        keys.mac_batch(batch).map_err(Error::internal)
    }

    pub(crate) fn advance(&mut self, committed: &Batch) {
        self.previous = committed.mac;
        self.next = committed.id.next();
    }
}

/// Identical failures become one entry with a count, inside this batch only.
fn fold(notes: impl IntoIterator<Item = Noted>, batch: BatchId) -> (Vec<StoredEntry>, Vec<EntryId>) {
    let (mut entries, mut ids): (Vec<StoredEntry>, Vec<EntryId>) = (Vec::new(), Vec::new());
    for note in notes {
        if let Some(same) = foldable(&mut entries, &note.entry) {
            same.entry.count += 1;
            ids.push(same.id());
            continue;
        }
        let place = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        ids.push(EntryId { batch, place });
        entries.push(StoredEntry {
            batch,
            place,
            entry: note.entry,
            accessor: note.accessor,
            source: Some(note.source),
        });
    }
    (entries, ids)
}

fn foldable<'e>(entries: &'e mut [StoredEntry], entry: &Entry) -> Option<&'e mut StoredEntry> {
    if entry.outcome == strongroom_domain::audit::OutcomeKind::Granted {
        return None;
    }
    entries.iter_mut().find(|stored| stored.entry.folds_with(entry))
}
