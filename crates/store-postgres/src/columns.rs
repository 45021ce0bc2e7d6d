//! Rows as columns, for `UNNEST`, and back.

use strongroom_domain::audit::{Action, Batch, BatchId, Class, Dialect, Entry, OutcomeKind, StoredEntry};
use strongroom_domain::ids::RequestId;
use strongroom_domain::row::Key;
use strongroom_domain::{
    Digest, Kind, NamespaceId, ObjectId, PayloadKind, PrincipalId, Record, Revision, RowRev, Time, Touch, Version,
};
use strongroom_ports::StoreError;

#[derive(Default)]
pub(crate) struct RecordColumns<'a> {
    pub(crate) namespace: Vec<&'a [u8]>,
    pub(crate) kind: Vec<i16>,
    pub(crate) id: Vec<&'a [u8]>,
    pub(crate) name: Vec<&'a str>,
    pub(crate) rev: Vec<i64>,
    pub(crate) due: Vec<Option<i64>>,
    pub(crate) format: Vec<i16>,
    pub(crate) body: Vec<&'a [u8]>,
    pub(crate) mac: Vec<&'a [u8]>,
    pub(crate) expected: Vec<i64>,
    #[cfg(feature = "next-schema")]
    pub(crate) writer: Vec<Option<i64>>,
}

impl<'a> RecordColumns<'a> {
    pub(crate) fn of(rows: impl IntoIterator<Item = (&'a Record, RowRev)>) -> Self {
        let mut columns = Self::default();
        for (row, expected) in rows {
            columns.namespace.push(row.namespace.as_slice());
            columns.kind.push(row.kind.number());
            columns.id.push(row.id.as_slice());
            columns.name.push(&row.name);
            columns.rev.push(row.rev.0);
            columns.due.push(row.due.map(|due| due.0));
            columns.format.push(row.format);
            columns.body.push(&row.body);
            columns.mac.push(&row.mac);
            columns.expected.push(expected.0);
            #[cfg(feature = "next-schema")]
            columns.writer.push(row.writer);
        }
        columns
    }
}

#[derive(Default)]
pub(crate) struct VersionColumns<'a> {
    pub(crate) namespace: Vec<&'a [u8]>,
    pub(crate) owner: Vec<&'a [u8]>,
    pub(crate) number: Vec<i64>,
    pub(crate) rev: Vec<i64>,
    pub(crate) format: Vec<i16>,
    pub(crate) payload: Vec<i16>,
    pub(crate) epoch: Vec<i64>,
    pub(crate) salt: Vec<&'a [u8]>,
    pub(crate) commitment: Vec<&'a [u8]>,
    pub(crate) sealed: Vec<&'a [u8]>,
    pub(crate) expected: Vec<i64>,
    #[cfg(feature = "next-schema")]
    pub(crate) writer: Vec<Option<i64>>,
}

impl<'a> VersionColumns<'a> {
    pub(crate) fn of(rows: impl IntoIterator<Item = (&'a Version, RowRev)>) -> Self {
        let mut columns = Self::default();
        for (row, expected) in rows {
            columns.namespace.push(row.namespace.as_slice());
            columns.owner.push(row.owner.as_slice());
            columns.number.push(row.number);
            columns.rev.push(row.rev.0);
            columns.format.push(row.format);
            columns.payload.push(row.payload.number());
            columns.epoch.push(row.epoch);
            columns.salt.push(&row.salt);
            columns.commitment.push(&row.commitment);
            columns.sealed.push(&row.sealed);
            columns.expected.push(expected.0);
            #[cfg(feature = "next-schema")]
            columns.writer.push(row.writer);
        }
        columns
    }
}

/// All columns but the batch, which is the same for all.
pub(crate) struct EntryColumns<'a> {
    pub(crate) place: Vec<i64>,
    pub(crate) at: Vec<i64>,
    pub(crate) request: Vec<&'a [u8]>,
    pub(crate) dialect: Vec<i16>,
    pub(crate) action: Vec<i16>,
    pub(crate) outcome: Vec<i16>,
    pub(crate) reason: Vec<i16>,
    pub(crate) principal: Vec<Option<&'a [u8]>>,
    pub(crate) who: Vec<&'a [u8]>,
    pub(crate) namespace: Vec<&'a [u8]>,
    pub(crate) path: Vec<&'a str>,
    pub(crate) version: Vec<Option<i64>>,
    pub(crate) digest: Vec<Option<&'a [u8]>>,
    pub(crate) count: Vec<i64>,
    pub(crate) accessor: Vec<Option<&'a str>>,
    pub(crate) source: Vec<Option<&'a str>>,
}

impl<'a> EntryColumns<'a> {
    pub(crate) fn of(entries: &'a [StoredEntry]) -> Self {
        let room = entries.len();
        let mut columns = Self {
            place: Vec::with_capacity(room),
            at: Vec::with_capacity(room),
            request: Vec::with_capacity(room),
            dialect: Vec::with_capacity(room),
            action: Vec::with_capacity(room),
            outcome: Vec::with_capacity(room),
            reason: Vec::with_capacity(room),
            principal: Vec::with_capacity(room),
            who: Vec::with_capacity(room),
            namespace: Vec::with_capacity(room),
            path: Vec::with_capacity(room),
            version: Vec::with_capacity(room),
            digest: Vec::with_capacity(room),
            count: Vec::with_capacity(room),
            accessor: Vec::with_capacity(room),
            source: Vec::with_capacity(room),
        };
        for stored in entries {
            let entry = &stored.entry;
            columns.place.push(stored.place);
            columns.at.push(entry.at.0);
            columns.request.push(&entry.request.0);
            columns.dialect.push(entry.dialect.number());
            columns.action.push(entry.action.number());
            columns.outcome.push(entry.outcome.number());
            columns.reason.push(entry.reason);
            columns
                .principal
                .push(entry.principal.as_ref().map(PrincipalId::as_slice));
            columns.who.push(&entry.who.0);
            columns.namespace.push(entry.namespace.as_slice());
            columns.path.push(&entry.path);
            columns.version.push(entry.version);
            columns.digest.push(entry.digest.as_ref().map(Digest::as_slice));
            columns.count.push(entry.count);
            columns.accessor.push(stored.accessor.as_deref());
            columns.source.push(stored.source.as_deref());
        }
        columns
    }
}

pub(crate) struct RecordRow {
    pub(crate) namespace: Vec<u8>,
    pub(crate) kind: i16,
    pub(crate) id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) rev: i64,
    pub(crate) due: Option<i64>,
    pub(crate) format: i16,
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
            kind: Kind::from_number(row.kind).ok_or(StoreError::Malformed("record.kind"))?,
            id: ObjectId::from_slice(&row.id).ok_or(StoreError::Malformed("record.id"))?,
            name: row.name,
            rev: RowRev(row.rev),
            due: row.due.map(Time),
            format: row.format,
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
    pub(crate) format: i16,
    pub(crate) payload: i16,
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
        Ok(Self {
            namespace: NamespaceId::from_slice(&row.namespace).ok_or(StoreError::Malformed("version.namespace"))?,
            owner: ObjectId::from_slice(&row.owner).ok_or(StoreError::Malformed("version.owner"))?,
            number: row.number,
            rev: RowRev(row.rev),
            format: row.format,
            payload: PayloadKind::from_number(row.payload).ok_or(StoreError::Malformed("version.payload"))?,
            epoch: row.epoch,
            salt: row.salt,
            commitment: row.commitment,
            sealed: row.sealed,
            #[cfg(feature = "next-schema")]
            writer: row.writer,
        })
    }
}

/// Columns of `change`, all absent where a fence found none.
pub(crate) struct TouchRow {
    pub(crate) revision: Option<i64>,
    pub(crate) namespace: Option<Vec<u8>>,
    pub(crate) kind: Option<i16>,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<i64>,
    pub(crate) action: Option<i16>,
}

impl TouchRow {
    pub(crate) fn touch(self) -> Result<Option<Touch>, StoreError> {
        let (Some(revision), Some(namespace), Some(kind), Some(name), Some(action)) =
            (self.revision, self.namespace, self.kind, self.name, self.action)
        else {
            return Ok(None);
        };
        let namespace = NamespaceId::from_slice(&namespace).ok_or(StoreError::Malformed("change.namespace"))?;
        let kind = Kind::from_number(kind).ok_or(StoreError::Malformed("change.kind"))?;
        Ok(Some(Touch {
            revision: Revision(revision),
            key: Key { namespace, kind, name },
            version: self.version,
            action,
        }))
    }
}

pub(crate) struct EntryRow {
    pub(crate) batch: i64,
    pub(crate) place: i64,
    pub(crate) at: i64,
    pub(crate) request: Vec<u8>,
    pub(crate) dialect: i16,
    pub(crate) action: i16,
    pub(crate) outcome: i16,
    pub(crate) reason: i16,
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
        Ok(Self {
            batch: BatchId(row.batch),
            place: row.place,
            entry: Entry {
                at: Time(row.at),
                request: RequestId::from_slice(&row.request).ok_or(malformed("entry.request"))?,
                dialect: Dialect::from_number(row.dialect).ok_or(malformed("entry.dialect"))?,
                action: Action::from_number(row.action).ok_or(malformed("entry.action"))?,
                outcome: OutcomeKind::from_number(row.outcome).ok_or(malformed("entry.outcome"))?,
                reason: row.reason,
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
    pub(crate) class: i16,
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
        let digest = |bytes: &[u8]| Digest::from_slice(bytes).ok_or(StoreError::Malformed("audit_batch"));
        Ok(Self {
            id: BatchId(row.id),
            class: Class::from_number(row.class).ok_or(StoreError::Malformed("audit_batch"))?,
            at: Time(row.at),
            count: row.count,
            root: digest(&row.root)?,
            previous: digest(&row.previous)?,
            key: row.key,
            mac: digest(&row.mac)?,
        })
    }
}
