//! What the behaviours are played with: rows, changes, entries and batches. The MACs are any bytes; stores never look.

use std::time::Duration;

use strongroom_domain::audit::{Action, Batch, BatchId, Class, Dialect, Entry, OutcomeKind, SealedBatch, StoredEntry};
use strongroom_domain::ids::RequestId;
use strongroom_domain::row::Key;
use strongroom_domain::{
    Change, Digest, Kind, NamespaceId, ObjectId, PayloadKind, PrincipalId, Record, Revision, Row, Time, Touch, Version,
    Write,
};

/// 2026-08-15T12:00:00.123456Z
pub(super) const START: Time = Time(1_786_795_200_123_456);
pub(super) const HERE: NamespaceId = NamespaceId([0xa1; 16]);
pub(super) const THERE: NamespaceId = NamespaceId([0xb2; 16]);
/// So large that a batch id with it does not fit a float.
pub(super) const BOOT: i64 = 5_000_003;

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn days(count: u64) -> Duration {
    seconds(count * 24 * 60 * 60)
}

pub(super) fn record(kind: Kind, id: u8, name: &str) -> Record {
    Record {
        format: 1,
        body: format!(r#"{{"of":{id}}}"#).into_bytes(),
        mac: vec![id; 36],
        ..Record::blank(Key::new(HERE, kind, name), ObjectId([id; 16]))
    }
}

pub(super) fn secret(id: u8, name: &str) -> Record {
    record(Kind::Secret, id, name)
}

/// The same record a replacement later.
pub(super) fn successor(record: &Record, body: &str) -> Record {
    Record {
        rev: record.rev.next(),
        body: body.into(),
        mac: vec![0xee; 36],
        ..record.clone()
    }
}

pub(super) fn version(owner: u8, number: i64) -> Version {
    Version {
        format: 1,
        payload: PayloadKind::Json,
        epoch: 1,
        salt: vec![1; 32],
        commitment: vec![2; 32],
        sealed: vec![owner; 64],
        ..Version::blank(HERE, ObjectId([owner; 16]), number)
    }
}

pub(super) fn insert(record: &Record) -> Write {
    Write::Insert(Row::Record(record.clone()))
}

/// Puts the successor of `record` in its place.
pub(super) fn replace(record: &Record, body: &str) -> Write {
    Write::Replace(record.rev, Row::Record(successor(record, body)))
}

pub(super) fn remove(record: &Record) -> Write {
    Write::Remove(Row::Record(record.clone()).key(), record.rev)
}

pub(super) fn touch(kind: Kind, name: &str, version: Option<i64>) -> Touch {
    let key = Key::new(HERE, kind, name);
    Touch {
        revision: Revision(0),
        key,
        version,
        action: Action::SecretWrite.number(),
    }
}

/// A change that nobody can see.
pub(super) fn quiet(writes: impl Into<Vec<Write>>) -> Change {
    Change {
        writes: writes.into(),
        touches: Vec::new(),
    }
}

/// A change that takes a revision for each name.
pub(super) fn seen(writes: impl Into<Vec<Write>>, names: &[&str]) -> Change {
    let touches = names.iter().map(|name| touch(Kind::Secret, name, None)).collect();
    Change {
        writes: writes.into(),
        touches,
    }
}

/// An entry of this class.
pub(super) fn entry(class: Class, at: Time) -> Entry {
    let action = match class {
        Class::Reads => Action::SecretRead,
        Class::Kept => Action::SecretWrite,
    };
    Entry {
        at,
        request: RequestId([3; 16]),
        dialect: Dialect::Native,
        action,
        outcome: OutcomeKind::Granted,
        reason: 0,
        principal: Some(PrincipalId([4; 16])),
        who: Digest([5; 32]),
        namespace: HERE,
        path: "payments/prod/api-key".into(),
        version: Some(1),
        digest: None,
        count: 1,
    }
}

pub(super) fn stored(batch: BatchId, place: usize, entry: Entry) -> StoredEntry {
    StoredEntry {
        batch,
        place: i64::try_from(place).unwrap(),
        entry,
        accessor: Some("accessor-1".into()),
        source: Some("192.0.2.7".into()),
    }
}

/// A batch with these entries, each at its place.
pub(super) fn sealed(id: BatchId, class: Class, at: Time, entries: Vec<Entry>) -> SealedBatch {
    let entries: Vec<StoredEntry> = entries
        .into_iter()
        .enumerate()
        .map(|(place, entry)| stored(id, place, entry))
        .collect();
    let batch = Batch {
        id,
        class,
        at,
        count: i64::try_from(entries.len()).unwrap(),
        root: Digest([6; 32]),
        previous: Digest([7; 32]),
        key: 8,
        mac: Digest([9; 32]),
    };
    SealedBatch { batch, entries }
}

pub(super) fn void(id: BatchId, class: Class, at: Time) -> SealedBatch {
    sealed(id, class, at, Vec::new())
}
