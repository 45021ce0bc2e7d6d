//! What the store holds, and what a call does to it.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_domain::audit::{Batch, BatchId, Class, OutcomeKind, SealedBatch, StoredEntry};
use strongroom_domain::change::{follow, overlapping};
use strongroom_domain::row::RowKey;
use strongroom_domain::{
    Change, Digest, Fence, Kind, Moved, NamespaceId, ObjectId, Outcome, Record, Revision, Row, Time, Touch, Write,
};

use crate::{Applied, AuditFilter, BootRow, Sizes, StoreError, Upkeep, UpkeepDone, Verdict, only_counts};

/// How many changes a fence tells at most.
const FENCE_LIMIT: u16 = 100;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) rows: BTreeMap<RowKey, Row>,
    pub(super) top: Revision,
    /// Each with the time it was made.
    pub(super) changes: BTreeMap<Revision, (Time, Touch)>,
    pub(super) batches: BTreeMap<BatchId, Batch>,
    pub(super) entries: Vec<StoredEntry>,
    pub(super) boots: BTreeMap<i64, BootRow>,
    pub(super) uses: BTreeMap<(NamespaceId, ObjectId), Time>,
    /// The fill under way.
    pub(super) filling: Option<ObjectId>,
}

impl State {
    pub(super) fn apply(
        &mut self,
        now: Time,
        group: &[Change],
        since: Revision,
        seal: &mut (dyn FnMut(&Fence, &[Option<Outcome>]) -> Verdict + Send),
    ) -> Result<Applied, StoreError> {
        let before = self.clone();
        let fence = before.fence(now, since);
        let mut taken_out = BTreeSet::new();
        let waiting = overlapping(group.iter().enumerate());
        let decide = |state: &mut Self, index, change| {
            if waiting.contains(&index) {
                Outcome::Conflict
            } else {
                state.change(now, change)
            }
        };
        loop {
            *self = before.clone();
            let outcomes: Vec<Option<Outcome>> = group
                .iter()
                .enumerate()
                .map(|(index, change)| (!taken_out.contains(&index)).then(|| decide(self, index, change)))
                .collect();
            if !outcomes.contains(&Some(Outcome::Applied)) {
                return Ok(Applied { outcomes, fence });
            }
            match seal(&fence, &outcomes) {
                Verdict::Commit(batch) => {
                    self.log(&batch)?;
                    return Ok(Applied { outcomes, fence });
                }
                Verdict::Without(indexes) => taken_out.extend(indexes),
                Verdict::Abandon => return Err(StoreError::Abandoned),
            }
        }
    }

    /// All of a change, or nothing.
    pub(super) fn change(&mut self, now: Time, change: &Change) -> Outcome {
        let mut next = self.clone();
        if !change.writes.iter().all(|write| next.row(write)) {
            return Outcome::Conflict;
        }
        for touch in &change.touches {
            next.top = Revision(next.top.0 + 1);
            next.changes.insert(
                next.top,
                (
                    now,
                    Touch {
                        revision: next.top,
                        ..touch.clone()
                    },
                ),
            );
        }
        *self = next;
        Outcome::Applied
    }

    /// Whether the row compared, and so was written.
    pub(super) fn row(&mut self, write: &Write) -> bool {
        let stored = self.rows.get(&write.key()).map(Row::rev);
        match write {
            Write::Insert(row) if stored.is_none() && !self.name_is_taken(row) => {
                self.rows.insert(row.key(), row.clone());
            }
            Write::Replace(rev, row) if stored == Some(*rev) && !self.name_is_taken(row) => {
                self.rows.insert(row.key(), row.clone());
            }
            Write::Remove(key, rev) if stored == Some(*rev) => {
                self.rows.remove(key);
            }
            _ => return false,
        }
        true
    }

    /// Whether another record bears this one's name.
    pub(super) fn name_is_taken(&self, row: &Row) -> bool {
        let Row::Record(record) = row else { return false };
        self.records()
            .any(|other| other.key() == record.key() && other.id != record.id)
    }

    pub(super) fn log(&mut self, sealed: &SealedBatch) -> Result<(), StoreError> {
        if self.batches.contains_key(&sealed.batch.id) {
            return Err(StoreError::BatchTaken);
        }
        self.batches.insert(sealed.batch.id, sealed.batch.clone());
        self.entries.extend(sealed.entries.iter().cloned());
        Ok(())
    }

    pub(super) fn settle(&mut self, void: &SealedBatch) -> Result<Digest, StoreError> {
        match self.batches.get(&void.batch.id) {
            Some(batch) => Ok(batch.mac),
            None => self.log(void).map(|()| void.batch.mac),
        }
    }

    pub(super) fn upkeep(&mut self, now: Time, work: Upkeep) -> Result<UpkeepDone, StoreError> {
        match work {
            Upkeep::Boot(row) if self.boots.contains_key(&row.boot) => return Ok(UpkeepDone::Taken),
            Upkeep::Boot(row) => {
                self.boots.insert(row.boot, row);
            }
            Upkeep::MakePartitions => {}
            Upkeep::DropEntries { class, before } => {
                self.entries
                    .retain(|stored| stored.entry.class() != class || stored.entry.at >= before);
            }
            Upkeep::Prune { before } => {
                self.rows.retain(|_, row| !has_expired(row, now));
                self.changes.retain(|_, (at, _)| *at >= before);
            }
            Upkeep::ErasePrincipal(principal) => {
                for stored in self
                    .entries
                    .iter_mut()
                    .filter(|stored| stored.entry.principal == Some(principal))
                {
                    stored.accessor = None;
                    stored.source = None;
                }
            }
            Upkeep::Used { namespace, secrets } => {
                for (secret, at) in secrets {
                    let used = self.uses.entry((namespace, secret)).or_insert(at);
                    *used = at.max(*used);
                }
            }
            Upkeep::Counted(rows) => {
                only_counts(&rows)?;
                for row in rows {
                    if !self.records().any(|there| there.key() == row.key()) {
                        let row = Row::Record(row);
                        self.rows.entry(row.key()).or_insert(row);
                    }
                }
            }
            Upkeep::ForgetUse { namespace, secret } => {
                self.uses.remove(&(namespace, secret));
            }
        }
        Ok(UpkeepDone::Done)
    }

    pub(super) fn fence(&self, now: Time, since: Revision) -> Fence {
        Fence {
            db_now: now,
            top: self.top,
            moved: self.moved(since, FENCE_LIMIT),
        }
    }

    /// Revisions have no gap, so fewer changes than numbers means that some were pruned: an incomplete list must not
    /// pass for a complete one.
    pub(super) fn moved(&self, since: Revision, limit: u16) -> Moved {
        let above = self
            .changes
            .values()
            .map(|(_, touch)| touch)
            .filter(|touch| touch.revision > since);
        let touches: Vec<Touch> = above.cloned().collect();
        let complete = i64::try_from(touches.len()) == Ok(self.top.0 - since.0);
        if complete && touches.len() <= limit.into() {
            Moved::Touches(touches)
        } else {
            Moved::TooMany
        }
    }

    pub(super) fn changes(&self, since: Revision, limit: u16) -> Option<Vec<Touch>> {
        let above = self.changes.values().map(|(_, touch)| touch);
        let above = above.filter(|touch| touch.revision > since).take(limit.into());
        let touches: Vec<Touch> = above.cloned().collect();
        follow(since, &touches, self.top, limit).then_some(touches)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.rows.values().filter_map(|row| match row {
            Row::Record(record) => Some(record),
            Row::Version(_) => None,
        })
    }

    pub(super) fn list(
        &self,
        namespace: NamespaceId,
        kind: Kind,
        prefix: &str,
        after: &str,
        limit: u16,
    ) -> Vec<Record> {
        let of_kind = self
            .records()
            .filter(|record| record.namespace == namespace && record.kind == kind);
        let found = of_kind.filter(|record| record.name.starts_with(prefix) && record.name.as_str() > after);
        let mut found: Vec<Record> = found.cloned().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.truncate(limit.into());
        found
    }

    pub(super) fn entries(&self, filter: &AuditFilter) -> Vec<StoredEntry> {
        let mut found: Vec<StoredEntry> = self
            .entries
            .iter()
            .filter(|stored| holds(filter, stored))
            .cloned()
            .collect();
        found.sort_by_key(|stored| std::cmp::Reverse(place(stored)));
        found.truncate(filter.limit.into());
        found
    }

    pub(super) fn newest_granted(&self, actions: &[i16], since: Time, limit: u16) -> Vec<StoredEntry> {
        let kept = self.entries.iter().filter(|stored| {
            let entry = &stored.entry;
            entry.class() == Class::Kept
                && entry.outcome == OutcomeKind::Granted
                && entry.version.is_some()
                && entry.at >= since
                && actions.contains(&entry.action.number())
        });
        let mut found: Vec<StoredEntry> = kept.cloned().collect();
        found.sort_by_key(|stored| std::cmp::Reverse(place(stored)));
        found.truncate(limit.into());
        found
    }

    pub(super) fn batch_entries(&self, batch: &Batch) -> Vec<StoredEntry> {
        let mut found: Vec<StoredEntry> = self
            .entries
            .iter()
            .filter(|stored| stored.batch == batch.id)
            .cloned()
            .collect();
        found.sort_by_key(|stored| stored.place);
        found
    }

    pub(super) fn sizes(&self) -> Sizes {
        let count = |len: usize| i64::try_from(len).unwrap_or(i64::MAX);
        let records = self.records().count();
        Sizes {
            records: count(records),
            versions: count(self.rows.len() - records),
            database_bytes: 0,
        }
    }
}

fn has_expired(row: &Row, now: Time) -> bool {
    matches!(row, Row::Record(record) if Kind::EXPIRING.contains(&record.kind) && record.due.is_some_and(|due| due <= now))
}

/// Where an entry stands in the log.
fn place(stored: &StoredEntry) -> (Time, BatchId, i64) {
    (stored.entry.at, stored.batch, stored.place)
}

fn holds(filter: &AuditFilter, stored: &StoredEntry) -> bool {
    let entry = &stored.entry;
    filter.namespace.is_none_or(|namespace| entry.namespace == namespace)
        && filter.since.is_none_or(|since| entry.at >= since)
        && filter.until.is_none_or(|until| entry.at < until)
        && filter
            .principal
            .is_none_or(|principal| entry.principal == Some(principal))
        && filter.path.as_ref().is_none_or(|path| entry.path.starts_with(path))
        && filter.action.is_none_or(|action| entry.action.number() == action)
        && filter.outcome.is_none_or(|outcome| entry.outcome.number() == outcome)
        && filter.before.is_none_or(|before| place(stored) < before)
}
