//! A store in memory: the model that the real stores are compared with, written to be obvious. A transaction is a clone
//! of the state, which takes the state's place when it commits.

mod dump;
mod state;

use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_domain::audit::{Batch, BatchId, Lane, SealedBatch, StoredEntry};
use strongroom_domain::row::{Key, RowKey};
use strongroom_domain::{
    Change, Digest, Fence, Kind, Moved, NamespaceId, ObjectId, Outcome, Record, Revision, Row, Schema, Time, Touch,
    Version,
};

use self::state::State;
use crate::{Applied, At, AuditFilter, Due, Dump, Fut, Part, Sizes, Store, StoreError, Upkeep, UpkeepDone, Verdict};

/// It reads no clock: the database's time is the caller's `now`.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a row in behind everybody's back, as whoever can write to a database might.
    pub fn alter(&self, row: Row) {
        self.lock().rows.insert(row.key(), row);
    }

    /// Takes a row away behind everybody's back.
    pub fn take_away(&self, row: &RowKey) {
        self.lock().rows.remove(row);
    }

    /// All that there is, to be put back some time.
    pub fn copy(&self) -> Self {
        Self {
            state: Mutex::new(self.lock().clone()),
        }
    }

    /// Puts all of another's in the place of what there is.
    pub fn put_back(&self, other: &Self) {
        let state = other.lock().clone();
        *self.lock() = state;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A state is replaced whole or not at all, so a panic under the lock leaves none half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction: what `work` did is kept if it succeeds.
    fn write<T>(&self, work: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.lock();
        let mut next = state.clone();
        let done = work(&mut next)?;
        *state = next;
        Ok(done)
    }

    fn read<'a, T: Send + 'a>(&self, now: Time, look: impl FnOnce(&State) -> T) -> Fut<'a, At<T>> {
        let state = self.lock();
        let at = At {
            value: look(&state),
            revision: state.top,
            db_now: now,
        };
        Box::pin(ready(Ok(at)))
    }
}

impl Store for MemoryStore {
    fn schema(&self) -> Schema {
        Schema::OWN
    }

    fn apply<'a>(
        &'a self,
        _lane: Lane,
        now: Time,
        group: &'a [Change],
        since: Revision,
        seal: &'a mut (dyn FnMut(&Fence, &[Option<Outcome>]) -> Verdict + Send),
    ) -> Fut<'a, Applied> {
        Box::pin(async move { self.write(|state| state.apply(now, group, since, seal)) })
    }

    fn record<'a>(&'a self, _lane: Lane, now: Time, batch: &'a SealedBatch, since: Revision) -> Fut<'a, Fence> {
        Box::pin(async move { self.write(|state| state.log(batch).map(|()| state.fence(now, since))) })
    }

    fn settle<'a>(&'a self, _lane: Lane, _now: Time, void: &'a SealedBatch) -> Fut<'a, Digest> {
        Box::pin(async move { self.write(|state| state.settle(void)) })
    }

    fn upkeep(&self, now: Time, work: Upkeep) -> Fut<'_, UpkeepDone> {
        Box::pin(async move { self.write(|state| state.upkeep(now, work)) })
    }

    fn find<'a>(&'a self, now: Time, keys: &'a [Key]) -> Fut<'a, At<Vec<Record>>> {
        self.read(now, |state| {
            state
                .records()
                .filter(|record| keys.contains(&record.key()))
                .cloned()
                .collect()
        })
    }

    fn find_by_id(&self, now: Time, namespace: NamespaceId, kind: Kind, id: ObjectId) -> Fut<'_, At<Option<Record>>> {
        self.read(now, |state| {
            match state.rows.get(&RowKey::Record(namespace, kind, id)) {
                Some(Row::Record(record)) => Some(record.clone()),
                _ => None,
            }
        })
    }

    fn list<'a>(
        &'a self,
        now: Time,
        namespace: NamespaceId,
        kind: Kind,
        prefix: &'a str,
        after: &'a str,
        limit: u16,
    ) -> Fut<'a, At<Vec<Record>>> {
        self.read(now, |state| state.list(namespace, kind, prefix, after, limit))
    }

    fn of_kind(&self, now: Time, kind: Kind) -> Fut<'_, At<Vec<Record>>> {
        self.read(now, |state| {
            state.records().filter(|record| record.kind == kind).cloned().collect()
        })
    }

    fn due(&self, now: Time, kind: Kind, after: Option<Due>, by: Time, limit: u16) -> Fut<'_, At<Vec<Record>>> {
        self.read(now, |state| {
            let mut due: Vec<Record> = state
                .records()
                .filter(|record| record.kind == kind)
                .filter(|record| {
                    record
                        .due
                        .is_some_and(|due| due <= by && after.is_none_or(|after| (due, record.id) > after))
                })
                .cloned()
                .collect();
            due.sort_by_key(|record| (record.due, record.id));
            due.truncate(limit.into());
            due
        })
    }

    fn sealed_before(&self, now: Time, namespace: NamespaceId, epoch: i64, limit: u16) -> Fut<'_, At<Vec<Version>>> {
        self.read(now, |state| {
            let versions = state.rows.values().filter_map(|row| match row {
                Row::Version(version) => Some(version),
                Row::Record(_) => None,
            });
            let mut old: Vec<Version> = versions
                .filter(|version| version.namespace == namespace && (1..epoch).contains(&version.epoch))
                .cloned()
                .collect();
            old.sort_by_key(|version| (version.epoch, version.owner, version.number));
            old.truncate(limit.into());
            old
        })
    }

    fn last_used<'a>(
        &'a self,
        now: Time,
        namespace: NamespaceId,
        secrets: &'a [ObjectId],
    ) -> Fut<'a, At<Vec<(ObjectId, Time)>>> {
        self.read(now, |state| {
            let used = |secret: &ObjectId| Some((*secret, *state.uses.get(&(namespace, *secret))?));
            secrets.iter().filter_map(used).collect()
        })
    }

    fn version(&self, now: Time, namespace: NamespaceId, owner: ObjectId, number: i64) -> Fut<'_, At<Option<Version>>> {
        self.read(now, |state| {
            match state.rows.get(&RowKey::Version(namespace, owner, number)) {
                Some(Row::Version(version)) => Some(version.clone()),
                _ => None,
            }
        })
    }

    fn touches(&self, now: Time, since: Revision, limit: u16) -> Fut<'_, At<Moved>> {
        self.read(now, |state| state.moved(since, limit))
    }

    fn changes(&self, now: Time, since: Revision, limit: u16) -> Fut<'_, At<Option<Vec<Touch>>>> {
        self.read(now, |state| state.changes(since, limit))
    }

    fn last_boot(&self, now: Time) -> Fut<'_, At<i64>> {
        self.read(now, |state| state.boots.keys().next_back().copied().unwrap_or(0))
    }

    fn entries<'a>(&'a self, now: Time, filter: &'a AuditFilter) -> Fut<'a, At<Vec<StoredEntry>>> {
        self.read(now, |state| state.entries(filter))
    }

    fn newest_granted<'a>(
        &'a self,
        now: Time,
        actions: &'a [i16],
        since: Time,
        limit: u16,
    ) -> Fut<'a, At<Vec<StoredEntry>>> {
        self.read(now, |state| state.newest_granted(actions, since, limit))
    }

    fn batches(&self, now: Time, after: BatchId, limit: u16) -> Fut<'_, At<Vec<Batch>>> {
        self.read(now, |state| {
            let above = state.batches.values().filter(|batch| batch.id > after);
            above.take(limit.into()).cloned().collect()
        })
    }

    fn batch_entries<'a>(&'a self, now: Time, batch: &'a Batch) -> Fut<'a, At<Vec<StoredEntry>>> {
        self.read(now, |state| state.batch_entries(batch))
    }

    fn sizes(&self, now: Time) -> Fut<'_, At<Sizes>> {
        self.read(now, State::sizes)
    }

    fn dump<'a>(&'a self, now: Time, out: &'a mut dyn Dump) -> Fut<'a, ()> {
        let state = self.lock().clone();
        Box::pin(async move { state.dump(now, out).await })
    }

    fn begin_fill(&self, _now: Time, fill: ObjectId) -> Fut<'_, ()> {
        Box::pin(async move { self.write(|state| state.begin_fill(fill)) })
    }

    fn fill(&self, _now: Time, fill: ObjectId, part: Part) -> Fut<'_, ()> {
        Box::pin(async move { self.write(|state| state.fill(fill, part)) })
    }
}
