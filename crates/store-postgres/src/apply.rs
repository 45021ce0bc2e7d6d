//! A group of changes in one transaction.

use std::collections::HashSet;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use strongroom_domain::audit::Lane;
use strongroom_domain::change::overlapping;
use strongroom_domain::row::RowKey;
use strongroom_domain::{
    Change, Fence, Kind, NamespaceId, ObjectId, Outcome, Record, Revision, Row, RowRev, Time, Touch, Version, Write,
};
use strongroom_ports::{Applied, StoreError, Verdict};

use crate::PostgresStore;
use crate::columns::{RecordColumns, VersionColumns};
use crate::error::{commit_error, store_error};
use crate::record::{FENCE_LIMIT, fence, insert_batch_only};

type Seal<'a> = &'a mut (dyn FnMut(&Fence, &[Option<Outcome>]) -> Verdict + Send);

enum Try {
    Committed(Fence),
    /// These changes do not go in: run the group again without them.
    Refused(Vec<usize>, Option<Outcome>),
    /// Nothing is left to write.
    Empty(Fence),
}

impl PostgresStore {
    pub(crate) async fn apply_group(
        &self,
        lane: Lane,
        now: Time,
        group: &[Change],
        since: Revision,
        seal: Seal<'_>,
    ) -> Result<Applied, StoreError> {
        let mut outcomes = vec![Some(Outcome::Applied); group.len()];
        self.on_lane(lane, async move |connection| {
            loop {
                match attempt(connection, now, group, since, &outcomes, &mut *seal).await? {
                    Try::Committed(fence) | Try::Empty(fence) => {
                        return Ok::<_, StoreError>(Applied { outcomes, fence });
                    }
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
    connection: &mut PgConnection,
    now: Time,
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
        return Ok(Try::Empty(fence(connection, since, None, FENCE_LIMIT).await?));
    }
    let twice = overlapping(standing.iter().copied());
    if !twice.is_empty() {
        return Ok(Try::Refused(twice, Some(Outcome::Conflict)));
    }
    let mut transaction = connection.begin().await.map_err(store_error)?;
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
    let touches: Vec<&Touch> = standing.iter().flat_map(|(_, change)| &change.touches).collect();
    let top = take_revisions(&mut transaction, touches.len()).await?;
    // A statement of its own: the counter's UPDATE may have waited, and its snapshot sees none of what it waited for.
    let fence = fence(&mut transaction, since, top, FENCE_LIMIT).await?;
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
            insert_changes(&mut transaction, now, fence.top, &touches).await?;
            insert_batch_only(&mut transaction, &sealed).await?;
            transaction.commit().await.map_err(commit_error)?;
            Ok(Try::Committed(fence))
        }
    }
}

/// All writes of all changes, one statement for each table and kind of write; gives the keys that were written.
async fn write_rows(connection: &mut PgConnection, group: &[(usize, &Change)]) -> Result<HashSet<RowKey>, StoreError> {
    let mut writes: Vec<&Write> = group.iter().flat_map(|(_, change)| &change.writes).collect();
    writes.sort_by_key(|write| write.key());
    let mut written = HashSet::with_capacity(writes.len());
    let (mut replaced, mut inserted, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut new_versions, mut old_versions, mut removed_versions) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        match write {
            Write::Replace(rev, Row::Record(row)) => replaced.push((row, *rev)),
            Write::Insert(Row::Record(row)) => inserted.push((row, row.rev)),
            Write::Remove(RowKey::Record(namespace, kind, id), rev) => removed.push((*namespace, *kind, *id, *rev)),
            Write::Replace(rev, Row::Version(row)) => old_versions.push((row, *rev)),
            Write::Insert(Row::Version(row)) => new_versions.push((row, row.rev)),
            Write::Remove(RowKey::Version(namespace, owner, number), rev) => {
                removed_versions.push((*namespace, *owner, *number, *rev));
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

fn record_key(namespace: &[u8], kind: i16, id: &[u8]) -> Result<RowKey, StoreError> {
    match (
        NamespaceId::from_slice(namespace),
        Kind::from_number(kind),
        ObjectId::from_slice(id),
    ) {
        (Some(namespace), Some(kind), Some(id)) => Ok(RowKey::Record(namespace, kind, id)),
        _ => Err(StoreError::Malformed("record key")),
    }
}

fn version_key(namespace: &[u8], owner: &[u8], number: i64) -> Result<RowKey, StoreError> {
    match (NamespaceId::from_slice(namespace), ObjectId::from_slice(owner)) {
        (Some(namespace), Some(owner)) => Ok(RowKey::Version(namespace, owner, number)),
        _ => Err(StoreError::Malformed("version key")),
    }
}

/// Kind and namespace are compared as expressions, so that no plan takes the index by name, which starts with them, and
/// reads through all of a kind to find one id.
async fn replace_records(
    connection: &mut PgConnection,
    rows: Vec<(&Record, RowRev)>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let c = RecordColumns::of(rows);
    let done = checked!(query!(
        "UPDATE strongroom.record r SET name = u.name, rev = u.rev, due = u.due, format = u.format, body = u.body, mac = u.mac" [", writer = u.writer"] " \
         FROM UNNEST($1::bytea[], $2::smallint[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bigint[]" [", $11::bigint[]"] ") \
         AS u(namespace, kind, id, name, rev, due, format, body, mac, expected" [", writer"] ") \
         WHERE r.id = u.id AND r.kind + 0 = u.kind AND r.namespace || '' = u.namespace AND r.rev = u.expected \
         RETURNING r.namespace, r.kind, r.id",
        c.namespace as _, &c.kind, c.id as _, c.name as _, &c.rev, c.due as _, &c.format, c.body as _, c.mac as _, &c.expected; c.writer as _
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
    connection: &mut PgConnection,
    rows: Vec<(&Record, RowRev)>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let c = RecordColumns::of(rows);
    let done = checked!(query!(
        "INSERT INTO strongroom.record (namespace, kind, id, name, rev, due, format, body, mac" [", writer"] ") \
         SELECT * FROM UNNEST($1::bytea[], $2::smallint[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::smallint[], $8::bytea[], $9::bytea[]" [", $10::bigint[]"] ") \
         ON CONFLICT DO NOTHING RETURNING namespace, kind, id",
        c.namespace as _, &c.kind, c.id as _, c.name as _, &c.rev, c.due as _, &c.format, c.body as _, c.mac as _; c.writer as _
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
    connection: &mut PgConnection,
    rows: &[(NamespaceId, Kind, ObjectId, RowRev)],
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let namespaces: Vec<&[u8]> = rows.iter().map(|row| row.0.as_slice()).collect();
    let kinds: Vec<i16> = rows.iter().map(|row| row.1.number()).collect();
    let ids: Vec<&[u8]> = rows.iter().map(|row| row.2.as_slice()).collect();
    let revs: Vec<i64> = rows.iter().map(|row| row.3.0).collect();
    let done = sqlx::query!(
        "DELETE FROM strongroom.record r USING UNNEST($1::bytea[], $2::smallint[], $3::bytea[], $4::bigint[]) AS u(namespace, kind, id, expected) \
         WHERE r.id = u.id AND r.kind + 0 = u.kind AND r.namespace || '' = u.namespace AND r.rev = u.expected RETURNING r.namespace, r.kind, r.id",
        namespaces as _, &kinds, ids as _, &revs,
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
    connection: &mut PgConnection,
    rows: Vec<(&Version, RowRev)>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let c = VersionColumns::of(rows);
    let done = checked!(query!(
        "INSERT INTO strongroom.version (namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] ") \
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[], $5::smallint[], $6::smallint[], $7::bigint[], $8::bytea[], $9::bytea[], $10::bytea[]" [", $11::bigint[]"] ") \
         ON CONFLICT DO NOTHING RETURNING namespace, owner, number",
        c.namespace as _, c.owner as _, &c.number, &c.rev, &c.format, &c.payload, &c.epoch, c.salt as _, c.commitment as _, c.sealed as _; c.writer as _
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
    connection: &mut PgConnection,
    rows: Vec<(&Version, RowRev)>,
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let c = VersionColumns::of(rows);
    let done = checked!(query!(
        "UPDATE strongroom.version v SET rev = u.rev, format = u.format, payload = u.payload, epoch = u.epoch, salt = u.salt, commitment = u.commitment, sealed = u.sealed" [", writer = u.writer"] " \
         FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[], $5::smallint[], $6::smallint[], $7::bigint[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bigint[]" [", $12::bigint[]"] ") \
         AS u(namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed, expected" [", writer"] ") \
         WHERE v.namespace = u.namespace AND v.owner = u.owner AND v.number = u.number AND v.rev = u.expected \
         RETURNING v.namespace, v.owner, v.number",
        c.namespace as _, c.owner as _, &c.number, &c.rev, &c.format, &c.payload, &c.epoch, c.salt as _, c.commitment as _, c.sealed as _, &c.expected; c.writer as _
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
    connection: &mut PgConnection,
    rows: &[(NamespaceId, ObjectId, i64, RowRev)],
    written: &mut HashSet<RowKey>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let namespaces: Vec<&[u8]> = rows.iter().map(|row| row.0.as_slice()).collect();
    let owners: Vec<&[u8]> = rows.iter().map(|row| row.1.as_slice()).collect();
    let numbers: Vec<i64> = rows.iter().map(|row| row.2).collect();
    let revs: Vec<i64> = rows.iter().map(|row| row.3.0).collect();
    let done = sqlx::query!(
        "DELETE FROM strongroom.version v USING UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[]) AS u(namespace, owner, number, expected) \
         WHERE v.namespace = u.namespace AND v.owner = u.owner AND v.number = u.number AND v.rev = u.expected RETURNING v.namespace, v.owner, v.number",
        namespaces as _, owners as _, &numbers, &revs,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    for row in done {
        written.insert(version_key(&row.namespace, &row.owner, row.number)?);
    }
    Ok(())
}

/// Takes `count` revisions; gives the newest before them. The counter's row stays locked through COMMIT.
async fn take_revisions(connection: &mut PgConnection, count: usize) -> Result<Option<Revision>, StoreError> {
    if count == 0 {
        return Ok(None);
    }
    let count = i64::try_from(count).map_err(|_| StoreError::Malformed("group"))?;
    let value = sqlx::query_scalar!(
        "UPDATE strongroom.revision SET value = value + $1 WHERE id = 1 RETURNING value",
        count
    )
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Ok(Some(Revision(value - count)))
}

async fn insert_changes(
    connection: &mut PgConnection,
    now: Time,
    top: Revision,
    touches: &[&Touch],
) -> Result<(), StoreError> {
    if touches.is_empty() {
        return Ok(());
    }
    let revisions: Vec<i64> = (top.0 + 1..).take(touches.len()).collect();
    let namespaces: Vec<&[u8]> = touches.iter().map(|touch| touch.key.namespace.as_slice()).collect();
    let kinds: Vec<i16> = touches.iter().map(|touch| touch.key.kind.number()).collect();
    let names: Vec<&str> = touches.iter().map(|touch| touch.key.name.as_str()).collect();
    let versions: Vec<Option<i64>> = touches.iter().map(|touch| touch.version).collect();
    let actions: Vec<i16> = touches.iter().map(|touch| touch.action).collect();
    let done = sqlx::query!(
        "INSERT INTO strongroom.change (revision, at, namespace, kind, name, version, action) \
         SELECT u.revision, $1, u.namespace, u.kind, u.name, u.version, u.action \
         FROM UNNEST($2::bigint[], $3::bytea[], $4::smallint[], $5::text[], $6::bigint[], $7::smallint[]) AS u(revision, namespace, kind, name, version, action)",
        now.0, &revisions, namespaces as _, &kinds, names as _, versions as _, &actions,
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
