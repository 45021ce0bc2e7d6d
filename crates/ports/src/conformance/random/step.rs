//! One call, and what came of it as text, without what differs between stores: the database's own time.

use std::fmt::Debug;

use strongroom_domain::audit::{Lane, SealedBatch};
use strongroom_domain::row::Key;
use strongroom_domain::{Change, Fence, Kind, NamespaceId, ObjectId, Outcome, Record, Revision, Time};

use crate::conformance::contents::show_record;
use crate::conformance::writer::keep_up;
use crate::{Applied, At, AuditFilter, Store, StoreError, Upkeep, Verdict};

#[derive(Debug)]
pub(super) struct Step {
    pub(super) now: Time,
    pub(super) call: Call,
}

#[derive(Debug)]
pub(super) enum Call {
    Apply {
        lane: Lane,
        group: Vec<Change>,
        since: Revision,
        says: Vec<Say>,
        batch: SealedBatch,
    },
    Record {
        lane: Lane,
        batch: SealedBatch,
        since: Revision,
    },
    Settle {
        lane: Lane,
        void: SealedBatch,
    },
    Upkeep(Upkeep),
    Find(Vec<Key>),
    List {
        namespace: NamespaceId,
        kind: Kind,
        prefix: String,
        after: String,
        limit: u16,
    },
    Due {
        kind: Kind,
        limit: u16,
    },
    LastUsed {
        namespace: NamespaceId,
        secret: ObjectId,
    },
    Touches {
        since: Revision,
        limit: u16,
    },
    Entries(AuditFilter),
}

/// What the verdict is before it is to commit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Say {
    /// The n-th of the applied changes, counted round.
    Without(usize),
    Abandon,
}

impl Step {
    pub(super) async fn play(&self, store: &dyn Store) -> String {
        let now = self.now;
        match &self.call {
            Call::Apply {
                lane,
                group,
                since,
                says,
                batch,
            } => {
                let mut seen = Vec::new();
                let mut says = says.iter().copied();
                let mut seal = |fence: &Fence, outcomes: &[Option<Outcome>]| {
                    seen.push((timeless(fence.clone()), outcomes.to_vec()));
                    verdict(says.next(), outcomes, batch)
                };
                let result = store.apply(*lane, now, group, *since, &mut seal).await;
                let result: Result<Applied, StoreError> = result.map(|applied| Applied {
                    fence: timeless(applied.fence),
                    ..applied
                });
                show((seen, result))
            }
            Call::Record { lane, batch, since } => show(store.record(*lane, now, batch, *since).await.map(timeless)),
            Call::Settle { lane, void } => show(store.settle(*lane, now, void).await),
            Call::Upkeep(work) => show(keep_up(store, now, work.clone()).await),
            Call::Find(keys) => {
                let mut at = store.find(now, keys).await.unwrap();
                at.value.sort_by_key(Record::key);
                show_records(&at)
            }
            Call::List {
                namespace,
                kind,
                prefix,
                after,
                limit,
            } => show_records(&store.list(now, *namespace, *kind, prefix, after, *limit).await.unwrap()),
            Call::Due { kind, limit } => show_records(&store.due(now, *kind, None, now, *limit).await.unwrap()),
            Call::LastUsed { namespace, secret } => {
                show_at(store.last_used(now, *namespace, &[*secret]).await.unwrap())
            }
            Call::Touches { since, limit } => show_at(store.touches(now, *since, *limit).await.unwrap()),
            Call::Entries(filter) => show_at(store.entries(now, filter).await.unwrap()),
        }
    }
}

fn verdict(say: Option<Say>, outcomes: &[Option<Outcome>], batch: &SealedBatch) -> Verdict {
    match say {
        None => Verdict::Commit(batch.clone()),
        Some(Say::Abandon) => Verdict::Abandon,
        Some(Say::Without(which)) => {
            let indexes = 0..outcomes.len();
            let applied: Vec<usize> = indexes
                .filter(|index| outcomes[*index] == Some(Outcome::Applied))
                .collect();
            Verdict::Without(vec![applied[which % applied.len()]])
        }
    }
}

fn timeless(fence: Fence) -> Fence {
    Fence {
        db_now: Time(0),
        ..fence
    }
}

fn show_records(at: &At<Vec<Record>>) -> String {
    let records: Vec<String> = at.value.iter().map(show_record).collect();
    show((at.revision, records))
}

fn show_at<T: Debug>(at: At<T>) -> String {
    show((at.revision, at.value))
}

fn show(result: impl Debug) -> String {
    format!("{result:#?}")
}
