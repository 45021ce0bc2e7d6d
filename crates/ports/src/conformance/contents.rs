//! All that a store holds, as its read methods tell it.

use std::fmt::Debug;

use strongroom_domain::audit::{BatchId, StoredEntry};
use strongroom_domain::{Kind, Moved, NamespaceId, ObjectId, Record, Revision, Time, Version};

use super::fixtures::{HERE, THERE};
use crate::{AuditFilter, Store};

/// Owners and numbers of the versions that are looked for, because versions cannot be listed.
pub(super) const OWNERS: std::ops::RangeInclusive<u8> = 1..=4;
pub(super) const NUMBERS: std::ops::RangeInclusive<i64> = 1..=3;

/// Rows stand here as text: their own `Debug` hides what they hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    revision: Revision,
    records: Vec<String>,
    versions: Vec<String>,
    /// Those that are still kept.
    changes: Moved,
    last_boot: i64,
    batches: Vec<String>,
    entries: Vec<StoredEntry>,
    counts: (i64, i64),
}

impl Contents {
    pub(super) async fn of(store: &dyn Store, now: Time) -> Self {
        let mut records = Vec::new();
        for kind in Kind::ALL {
            records.extend(store.of_kind(now, *kind).await.unwrap().value);
        }
        records.sort_by_key(|record| (record.namespace, record.kind, record.id));
        let everything = AuditFilter {
            limit: 10_000,
            ..AuditFilter::default()
        };
        let sizes = store.sizes(now).await.unwrap();
        Self {
            revision: sizes.revision,
            records: records.iter().map(show_record).collect(),
            versions: versions(store, now).await,
            changes: changes(store, now, sizes.revision).await,
            last_boot: store.last_boot(now).await.unwrap().value,
            batches: batches(store, now).await,
            entries: store.entries(now, &everything).await.unwrap().value,
            counts: (sizes.value.records, sizes.value.versions),
        }
    }
}

impl Contents {
    /// A dump leaves them behind.
    pub(super) fn forget_changes(&mut self) {
        self.changes = Moved::TooMany;
    }
}

async fn versions(store: &dyn Store, now: Time) -> Vec<String> {
    let mut found = Vec::new();
    for namespace in [HERE, THERE] {
        for owner in OWNERS {
            for number in NUMBERS {
                let version = stored_version(store, now, namespace, ObjectId([owner; 16]), number).await;
                found.extend(version.as_ref().map(show_version));
            }
        }
    }
    found
}

async fn stored_version(
    store: &dyn Store,
    now: Time,
    namespace: NamespaceId,
    owner: ObjectId,
    number: i64,
) -> Option<Version> {
    store.version(now, namespace, owner, number).await.unwrap().value
}

/// The changes above the lowest revision from which none is missing.
async fn changes(store: &dyn Store, now: Time, top: Revision) -> Moved {
    let (mut low, mut high) = (0, top.0);
    while low < high {
        let middle = low.midpoint(high);
        match store.touches(now, Revision(middle), u16::MAX).await.unwrap().value {
            Moved::Touches(_) => high = middle,
            Moved::TooMany => low = middle + 1,
        }
    }
    store.touches(now, Revision(low), u16::MAX).await.unwrap().value
}

async fn batches(store: &dyn Store, now: Time) -> Vec<String> {
    let mut found = Vec::new();
    for batch in store.batches(now, BatchId(0), 10_000).await.unwrap().value {
        let entries = store.batch_entries(now, &batch).await.unwrap().value;
        let places: Vec<i64> = entries.iter().map(|stored| stored.place).collect();
        found.push(format!("{batch:?} with places {places:?}"));
    }
    found
}

pub(super) fn show_record(record: &Record) -> String {
    let Record {
        namespace,
        kind,
        id,
        name,
        rev,
        due,
        format,
        body,
        mac,
    } = record;
    show((namespace, kind, id, name, rev, due, format, body, mac))
}

pub(super) fn show_version(version: &Version) -> String {
    let Version {
        namespace,
        owner,
        number,
        rev,
        format,
        payload,
        epoch,
        salt,
        commitment,
        sealed,
    } = version;
    show((
        namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed,
    ))
}

fn show(columns: impl Debug) -> String {
    format!("{columns:?}")
}
