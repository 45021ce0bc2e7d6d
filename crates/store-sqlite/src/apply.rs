//! A group of changes in one transaction.

use std::collections::HashSet;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use strongroom_domain::change::overlapping;
use strongroom_domain::row::RowKey;
use strongroom_domain::{
    Change, Fence, NamespaceId, ObjectId, Outcome, Record, Revision, Row, RowRev, Time, Touch, Version, Write,
};
use strongroom_ports::{Applied, StoreError, Verdict};

use crate::SqliteStore;
use crate::columns::{hex, json, kind, records, versions};
use crate::error::{commit_error, store_error};
use crate::record::{fence, insert_batch};

type Seal<'a> = &'a mut (dyn FnMut(&Fence, &[Option<Outcome>]) -> Verdict + Send);

enum Try {
    Committed(Fence),
    /// These changes do not go in: run the group again without them.
    Refused(Vec<usize>, Option<Outcome>),
    /// Nothing is left to write.
    Empty(Fence),
}

impl SqliteStore {
    pub(crate) async fn apply_group(
        &self,
        now: Time,
        group: &[Change],
        since: Revision,
        seal: Seal<'_>,
    ) -> Result<Applied, StoreError> {
        let time = self.time(now);
        let mut outcomes = vec![Some(Outcome::Applied); group.len()];
        self.on_writer(async move |connection| {
            loop {
                match attempt(connection, time, group, since, &outcomes, &mut *seal).await? {
                    Try::Committed(fence) | Try::Empty(fence) => return Ok(Applied { outcomes, fence }),
                    Try::Refused(changes, outcome) => {
                        for change in changes {
                            if let Some(slot) = outcomes.get_mut(change) {
                                *slot = outcome;
                            }
                        }
                    }
                }
            }
        })
        .await
    }
}

async fn attempt(
    connection: &mut SqliteConnection,
    time: Time,
    group: &[Change],
    since: Revision,
    outcomes: &[Option<Outcome>],
    seal: Seal<'_>,
) -> Result<Try, StoreError> {
    let standing: Vec<(usize, &Change)> = group
        .iter()
        .enumerate()
        .filter(|(at, _)| outcomes.get(*at) == Some(&Some(Outcome::Applied)))
        .collect();
    if standing.is_empty() {
        return Ok(Try::Empty(fence(connection, since, time).await?));
    }
    let twice = overlapping(standing.iter().copied());
    if !twice.is_empty() {
        return Ok(Try::Refused(twice, Some(Outcome::Conflict)));
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
    let written = write_rows(&mut transaction, &standing).await?;
    let refused: Vec<usize> = standing
        .iter()
        .filter(|(_, change)| change.writes.iter().any(|write| !written.contains(&write.key())))
        .map(|(at, _)| *at)
        .collect();
    if !refused.is_empty() {
        transaction.rollback().await.map_err(store_error)?;
        return Ok(Try::Refused(refused, Some(Outcome::Conflict)));
    }
    let fence = fence(&mut transaction, since, time).await?;
    match seal(&fence, outcomes) {
        Verdict::Abandon => {
            transaction.rollback().await.map_err(store_error)?;
            Err(StoreError::Abandoned)
        }
        Verdict::Without(changes) => {
            transaction.rollback().await.map_err(store_error)?;
            Ok(Try::Refused(changes, None))
        }
        Verdict::Commit(sealed) => {
            let touches: Vec<&Touch> = standing.iter().flat_map(|(_, change)| &change.touches).collect();
            insert_changes(&mut transaction, time, fence.top, &touches).await?;
            insert_batch(&mut transaction, &sealed, time).await?;
            transaction.commit().await.map_err(commit_error)?;
            Ok(Try::Committed(fence))
        }
    }
}

type RecordWrite<'a> = (&'a Record, RowRev);
type VersionWrite<'a> = (&'a Version, RowRev);

/// All writes of all changes, one statement for each table and kind of write; gives the keys that were written.
async fn write_rows(
    connection: &mut SqliteConnection,
    group: &[(usize, &Change)],
) -> Result<HashSet<RowKey>, StoreError> {
    let mut writes: Vec<&Write> = group.iter().flat_map(|(_, change)| &change.writes).collect();
    writes.sort_by_key(|write| write.key());
    let mut written = HashSet::with_capacity(writes.len());
    let (mut replaced, mut inserted, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut new_versions, mut old_versions, mut removed_versions) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        match write {
            Write::Replace(rev, Row::Record(row)) => replaced.push((row, *rev)),
            Write::Insert(Row::Record(row)) => inserted.push((row, row.rev)),
            Write::Remove(RowKey::Record(namespace, kind, id), rev) => {
                removed.push((hex(namespace.as_slice()), kind.number(), hex(id.as_slice()), rev.0));
            }
            Write::Replace(rev, Row::Version(row)) => old_versions.push((row, *rev)),
            Write::Insert(Row::Version(row)) => new_versions.push((row, row.rev)),
            Write::Remove(RowKey::Version(namespace, owner, number), rev) => {
                removed_versions.push((hex(namespace.as_slice()), hex(owner.as_slice()), *number, rev.0));
            }
        }
    }
    remove_records(connection, &removed, &mut written).await?;
    replace_records(connection, replaced, &mut written).await?;
    insert_records(connection, inserted, &mut written).await?;
    remove_versions(connection, &removed_versions, &mut written).await?;
    replace_versions(connection, old_versions, &mut written).await?;
    insert_versions(connection, new_versions, &mut written).await?;
    Ok(written)
}

fn record_key(namespace: &[u8], number: i64, id: &[u8]) -> Result<RowKey, StoreError> {
    match (
        NamespaceId::from_slice(namespace),
        kind(number)?,
        ObjectId::from_slice(id),
    ) {
        (Some(namespace), kind, Some(id)) => Ok(RowKey::Record(namespace, kind, id)),
        _ => Err(StoreError::Malformed("record key")),
    }
}

fn version_key(namespace: &[u8], owner: &[u8], number: i64) -> Result<RowKey, StoreError> {
    match (NamespaceId::from_slice(namespace), ObjectId::from_slice(owner)) {
        (Some(namespace), Some(owner)) => Ok(RowKey::Version(namespace, owner, number)),
        _ => Err(StoreError::Malformed("version key")),
    }
}

async fn replace_records(
    connection: &mut SqliteConnection,
    rows: Vec<RecordWrite<'_>>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = records(rows)?;
    let done = checked!(query!(
        "UPDATE record SET name = u.name, rev = u.rev, due = u.due, format = u.format, body = u.body, mac = u.mac" [", writer = u.writer"] " \
         FROM (SELECT unhex(value ->> 0) AS namespace, value ->> 1 AS kind, unhex(value ->> 2) AS id, value ->> 3 AS name, value ->> 4 AS rev, \
         value ->> 5 AS due, value ->> 6 AS format, unhex(value ->> 7) AS body, unhex(value ->> 8) AS mac, value ->> 9 AS expected" [", value ->> 10 AS writer"] " FROM json_each(?)) AS u \
         WHERE record.namespace = u.namespace AND record.kind = u.kind AND record.id = u.id AND record.rev = u.expected \
         RETURNING namespace AS \"namespace!\", kind AS \"kind!\", id AS \"id!\"",
        rows
    ))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(record_key(&row.namespace, row.kind, &row.id)?);
    }
    Ok(())
}

pub(crate) async fn insert_records(
    connection: &mut SqliteConnection,
    rows: Vec<RecordWrite<'_>>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = records(rows)?;
    let done = checked!(query!(
        "INSERT INTO record (namespace, kind, id, name, rev, due, format, body, mac" [", writer"] ") \
         SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6, unhex(value ->> 7), unhex(value ->> 8)" [", value ->> 10"] " \
         FROM json_each(?) WHERE true ON CONFLICT DO NOTHING RETURNING namespace AS \"namespace!\", kind AS \"kind!\", id AS \"id!\"",
        rows
    ))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(record_key(&row.namespace, row.kind, &row.id)?);
    }
    Ok(())
}

async fn remove_records(
    connection: &mut SqliteConnection,
    rows: &[(String, i16, String, i64)],
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = json(rows)?;
    let done = sqlx::query!(
        "DELETE FROM record WHERE (namespace, kind, id, rev) IN \
         (SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), value ->> 3 FROM json_each(?)) \
         RETURNING namespace AS \"namespace!\", kind AS \"kind!\", id AS \"id!\"",
        rows,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(record_key(&row.namespace, row.kind, &row.id)?);
    }
    Ok(())
}

pub(crate) async fn insert_versions(
    connection: &mut SqliteConnection,
    rows: Vec<VersionWrite<'_>>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = versions(rows)?;
    let done = checked!(query!(
        "INSERT INTO version (namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] ") \
         SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, unhex(value ->> 7), unhex(value ->> 8), \
         unhex(value ->> 9)" [", value ->> 11"] " FROM json_each(?) WHERE true ON CONFLICT DO NOTHING \
         RETURNING namespace AS \"namespace!\", owner AS \"owner!\", number AS \"number!\"",
        rows
    ))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(version_key(&row.namespace, &row.owner, row.number)?);
    }
    Ok(())
}

async fn replace_versions(
    connection: &mut SqliteConnection,
    rows: Vec<VersionWrite<'_>>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = versions(rows)?;
    let done = checked!(query!(
        "UPDATE version SET rev = u.rev, format = u.format, payload = u.payload, epoch = u.epoch, salt = u.salt, commitment = u.commitment, sealed = u.sealed" [", writer = u.writer"] " \
         FROM (SELECT unhex(value ->> 0) AS namespace, unhex(value ->> 1) AS owner, value ->> 2 AS number, value ->> 3 AS rev, value ->> 4 AS format, \
         value ->> 5 AS payload, value ->> 6 AS epoch, unhex(value ->> 7) AS salt, unhex(value ->> 8) AS commitment, unhex(value ->> 9) AS sealed, \
         value ->> 10 AS expected" [", value ->> 11 AS writer"] " FROM json_each(?)) AS u \
         WHERE version.namespace = u.namespace AND version.owner = u.owner AND version.number = u.number AND version.rev = u.expected \
         RETURNING namespace AS \"namespace!\", owner AS \"owner!\", number AS \"number!\"",
        rows
    ))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(version_key(&row.namespace, &row.owner, row.number)?);
    }
    Ok(())
}

async fn remove_versions(
    connection: &mut SqliteConnection,
    rows: &[(String, String, i64, i64)],
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = json(rows)?;
    let done = sqlx::query!(
        "DELETE FROM version WHERE (namespace, owner, number, rev) IN \
         (SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3 FROM json_each(?)) \
         RETURNING namespace AS \"namespace!\", owner AS \"owner!\", number AS \"number!\"",
        rows,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(version_key(&row.namespace, &row.owner, row.number)?);
    }
    Ok(())
}

/// Takes the revisions after `top` and writes the change rows.
async fn insert_changes(
    connection: &mut SqliteConnection,
    time: Time,
    top: Revision,
    touches: &[&Touch],
) -> Result<(), StoreError> {
    if touches.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = (top.0 + 1..)
        .zip(touches)
        .map(|(revision, touch)| {
            let key = &touch.key;
            (
                revision,
                hex(key.namespace.as_slice()),
                key.kind.number(),
                &key.name,
                touch.version,
                touch.action,
            )
        })
        .collect();
    let last = rows.last().map_or(top.0, |row| row.0);
    let rows = json(&rows)?;
    sqlx::query!("UPDATE revision SET value = ? WHERE id = 1", last)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    let done = sqlx::query!(
        "INSERT INTO change (revision, at, namespace, kind, name, version, action) \
         SELECT value ->> 0, ?, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?)",
        time.0,
        rows,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    if done.rows_affected() == touches.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Incomplete)
    }
}
