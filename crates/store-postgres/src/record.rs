//! The statement a read waits for: batch, entries and the fence in one.

use sqlx::postgres::PgConnection;
use strongroom_domain::audit::{BatchId, Class, Lane, SealedBatch};
use strongroom_domain::{Digest, Fence, Moved, Revision, Time, Touch};
use strongroom_ports::StoreError;

use crate::PostgresStore;
use crate::columns::{EntryColumns, TouchRow};
use crate::error::{commit_error, store_error};

/// A fence asks for one more than it can carry.
pub(crate) const FENCE_LIMIT: usize = 100;

struct FenceRow {
    whole: i32,
    db_now: i64,
    top: i64,
    revision: Option<i64>,
    namespace: Option<Vec<u8>>,
    kind: Option<i16>,
    name: Option<String>,
    version: Option<i64>,
    action: Option<i16>,
}

/// A trigger can swallow an insert without an error. The statement commits by itself, so it must also fail by itself: it
/// divides by zero unless every row was written.
macro_rules! record_statement {
    ($table:literal, $sealed:expr, $since:expr, $connection:expr) => {{
        let batch = &$sealed.batch;
        let e = EntryColumns::of(&$sealed.entries);
        let entries = i64::try_from($sealed.entries.len()).unwrap_or(i64::MAX);
        sqlx::query_as!(
            FenceRow,
            "WITH b AS (INSERT INTO strongroom.audit_batch (id, class, at, count, root, previous, key, mac) "
                + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING 1), "
                + "e AS (INSERT INTO strongroom."
                + $table
                + " (batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source) "
                + "SELECT $1, * FROM UNNEST($9::bigint[], $10::bigint[], $11::bytea[], $12::smallint[], $13::smallint[], "
                + "$14::smallint[], $15::smallint[], $16::bytea[], $17::bytea[], $18::bytea[], $19::text[], $20::bigint[], $21::bytea[], "
                + "$22::bigint[], $23::text[], $24::text[]) RETURNING 1) "
                + "SELECT f.whole AS \"whole!\", f.db_now AS \"db_now!\", f.top AS \"top!\", "
                + "c.revision AS \"revision?\", c.namespace AS \"namespace?\", c.kind AS \"kind?\", c.name AS \"name?\", c.version AS \"version?\", c.action AS \"action?\" "
                + "FROM (SELECT 1 / (CASE WHEN (SELECT count(*) FROM b) = 1 AND (SELECT count(*) FROM e) = $26 THEN 1 ELSE 0 END) AS whole, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS db_now, "
                + "(SELECT value FROM strongroom.revision WHERE id = 1) AS top) f "
                + "LEFT JOIN LATERAL (SELECT * FROM strongroom.change WHERE revision > $25 ORDER BY revision LIMIT 101) c ON true",
            batch.id.0,
            batch.class.number(),
            batch.at.0,
            batch.count,
            &batch.root.0,
            &batch.previous.0,
            batch.key,
            &batch.mac.0,
            &e.place,
            &e.at,
            e.request as _,
            &e.dialect,
            &e.action,
            &e.outcome,
            &e.reason,
            e.principal as _,
            e.who as _,
            e.namespace as _,
            e.path as _,
            e.version as _,
            e.digest as _,
            &e.count,
            e.accessor as _,
            e.source as _,
            $since.0,
            entries,
        )
        .fetch_all(&mut *$connection)
        .await
    }};
}

impl PostgresStore {
    pub(crate) async fn record_batch(
        &self,
        lane: Lane,
        sealed: &SealedBatch,
        since: Revision,
    ) -> Result<Fence, StoreError> {
        self.on_lane(lane, async |connection| {
            insert_batch(connection, sealed, since).await.map_err(commit_error)
        })
        .await
        .and_then(|rows| fence_of(rows, since))
    }

    /// A unique batch id means this insert waits for a commit still under way, and then either fails or stands alone.
    pub(crate) async fn settle_batch(&self, lane: Lane, void: &SealedBatch) -> Result<Digest, StoreError> {
        match self.record_batch(lane, void, Revision(i64::MAX)).await {
            Ok(_) => Ok(void.batch.mac),
            Err(StoreError::BatchTaken) => self.standing(void.batch.id).await,
            Err(StoreError::Unknown(source)) => Err(StoreError::Unavailable(source)),
            Err(other) => Err(other),
        }
    }
}

impl PostgresStore {
    async fn standing(&self, id: BatchId) -> Result<Digest, StoreError> {
        let mac = sqlx::query_scalar!("SELECT mac FROM strongroom.audit_batch WHERE id = $1", id.0)
            .fetch_one(&self.pool)
            .await
            .map_err(store_error)?;
        Digest::from_slice(&mac).ok_or(StoreError::Malformed("audit_batch.mac"))
    }
}

async fn insert_batch(
    connection: &mut PgConnection,
    sealed: &SealedBatch,
    since: Revision,
) -> Result<Vec<FenceRow>, sqlx::Error> {
    match sealed.batch.class {
        Class::Reads => record_statement!("entry_reads", sealed, since, connection),
        Class::Kept => record_statement!("entry_kept", sealed, since, connection),
    }
}

fn fence_of(rows: Vec<FenceRow>, since: Revision) -> Result<Fence, StoreError> {
    let Some(first) = rows.first() else {
        return Err(StoreError::Malformed("fence"));
    };
    debug_assert_eq!(first.whole, 1);
    let (db_now, top) = (Time(first.db_now), Revision(first.top));
    let rows = rows.into_iter().map(|row| TouchRow {
        revision: row.revision,
        namespace: row.namespace,
        kind: row.kind,
        name: row.name,
        version: row.version,
        action: row.action,
    });
    Ok(Fence {
        db_now,
        top,
        moved: moved(touches(rows)?, since, top, FENCE_LIMIT),
    })
}

pub(crate) async fn fence(
    connection: &mut PgConnection,
    since: Revision,
    taken: Option<Revision>,
    limit: usize,
) -> Result<Fence, StoreError> {
    let more = i64::try_from(limit).map_err(|_| StoreError::Malformed("limit"))? + 1;
    let (db_now, top, touches) = touches_above(connection, since, more).await?;
    let top = taken.unwrap_or(top);
    Ok(Fence {
        db_now,
        top,
        moved: moved(touches, since, top, limit),
    })
}

/// The database's time, the newest revision, and the first changes above `since`.
pub(crate) async fn touches_above(
    connection: &mut PgConnection,
    since: Revision,
    limit: i64,
) -> Result<(Time, Revision, Vec<Touch>), StoreError> {
    let rows = sqlx::query!(
        "SELECT f.db_now AS \"db_now!\", f.top AS \"top!\", c.revision AS \"revision?\", c.namespace AS \"namespace?\", c.kind AS \"kind?\", \
         c.name AS \"name?\", c.version AS \"version?\", c.action AS \"action?\" \
         FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS db_now, (SELECT value FROM strongroom.revision WHERE id = 1) AS top) f \
         LEFT JOIN LATERAL (SELECT * FROM strongroom.change WHERE revision > $1 ORDER BY revision LIMIT $2) c ON true",
        since.0,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let Some((db_now, top)) = rows.first().map(|row| (Time(row.db_now), Revision(row.top))) else {
        return Err(StoreError::Malformed("fence"));
    };
    let rows = rows.into_iter().map(|row| TouchRow {
        revision: row.revision,
        namespace: row.namespace,
        kind: row.kind,
        name: row.name,
        version: row.version,
        action: row.action,
    });
    Ok((db_now, top, touches(rows)?))
}

/// Revisions have no gap: fewer rows than revisions above `since` mean that older ones were pruned, and a newest revision
/// below `since` that the database fell back.
fn moved(touches: Vec<Touch>, since: Revision, top: Revision, limit: usize) -> Moved {
    let whole = i64::try_from(touches.len()) == Ok(top.0.saturating_sub(since.0));
    if whole && touches.len() <= limit {
        Moved::Touches(touches)
    } else {
        Moved::TooMany
    }
}

fn touches(rows: impl Iterator<Item = TouchRow>) -> Result<Vec<Touch>, StoreError> {
    rows.filter_map(|row| row.touch().transpose()).collect()
}

/// The batch within a transaction that goes on: what it returns of the fence is not needed.
pub(crate) async fn insert_batch_only(connection: &mut PgConnection, sealed: &SealedBatch) -> Result<(), StoreError> {
    let rows = insert_batch(connection, sealed, Revision(i64::MAX))
        .await
        .map_err(store_error)?;
    fence_of(rows, Revision(i64::MAX)).map(|_| ())
}
