//! A lane at work, as a node has it.

use strongroom_domain::audit::{BatchId, Entry, Lane, SealedBatch};
use strongroom_domain::{Change, Fence, Outcome, Record, Revision, Time, Write};

use super::fixtures::{BOOT, START, entry, insert, quiet, sealed};
use crate::{Applied, Store, StoreError, Upkeep, UpkeepDone, Verdict};

/// How often a busy store is asked again, and upkeep called for more.
const PATIENCE: usize = 100;

/// Numbers its batches, writes an entry for each change that was applied, and fails the test on any error.
pub(super) struct Writer<'a> {
    store: &'a dyn Store,
    lane: Lane,
    next: BatchId,
    pub(super) now: Time,
}

impl<'a> Writer<'a> {
    pub(super) fn new(store: &'a dyn Store, lane: Lane) -> Self {
        Self {
            store,
            lane,
            next: BatchId::new(BOOT, lane, 0),
            now: START,
        }
    }

    /// Goes on from another number.
    pub(super) fn number_from(&mut self, number: i64) {
        self.next = BatchId::new(BOOT, self.lane, number);
    }

    /// The next batch of this lane.
    pub(super) fn seal(&mut self, entries: Vec<Entry>) -> SealedBatch {
        let id = self.next;
        self.next = id.next();
        sealed(id, self.lane.class(), self.now, entries)
    }

    /// An entry of this lane's class.
    pub(super) fn entry(&self) -> Entry {
        entry(self.lane.class(), self.now)
    }

    async fn try_apply(&mut self, group: &[Change], since: Revision) -> Result<Applied, StoreError> {
        let (store, lane, now) = (self.store, self.lane, self.now);
        let mut seal = |_: &Fence, outcomes: &[Option<Outcome>]| {
            let applied = outcomes.iter().filter(|outcome| **outcome == Some(Outcome::Applied));
            let entries = applied.map(|_| self.entry()).collect();
            Verdict::Commit(self.seal(entries))
        };
        store.apply(lane, now, group, since, &mut seal).await
    }

    pub(super) async fn apply(&mut self, group: &[Change], since: Revision) -> Applied {
        for _ in 0..PATIENCE {
            match self.try_apply(group, since).await {
                Err(StoreError::Busy) => tokio::task::yield_now().await,
                result => return result.unwrap(),
            }
        }
        panic!("the store stayed busy");
    }

    /// One change by itself.
    pub(super) async fn change(&mut self, change: Change) -> Outcome {
        self.apply(&[change], Revision(0)).await.outcomes[0].unwrap()
    }

    /// Row writes that nobody can see, as one change.
    pub(super) async fn write(&mut self, writes: impl Into<Vec<Write>>) -> Outcome {
        self.change(quiet(writes)).await
    }

    /// Rows that a test starts with.
    pub(super) async fn given(&mut self, records: &[Record]) {
        let writes: Vec<Write> = records.iter().map(insert).collect();
        assert_eq!(self.write(writes).await, Outcome::Applied);
    }

    pub(super) async fn record_batch(&self, batch: &SealedBatch, since: Revision) -> Fence {
        for _ in 0..PATIENCE {
            match self.store.record(self.lane, self.now, batch, since).await {
                Err(StoreError::Busy) => tokio::task::yield_now().await,
                result => return result.unwrap(),
            }
        }
        panic!("the store stayed busy");
    }

    /// Records these entries as the lane's next batch.
    pub(super) async fn record(&mut self, entries: Vec<Entry>, since: Revision) -> (SealedBatch, Fence) {
        let batch = self.seal(entries);
        let fence = self.record_batch(&batch, since).await;
        (batch, fence)
    }
}

/// Calls upkeep until there is no more of it.
pub(super) async fn keep_up(store: &dyn Store, now: Time, work: Upkeep) -> UpkeepDone {
    for _ in 0..PATIENCE {
        match store.upkeep(now, work.clone()).await.unwrap() {
            UpkeepDone::More => {}
            done => return done,
        }
    }
    panic!("{work:?} has no end");
}
