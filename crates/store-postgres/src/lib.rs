//! [`Store`] on PostgreSQL 14 and newer: rows to domain and back, nothing clever. All tables stand in the schema
//! `strongroom`. Sets are written by `UNNEST`, one statement a table and kind of write, in key order.

#[macro_use]
mod checked;

mod apply;
mod audit;
mod columns;
mod connect;
mod dump;
mod error;
mod migrate;
mod read;
mod record;
mod upkeep;

pub use connect::PostgresStore;
pub use migrate::{MigrationStatus, Migrations};

use strongroom_domain::audit::{Batch, BatchId, Lane, SealedBatch, StoredEntry};
use strongroom_domain::row::Key;
use strongroom_domain::{
    Change, Digest, Fence, Kind, Moved, NamespaceId, ObjectId, Outcome, Record, Revision, Schema, Time, Touch, Version,
};
use strongroom_ports::{Applied, At, AuditFilter, Due, Dump, Fut, Part, Sizes, Store, Upkeep, UpkeepDone, Verdict};

impl Store for PostgresStore {
    fn schema(&self) -> Schema {
        self.schema
    }

    fn apply<'a>(
        &'a self,
        lane: Lane,
        now: Time,
        group: &'a [Change],
        since: Revision,
        seal: &'a mut (dyn FnMut(&Fence, &[Option<Outcome>]) -> Verdict + Send),
    ) -> Fut<'a, Applied> {
        Box::pin(self.apply_group(lane, now, group, since, seal))
    }

    fn record<'a>(&'a self, lane: Lane, _now: Time, batch: &'a SealedBatch, since: Revision) -> Fut<'a, Fence> {
        Box::pin(self.record_batch(lane, batch, since))
    }

    fn settle<'a>(&'a self, lane: Lane, _now: Time, void: &'a SealedBatch) -> Fut<'a, Digest> {
        Box::pin(self.settle_batch(lane, void))
    }

    fn upkeep(&self, now: Time, work: Upkeep) -> Fut<'_, UpkeepDone> {
        Box::pin(self.do_upkeep(now, work))
    }

    fn find<'a>(&'a self, _now: Time, keys: &'a [Key]) -> Fut<'a, At<Vec<Record>>> {
        Box::pin(self.find_records(keys))
    }

    fn find_by_id(&self, _now: Time, namespace: NamespaceId, kind: Kind, id: ObjectId) -> Fut<'_, At<Option<Record>>> {
        Box::pin(self.find_record_by_id(namespace, kind, id))
    }

    fn list<'a>(
        &'a self,
        _now: Time,
        namespace: NamespaceId,
        kind: Kind,
        prefix: &'a str,
        after: &'a str,
        limit: u16,
    ) -> Fut<'a, At<Vec<Record>>> {
        Box::pin(self.list_records(namespace, kind, prefix, after, limit))
    }

    fn of_kind(&self, _now: Time, kind: Kind) -> Fut<'_, At<Vec<Record>>> {
        Box::pin(self.records_of_kind(kind))
    }

    fn due(&self, _now: Time, kind: Kind, after: Option<Due>, by: Time, limit: u16) -> Fut<'_, At<Vec<Record>>> {
        Box::pin(self.due_records(kind, after, by, limit))
    }

    fn sealed_before(&self, _now: Time, namespace: NamespaceId, epoch: i64, limit: u16) -> Fut<'_, At<Vec<Version>>> {
        Box::pin(self.find_sealed_before(namespace, epoch, limit))
    }

    fn last_used<'a>(
        &'a self,
        _now: Time,
        namespace: NamespaceId,
        secrets: &'a [ObjectId],
    ) -> Fut<'a, At<Vec<(ObjectId, Time)>>> {
        Box::pin(self.find_last_used(namespace, secrets))
    }

    fn version(
        &self,
        _now: Time,
        namespace: NamespaceId,
        owner: ObjectId,
        number: i64,
    ) -> Fut<'_, At<Option<Version>>> {
        Box::pin(self.find_version(namespace, owner, number))
    }

    fn touches(&self, _now: Time, since: Revision, limit: u16) -> Fut<'_, At<Moved>> {
        Box::pin(self.find_touches(since, limit))
    }

    fn changes(&self, _now: Time, since: Revision, limit: u16) -> Fut<'_, At<Option<Vec<Touch>>>> {
        Box::pin(self.find_changes(since, limit))
    }

    fn last_boot(&self, _now: Time) -> Fut<'_, At<i64>> {
        Box::pin(self.find_last_boot())
    }

    fn entries<'a>(&'a self, _now: Time, filter: &'a AuditFilter) -> Fut<'a, At<Vec<StoredEntry>>> {
        Box::pin(self.find_entries(filter))
    }

    fn newest_granted<'a>(
        &'a self,
        _now: Time,
        actions: &'a [i16],
        since: Time,
        limit: u16,
    ) -> Fut<'a, At<Vec<StoredEntry>>> {
        Box::pin(self.find_granted(actions, since, limit))
    }

    fn batches(&self, _now: Time, after: BatchId, limit: u16) -> Fut<'_, At<Vec<Batch>>> {
        Box::pin(self.find_batches(after, limit))
    }

    fn batch_entries<'a>(&'a self, _now: Time, batch: &'a Batch) -> Fut<'a, At<Vec<StoredEntry>>> {
        Box::pin(self.find_batch_entries(batch))
    }

    fn sizes(&self, _now: Time) -> Fut<'_, At<Sizes>> {
        Box::pin(self.find_sizes())
    }

    fn dump<'a>(&'a self, _now: Time, out: &'a mut dyn Dump) -> Fut<'a, ()> {
        Box::pin(self.dump_all(out))
    }

    fn begin_fill(&self, now: Time, fill: ObjectId) -> Fut<'_, ()> {
        Box::pin(self.begin_filling(now, fill))
    }

    fn fill(&self, _now: Time, fill: ObjectId, part: Part) -> Fut<'_, ()> {
        Box::pin(self.fill_with(fill, part))
    }
}
