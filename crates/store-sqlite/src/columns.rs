//! Rows as JSON arrays for `json_each`, bytes in hexadecimal, and back.

use data_encoding::HEXUPPER;
use serde::Serialize;
use strongroom_domain::audit::{Action, Batch, BatchId, Class, Dialect, Entry, OutcomeKind, StoredEntry};
use strongroom_domain::ids::RequestId;
use strongroom_domain::row::Key;
use strongroom_domain::{
    Digest, Kind, NamespaceId, ObjectId, PayloadKind, PrincipalId, Record, Revision, RowRev, Time, Touch, Version,
};
use strongroom_ports::StoreError;

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXUPPER.encode(bytes)
}

pub(crate) fn json<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Unavailable(error.into()))
}

pub(crate) fn records<'a>(rows: impl IntoIterator<Item = (&'a Record, RowRev)>) -> Result<String, StoreError> {
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(row, expected)| {
            (
                hex(row.namespace.as_slice()),
                row.kind.number(),
                hex(row.id.as_slice()),
                &row.name,
                row.rev.0,
                row.due.map(|due| due.0),
                row.format,
                hex(&row.body),
                hex(&row.mac),
                expected.0,
                #[cfg(feature = "next-schema")]
                row.writer,
            )
        })
        .collect();
    json(&rows)
}

pub(crate) fn versions<'a>(rows: impl IntoIterator<Item = (&'a Version, RowRev)>) -> Result<String, StoreError> {
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(row, expected)| {
            (
                hex(row.namespace.as_slice()),
                hex(row.owner.as_slice()),
                row.number,
                row.rev.0,
                row.format,
                row.payload.number(),
                row.epoch,
                hex(&row.salt),
                hex(&row.commitment),
                hex(&row.sealed),
                expected.0,
                #[cfg(feature = "next-schema")]
                row.writer,
            )
        })
        .collect();
    json(&rows)
}

pub(crate) fn entries(rows: &[StoredEntry]) -> Result<String, StoreError> {
    json(&rows.iter().map(entry).collect::<Vec<_>>())
}

/// All columns but the batch, which is the same for all of a batch.
pub(crate) fn entry(stored: &StoredEntry) -> impl Serialize {
    let entry = &stored.entry;
    (
        stored.place,
        entry.at.0,
        hex(&entry.request.0),
        entry.dialect.number(),
        entry.action.number(),
        entry.outcome.number(),
        entry.reason,
        entry.principal.map(|principal| hex(principal.as_slice())),
        hex(&entry.who.0),
        hex(entry.namespace.as_slice()),
        &entry.path,
        entry.version,
        entry.digest.map(|digest| hex(digest.as_slice())),
        entry.count,
        &stored.accessor,
        &stored.source,
    )
}

fn small(value: i64, what: &'static str) -> Result<i16, StoreError> {
    i16::try_from(value).map_err(|_| StoreError::Malformed(what))
}

pub(crate) fn kind(number: i64) -> Result<Kind, StoreError> {
    Kind::from_number(small(number, "kind")?).ok_or(StoreError::Malformed("kind"))
}

pub(crate) struct RecordRow {
    pub(crate) namespace: Vec<u8>,
    pub(crate) kind: i64,
    pub(crate) id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) rev: i64,
    pub(crate) due: Option<i64>,
    pub(crate) format: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) mac: Vec<u8>,
    #[cfg(feature = "next-schema")]
    pub(crate) writer: Option<i64>,
}

impl TryFrom<RecordRow> for Record {
    type Error = StoreError;

    fn try_from(row: RecordRow) -> Result<Self, StoreError> {
        Ok(Self {
            namespace: NamespaceId::from_slice(&row.namespace).ok_or(StoreError::Malformed("record.namespace"))?,
            kind: kind(row.kind)?,
            id: ObjectId::from_slice(&row.id).ok_or(StoreError::Malformed("record.id"))?,
            name: row.name,
            rev: RowRev(row.rev),
            due: row.due.map(Time),
            format: small(row.format, "record.format")?,
            body: row.body,
            mac: row.mac,
            #[cfg(feature = "next-schema")]
            writer: row.writer,
        })
    }
}

pub(crate) struct VersionRow {
    pub(crate) namespace: Vec<u8>,
    pub(crate) owner: Vec<u8>,
    pub(crate) number: i64,
    pub(crate) rev: i64,
    pub(crate) format: i64,
    pub(crate) payload: i64,
    pub(crate) epoch: i64,
    pub(crate) salt: Vec<u8>,
    pub(crate) commitment: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
    #[cfg(feature = "next-schema")]
    pub(crate) writer: Option<i64>,
}

impl TryFrom<VersionRow> for Version {
    type Error = StoreError;

    fn try_from(row: VersionRow) -> Result<Self, StoreError> {
        let payload = small(row.payload, "version.payload")?;
        Ok(Self {
            namespace: NamespaceId::from_slice(&row.namespace).ok_or(StoreError::Malformed("version.namespace"))?,
            owner: ObjectId::from_slice(&row.owner).ok_or(StoreError::Malformed("version.owner"))?,
            number: row.number,
            rev: RowRev(row.rev),
            format: small(row.format, "version.format")?,
            payload: PayloadKind::from_number(payload).ok_or(StoreError::Malformed("version.payload"))?,
            epoch: row.epoch,
            salt: row.salt,
            commitment: row.commitment,
            sealed: row.sealed,
            #[cfg(feature = "next-schema")]
            writer: row.writer,
        })
    }
}

pub(crate) struct TouchRow {
    pub(crate) revision: i64,
    pub(crate) namespace: Vec<u8>,
    pub(crate) kind: i64,
    pub(crate) name: String,
    pub(crate) version: Option<i64>,
    pub(crate) action: i64,
}

impl TryFrom<TouchRow> for Touch {
    type Error = StoreError;

    fn try_from(row: TouchRow) -> Result<Self, StoreError> {
        let namespace = NamespaceId::from_slice(&row.namespace).ok_or(StoreError::Malformed("change.namespace"))?;
        Ok(Self {
            revision: Revision(row.revision),
            key: Key {
                namespace,
                kind: kind(row.kind)?,
                name: row.name,
            },
            version: row.version,
            action: small(row.action, "change.action")?,
        })
    }
}

pub(crate) struct EntryRow {
    pub(crate) batch: i64,
    pub(crate) place: i64,
    pub(crate) at: i64,
    pub(crate) request: Vec<u8>,
    pub(crate) dialect: i64,
    pub(crate) action: i64,
    pub(crate) outcome: i64,
    pub(crate) reason: i64,
    pub(crate) principal: Option<Vec<u8>>,
    pub(crate) who: Vec<u8>,
    pub(crate) namespace: Vec<u8>,
    pub(crate) path: String,
    pub(crate) version: Option<i64>,
    pub(crate) digest: Option<Vec<u8>>,
    pub(crate) count: i64,
    pub(crate) accessor: Option<String>,
    pub(crate) source: Option<String>,
}

impl TryFrom<EntryRow> for StoredEntry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let malformed = StoreError::Malformed;
        let principal = match row.principal {
            None => None,
            Some(bytes) => Some(PrincipalId::from_slice(&bytes).ok_or(malformed("entry.principal"))?),
        };
        let digest = match row.digest {
            None => None,
            Some(bytes) => Some(Digest::from_slice(&bytes).ok_or(malformed("entry.digest"))?),
        };
        let number = |value| small(value, "entry");
        Ok(Self {
            batch: BatchId(row.batch),
            place: row.place,
            entry: Entry {
                at: Time(row.at),
                request: RequestId::from_slice(&row.request).ok_or(malformed("entry.request"))?,
                dialect: Dialect::from_number(number(row.dialect)?).ok_or(malformed("entry.dialect"))?,
                action: Action::from_number(number(row.action)?).ok_or(malformed("entry.action"))?,
                outcome: OutcomeKind::from_number(number(row.outcome)?).ok_or(malformed("entry.outcome"))?,
                reason: number(row.reason)?,
                principal,
                who: Digest::from_slice(&row.who).ok_or(malformed("entry.who"))?,
                namespace: NamespaceId::from_slice(&row.namespace).ok_or(malformed("entry.namespace"))?,
                path: row.path,
                version: row.version,
                digest,
                count: row.count,
            },
            accessor: row.accessor.map(Into::into),
            source: row.source.map(Into::into),
        })
    }
}

pub(crate) struct BatchRow {
    pub(crate) id: i64,
    pub(crate) class: i64,
    pub(crate) at: i64,
    pub(crate) count: i64,
    pub(crate) root: Vec<u8>,
    pub(crate) previous: Vec<u8>,
    pub(crate) key: i64,
    pub(crate) mac: Vec<u8>,
}

impl TryFrom<BatchRow> for Batch {
    type Error = StoreError;

    fn try_from(row: BatchRow) -> Result<Self, StoreError> {
        let malformed = || StoreError::Malformed("audit_batch");
        let digest = |bytes: &[u8]| Digest::from_slice(bytes).ok_or_else(malformed);
        Ok(Self {
            id: BatchId(row.id),
            class: Class::from_number(small(row.class, "audit_batch")?).ok_or_else(malformed)?,
            at: Time(row.at),
            count: row.count,
            root: digest(&row.root)?,
            previous: digest(&row.previous)?,
            key: row.key,
            mac: digest(&row.mac)?,
        })
    }
}
