//! Typed bodies in and out of records: MACed when made, checked when read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_crypto::CryptoError;
use strongroom_domain::row::{Key, RowKey};
use strongroom_domain::secret::Head;
use strongroom_domain::{Code, Error, Kind, ObjectId, Record, Result, Row, RowRev, SecretPath, Time, Touch, Write};
use strongroom_ports::{Fut, StoreError};

use crate::Broker;

/// A record whose MAC held, with its body parsed: the record's own copy of it, and the MAC, are let go.
#[derive(Clone)]
pub(crate) struct Checked<T> {
    pub(crate) record: Record,
    pub(crate) body: T,
}

impl<T> Checked<T> {
    pub(crate) fn new(record: Record, body: T) -> Self {
        let record = Record {
            body: Vec::new(),
            mac: Vec::new(),
            ..record
        };
        Self { record, body }
    }
}

pub(crate) fn store_failed(error: StoreError) -> Error {
    match error {
        StoreError::Malformed(what) => Error::integrity(format!("A stored row is malformed: {what}.")),
        other => Error::from(Code::StoreUnavailable).because(other),
    }
}

/// What failed to hold, by kind of row, told without content.
pub(crate) fn broken(kind: Kind, error: CryptoError) -> Error {
    let what = match error {
        CryptoError::UnknownFormat => {
            "has a format that this program does not know: a newer program wrote it, or it was altered. Run the newest program on every node"
        }
        _ => "fails its check",
    };
    Error::integrity(format!("A stored row of kind '{}' {what}.", kind.name())).because(error)
}

/// Of a record whose MAC holds.
pub(crate) fn parse<T: DeserializeOwned>(record: Record) -> Result<Checked<T>> {
    let body = serde_json::from_slice(&record.body).map_err(|_| broken(record.kind, CryptoError::Unopened))?;
    Ok(Checked::new(record, body))
}

/// Rows that cannot be read where many are looked at: they hide no other, and are told together.
#[derive(Default)]
pub(crate) struct Unread {
    rows: usize,
    last: Option<Error>,
}

impl Unread {
    pub(crate) fn pass<T>(&mut self, checked: Result<T>) -> Option<T> {
        let failed = |error| {
            self.rows += 1;
            self.last = Some(error);
        };
        checked.map_err(failed).ok()
    }

    pub(crate) fn tell(self) {
        if let Some(error) = self.last {
            tracing::warn!(rows = self.rows, ?error, "rows could not be read, and were left out");
        }
    }
}

impl Broker {
    /// Asks the store, for no longer than an answer may wait: a database that hangs holds nobody.
    pub(crate) async fn ask<T>(&self, asked: Fut<'_, T>) -> Result<T> {
        match tokio::time::timeout(self.0.settings.audit_deadline, asked).await {
            Ok(found) => found.map_err(store_failed),
            Err(_) => Err(Error::new(
                Code::StoreUnavailable,
                "The database does not answer in time.",
            )),
        }
    }

    pub(crate) fn key(&self, kind: Kind, name: impl Into<String>) -> Key {
        Key::new(self.namespace(), kind, name)
    }

    /// Checks that a record is what was asked for, and unaltered.
    pub(crate) fn check<T: DeserializeOwned>(&self, record: Record) -> Result<Checked<T>> {
        self.check_mac(&record)?;
        parse(record)
    }

    pub(crate) fn check_mac(&self, record: &Record) -> Result<()> {
        let held = self.0.ring.keys.load().check_record(record);
        held.map_err(|error| broken(record.kind, error))
    }

    fn sign<T: Serialize>(&self, mut record: Record, body: &T) -> Result<Record> {
        record.body = serde_json::to_vec(body).map_err(Error::internal)?;
        self.0.ring.keys.load().mac_record(record).map_err(Error::internal)
    }

    pub(crate) fn new_id(&self) -> ObjectId {
        ObjectId(self.0.entropy.bytes())
    }

    pub(crate) fn new_record<T: Serialize>(
        &self,
        kind: Kind,
        id: ObjectId,
        name: &str,
        due: Option<Time>,
        body: &T,
    ) -> Result<Record> {
        let record = Record {
            due,
            ..Record::blank(self.key(kind, name), id)
        };
        self.sign(record, body)
    }

    /// The record that follows `old`.
    pub(crate) fn next_record<T: Serialize>(&self, old: &Record, body: &T) -> Result<Record> {
        self.sign(
            Record {
                rev: old.rev.next(),
                ..old.clone()
            },
            body,
        )
    }

    /// A secret's head, new or in the place of an old one. Nodes find it once its end is to be told, or has come.
    pub(crate) fn write_head(
        &self,
        old: Option<&Record>,
        id: ObjectId,
        path: &SecretPath,
        head: &Head,
    ) -> Result<(Record, Write)> {
        let key = self.key(Kind::Secret, path.as_str());
        self.write_due(old, id, key, head.due(), head)
    }

    /// A record that a job looks at when it is due, new or in the place of an old one.
    pub(crate) fn write_due<T: Serialize>(
        &self,
        old: Option<&Record>,
        id: ObjectId,
        key: Key,
        due: Option<Time>,
        body: &T,
    ) -> Result<(Record, Write)> {
        let rev = old.map_or(RowRev::FIRST, |old| old.rev.next());
        let record = Record {
            rev,
            due,
            ..Record::blank(key, id)
        };
        let record = self.sign(record, body)?;
        let row = Row::Record(record.clone());
        Ok((
            record,
            old.map_or(Write::Insert(row.clone()), |old| Write::Replace(old.rev, row)),
        ))
    }

    /// Inserts a new record or replaces the one there is.
    pub(crate) fn upsert<T: Serialize>(
        &self,
        old: Option<&Record>,
        kind: Kind,
        name: &str,
        body: &T,
    ) -> Result<(Record, Write)> {
        match old {
            Some(old) => {
                let record = self.next_record(old, body)?;
                Ok((record.clone(), Write::Replace(old.rev, Row::Record(record))))
            }
            None => {
                let record = self.new_record(kind, self.new_id(), name, None, body)?;
                Ok((record.clone(), Write::Insert(Row::Record(record))))
            }
        }
    }
}

pub(crate) fn remove(record: &Record) -> Write {
    Write::Remove(RowKey::Record(record.namespace, record.kind, record.id), record.rev)
}

pub(crate) fn touch(key: Key, action: strongroom_domain::audit::Action, version: Option<i64>) -> Touch {
    Touch {
        revision: strongroom_domain::Revision::default(),
        key,
        version,
        action: action.number(),
    }
}
