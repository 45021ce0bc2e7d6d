//! Batch and entries in one transaction, with the fence.

use sqlx::sqlite::SqliteConnection;
use strongroom_domain::audit::{BatchId, Class, SealedBatch};
use strongroom_domain::{Digest, Fence, Moved, Revision, Time, Touch};
use strongroom_ports::StoreError;

use crate::SqliteStore;
use crate::columns::{TouchRow, entries};
use crate::error::{commit_error, store_error};

const FENCE_LIMIT: i64 = 100;

macro_rules! insert_entries {
    ($table:literal, $sealed:expr, $connection:expr) => {{
        let rows = entries(&$sealed.entries)?;
        sqlx::query!(
            "INSERT INTO "
                + $table
                + " (batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source) "
                + "SELECT ?, value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6, unhex(value ->> 7), "
                + "unhex(value ->> 8), unhex(value ->> 9), value ->> 10, value ->> 11, unhex(value ->> 12), value ->> 13, value ->> 14, value ->> 15 "
                + "FROM json_each(?)",
            $sealed.batch.id.0,
            rows,
        )
        .execute($connection)
        .await
        .map_err(store_error)?
        .rows_affected()
    }};
}

/// Batch and entries, within the caller's transaction; also keeps the high-water mark of time.
pub(crate) async fn insert_batch(
    connection: &mut SqliteConnection,
    sealed: &SealedBatch,
    time: Time,
) -> Result<(), StoreError> {
    let batch = &sealed.batch;
    let (class, root, previous, mac) = (
        batch.class.number(),
        batch.root.as_slice(),
        batch.previous.as_slice(),
        batch.mac.as_slice(),
    );
    let done = sqlx::query!(
        "INSERT INTO audit_batch (id, class, at, count, root, previous, key, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        batch.id.0,
        class,
        batch.at.0,
        batch.count,
        root,
        previous,
        batch.key,
        mac,
    )
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    // A trigger can swallow an insert without an error.
    if done.rows_affected() != 1 {
        return Err(StoreError::Incomplete);
    }
    let expected = sealed.entries.len() as u64;
    if expected > 0 {
        let written = match batch.class {
            Class::Reads => insert_entries!("entry_reads", sealed, &mut *connection),
            Class::Kept => insert_entries!("entry_kept", sealed, &mut *connection),
        };
        if written != expected {
            return Err(StoreError::Incomplete);
        }
    }
    let mark = time.0.to_string();
    sqlx::query!("UPDATE meta SET value = ? WHERE key = 'high_water'", mark)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(crate) async fn top(connection: &mut SqliteConnection) -> Result<Revision, StoreError> {
    let value = sqlx::query_scalar!("SELECT value FROM revision WHERE id = 1")
        .fetch_one(connection)
        .await;
    value.map(Revision).map_err(store_error)
}

/// Revisions have no gap: fewer rows than revisions above `since` mean that older ones were pruned, and a newest revision
/// below `since` that the database fell back.
pub(crate) async fn moved(
    connection: &mut SqliteConnection,
    since: Revision,
    top: Revision,
    limit: i64,
) -> Result<Moved, StoreError> {
    let expected = top.0.saturating_sub(since.0);
    if expected < 0 || expected > limit {
        return Ok(Moved::TooMany);
    }
    let touches = touches_above(connection, since, limit).await?;
    Ok(if i64::try_from(touches.len()) == Ok(expected) {
        Moved::Touches(touches)
    } else {
        Moved::TooMany
    })
}

pub(crate) async fn touches_above(
    connection: &mut SqliteConnection,
    since: Revision,
    limit: i64,
) -> Result<Vec<Touch>, StoreError> {
    let rows = sqlx::query_as!(
        TouchRow,
        "SELECT revision, namespace, kind, name, version, action FROM change WHERE revision > ? ORDER BY revision LIMIT ?",
        since.0,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    rows.into_iter().map(Touch::try_from).collect()
}

/// The fence as of this connection's transaction.
pub(crate) async fn fence(connection: &mut SqliteConnection, since: Revision, time: Time) -> Result<Fence, StoreError> {
    let top = top(&mut *connection).await?;
    // The usual case costs no query.
    let moved = if since == top {
        Moved::Touches(Vec::new())
    } else {
        moved(connection, since, top, FENCE_LIMIT).await?
    };
    Ok(Fence {
        db_now: time,
        top,
        moved,
    })
}

impl SqliteStore {
    pub(crate) async fn record_batch(
        &self,
        now: Time,
        sealed: &SealedBatch,
        since: Revision,
    ) -> Result<Fence, StoreError> {
        let time = self.time(now);
        self.on_writer(async |connection| {
            let mut transaction = sqlx::Connection::begin_with(connection, "BEGIN IMMEDIATE")
                .await
                .map_err(store_error)?;
            insert_batch(&mut transaction, sealed, time).await?;
            let fence = fence(&mut transaction, since, time).await?;
            transaction.commit().await.map_err(commit_error)?;
            Ok(fence)
        })
        .await
    }

    pub(crate) async fn settle_batch(&self, now: Time, void: &SealedBatch) -> Result<Digest, StoreError> {
        match self.record_batch(now, void, Revision(i64::MAX)).await {
            Ok(_) => Ok(void.batch.mac),
            Err(StoreError::BatchTaken) => self.standing(void.batch.id).await,
            Err(StoreError::Unknown(source)) => Err(StoreError::Unavailable(source)),
            Err(other) => Err(other),
        }
    }

    async fn standing(&self, id: BatchId) -> Result<Digest, StoreError> {
        let mac = sqlx::query_scalar!("SELECT mac FROM audit_batch WHERE id = ?", id.0)
            .fetch_one(&self.readers)
            .await
            .map_err(store_error)?;
        Digest::from_slice(&mac).ok_or(StoreError::Malformed("audit_batch.mac"))
    }
}
