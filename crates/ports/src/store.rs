//! The store: it compares and swaps row images, keeps the audit log, and decides nothing.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use strongroom_domain::audit::{Batch, BatchId, Class, Lane, SealedBatch, StoredEntry};
use strongroom_domain::row::Key;
use strongroom_domain::{
    Change, Digest, Fence, Kind, Moved, NamespaceId, ObjectId, Outcome, PrincipalId, Record, Revision, Schema, Time,
    Touch, Version,
};
use thiserror::Error;

use crate::{Dump, Part};

pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A value, and the newest revision and the database's time of the snapshot it was read in.
#[derive(Debug, Clone)]
pub struct At<T> {
    pub value: T,
    pub revision: Revision,
    pub db_now: Time,
}

/// What the broker says once rows are written and the fence is known.
#[derive(Debug)]
pub enum Verdict {
    /// The sealed entries of every change that stands applied.
    Commit(SealedBatch),
    /// The ground of these moved: roll back and run the group again without them.
    Without(Vec<usize>),
    /// Roll everything back.
    Abandon,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// One for each change of the group; `None` where the verdict took it out.
    pub outcomes: Vec<Option<Outcome>>,
    /// As the verdict saw it. The applied changes' touches take the revisions that follow `fence.top`, in order.
    pub fence: Fence,
}

/// One start of one node. Its number is unique among all nodes and part of every batch id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootRow {
    pub boot: i64,
    pub node: String,
    pub started_at: Time,
    pub mac: Digest,
}

/// Writes that reach nothing a request's answer rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upkeep {
    /// Takes the boot number if it is free.
    Boot(BootRow),
    /// Makes audit partitions for the month of `now` and the three after.
    MakePartitions,
    /// Drops what of a class is older.
    DropEntries { class: Class, before: Time },
    /// Removes records of the kinds that expire ([`Kind::EXPIRING`]) which fell due, and change rows older than `before`.
    Prune { before: Time },
    /// Empties the columns of entries that name a person.
    ErasePrincipal(PrincipalId),
    /// When secrets were last read; an older time changes nothing.
    Used {
        namespace: NamespaceId,
        secrets: Vec<(ObjectId, Time)>,
    },
    /// Adds counts of evaluations, rows of [`Kind::FlagCounts`] and of no other kind; what is there already stays.
    Counted(Vec<Record>),
    /// Forgets when a secret was last read.
    ForgetUse { namespace: NamespaceId, secret: ObjectId },
}

/// Refuses rows that upkeep may not write.
pub fn only_counts(rows: &[Record]) -> Result<(), StoreError> {
    let counts = rows.iter().all(|row| row.kind == Kind::FlagCounts);
    counts
        .then_some(())
        .ok_or(StoreError::Malformed("counts of evaluations"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpkeepDone {
    Done,
    /// There may be more of it: call again.
    More,
    /// A boot number was taken by another.
    Taken,
}

/// Which entries to show. All conditions hold together; newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    pub namespace: Option<NamespaceId>,
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub principal: Option<PrincipalId>,
    /// The start of the path, byte for byte.
    pub path: Option<String>,
    pub action: Option<i16>,
    pub outcome: Option<i16>,
    /// Entries older than this place: time, batch, place.
    pub before: Option<(Time, BatchId, i64)>,
    pub limit: u16,
}

/// What capacity planning reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    pub records: i64,
    pub versions: i64,
    pub database_bytes: i64,
}

#[derive(Error)]
pub enum StoreError {
    /// The store cannot be reached or refused to work.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// Another held a lock for too long; nothing was written.
    #[error("the store is busy")]
    Busy,
    /// COMMIT was sent and not confirmed.
    #[error("the commit was not confirmed")]
    Unknown(#[source] Box<dyn StdError + Send + Sync>),
    /// The verdict was to abandon.
    #[error("the group was abandoned")]
    Abandoned,
    /// A batch with this number is there already.
    #[error("the batch number is taken")]
    BatchTaken,
    /// A statement did not do all it was told to; nothing was kept.
    #[error("the store did not write all rows")]
    Incomplete,
    /// It holds rows, and was told to take a backup's.
    #[error("the store is not empty")]
    NotEmpty,
    /// The fill that this part belongs to is over, or another took its place.
    #[error("the store is not being filled by this restore")]
    NotFilling,
    /// A row holds what no program of ours writes.
    #[error("a stored row is malformed: {0}")]
    Malformed(&'static str),
    /// The start-up checks failed; the text says what to do.
    #[error("{0}")]
    Unfit(String),
}

/// What a store says at its opening that a restore has begun to fill and not finished.
pub fn unfinished() -> StoreError {
    StoreError::Unfit(
        "A restore into this store was begun and not finished, and nothing is served from it. Run 'strongroom operator restore' again."
            .into(),
    )
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source() {
            Some(source) => write!(f, "{self}: {source}"),
            None => write!(f, "{self}"),
        }
    }
}

/// Of the greatest character: more than any name holds.
const NO_NAME: usize = 256;

/// Behind all names that start so, in byte order: where a store ends to look for them, or it would go through all that follow.
pub fn end_of(prefix: &str) -> String {
    let greatest = std::iter::repeat_n(char::MAX, NO_NAME);
    prefix.chars().chain(greatest).collect()
}

/// The place of a record among those that fall due: its time, and its id.
pub type Due = (Time, ObjectId);
/// Before all of them.
pub const FIRST_DUE: Due = (Time(i64::MIN), ObjectId([0; 16]));

/// Rows, revisions and the audit log. Every method takes the time from its caller. A lane is used by one caller at a
/// time and has a connection of its own; a call that is dropped closes that connection.
pub trait Store: Send + Sync {
    /// What the schema said of itself when the store was opened.
    fn schema(&self) -> Schema;

    /// Writes a group of changes in one transaction. Order: rows, counter, fence (changes above `since`), then `seal`
    /// with the fence and what became of each change, then batch, entries and change rows, COMMIT.
    /// A change with a row that does not compare is left out, as [`Outcome::Conflict`].
    fn apply<'a>(
        &'a self,
        lane: Lane,
        now: Time,
        group: &'a [Change],
        since: Revision,
        seal: &'a mut (dyn FnMut(&Fence, &[Option<Outcome>]) -> Verdict + Send),
    ) -> Fut<'a, Applied>;

    /// Commits a batch in one statement, which also returns the database's time and the changes above `since`.
    fn record<'a>(&'a self, lane: Lane, now: Time, batch: &'a SealedBatch, since: Revision) -> Fut<'a, Fence>;

    /// Settles a batch whose commit was not confirmed, by putting `void` in its place if that is still free. Gives the MAC
    /// of the batch that stands there from now on.
    fn settle<'a>(&'a self, lane: Lane, now: Time, void: &'a SealedBatch) -> Fut<'a, Digest>;

    fn upkeep(&self, now: Time, work: Upkeep) -> Fut<'_, UpkeepDone>;

    /// The records with these keys; those that are absent are left out.
    fn find<'a>(&'a self, now: Time, keys: &'a [Key]) -> Fut<'a, At<Vec<Record>>>;

    fn find_by_id(&self, now: Time, namespace: NamespaceId, kind: Kind, id: ObjectId) -> Fut<'_, At<Option<Record>>>;

    /// Records of a kind whose name starts with `prefix` and is greater than `after`, in byte order.
    fn list<'a>(
        &'a self,
        now: Time,
        namespace: NamespaceId,
        kind: Kind,
        prefix: &'a str,
        after: &'a str,
        limit: u16,
    ) -> Fut<'a, At<Vec<Record>>>;

    /// Records of a kind in every namespace: how a node finds its slots, ring and namespaces before it has keys.
    fn of_kind(&self, now: Time, kind: Kind) -> Fut<'_, At<Vec<Record>>>;

    fn version(&self, now: Time, namespace: NamespaceId, owner: ObjectId, number: i64) -> Fut<'_, At<Option<Version>>>;

    /// Records of a kind, in every namespace, that fall due by then, oldest first; behind a place among them, if one is named.
    fn due(&self, now: Time, kind: Kind, after: Option<Due>, by: Time, limit: u16) -> Fut<'_, At<Vec<Record>>>;

    /// When these secrets were last read; those that never were are left out.
    fn last_used<'a>(
        &'a self,
        now: Time,
        namespace: NamespaceId,
        secrets: &'a [ObjectId],
    ) -> Fut<'a, At<Vec<(ObjectId, Time)>>>;

    /// Versions that are sealed under a data key older than `epoch`. Destroyed ones are under none.
    fn sealed_before(&self, now: Time, namespace: NamespaceId, epoch: i64, limit: u16) -> Fut<'_, At<Vec<Version>>>;

    /// The changes above `since`, at most `limit`.
    fn touches(&self, now: Time, since: Revision, limit: u16) -> Fut<'_, At<Moved>>;

    /// The changes that follow `since`, at most `limit`, oldest first; none: not all of them are kept, or the newest
    /// revision is older than `since`.
    fn changes(&self, now: Time, since: Revision, limit: u16) -> Fut<'_, At<Option<Vec<Touch>>>>;

    fn last_boot(&self, now: Time) -> Fut<'_, At<i64>>;

    fn entries<'a>(&'a self, now: Time, filter: &'a AuditFilter) -> Fut<'a, At<Vec<StoredEntry>>>;

    /// The newest entries with a version that say that one of these actions was granted, none from before `since`: newest
    /// first, of those alone that are kept longest.
    fn newest_granted<'a>(
        &'a self,
        now: Time,
        actions: &'a [i16],
        since: Time,
        limit: u16,
    ) -> Fut<'a, At<Vec<StoredEntry>>>;

    /// Batches above an id, in order.
    fn batches(&self, now: Time, after: BatchId, limit: u16) -> Fut<'_, At<Vec<Batch>>>;

    /// A batch's entries, in place order.
    fn batch_entries<'a>(&'a self, now: Time, batch: &'a Batch) -> Fut<'a, At<Vec<StoredEntry>>>;

    fn sizes(&self, now: Time) -> Fut<'_, At<Sizes>>;

    /// Hands on every row of one snapshot, in parts, while others read and write. Keys come first.
    fn dump<'a>(&'a self, now: Time, out: &'a mut dyn Dump) -> Fut<'a, ()>;

    /// Makes an empty store ready to be filled, under an id that each part must name. What an unfinished fill left is
    /// removed; anything else in it refuses.
    fn begin_fill(&self, now: Time, fill: ObjectId) -> Fut<'_, ()>;

    /// Takes a part. With the keys it is the last one: until then the store does not open as an installation.
    fn fill(&self, now: Time, fill: ObjectId, part: Part) -> Fut<'_, ()>;
}
