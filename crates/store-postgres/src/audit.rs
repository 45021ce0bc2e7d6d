//! Reading the audit log.

use strongroom_domain::audit::{Batch, BatchId, Class, OutcomeKind, StoredEntry};
use strongroom_domain::{NamespaceId, PrincipalId, Revision, Time};
use strongroom_ports::{At, AuditFilter, StoreError};

use crate::PostgresStore;
use crate::columns::{BatchRow, EntryRow};
use crate::error::store_error;
use crate::read::snapshot;

macro_rules! entries_of {
    ($table:literal, $batch:expr, $transaction:ident) => {
        sqlx::query_as!(
            EntryRow,
            "SELECT batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source FROM strongroom."
                + $table
                + " WHERE batch = $1 ORDER BY place",
            $batch,
        )
        .fetch_all(&mut *$transaction)
        .await
        .map_err(store_error)?
    };
}

impl PostgresStore {
    pub(crate) async fn find_entries(&self, filter: &AuditFilter) -> Result<At<Vec<StoredEntry>>, StoreError> {
        let before = filter.before;
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                EntryRow,
                "SELECT batch AS \"batch!\", place AS \"place!\", at AS \"at!\", request AS \"request!\", dialect AS \"dialect!\", action AS \"action!\", \
                 outcome AS \"outcome!\", reason AS \"reason!\", principal, who AS \"who!\", namespace AS \"namespace!\", path AS \"path!\", version, digest, \
                 count AS \"count!\", accessor, source \
                 FROM (SELECT * FROM strongroom.entry_reads UNION ALL SELECT * FROM strongroom.entry_kept) e \
                 WHERE at >= $1 AND at < $2 AND ($3::bytea IS NULL OR namespace = $3) AND ($4::bytea IS NULL OR principal = $4) \
                 AND ($5::text IS NULL OR starts_with(path, $5)) AND ($6::smallint IS NULL OR action = $6) \
                 AND ($7::smallint IS NULL OR outcome = $7) AND (at, batch, place) < ($8, $9, $10) \
                 ORDER BY at DESC, batch DESC, place DESC LIMIT $11",
                filter.since.map_or(i64::MIN, |time| time.0),
                filter.until.map_or(i64::MAX, |time| time.0),
                filter.namespace.as_ref().map(NamespaceId::as_slice),
                filter.principal.as_ref().map(PrincipalId::as_slice),
                filter.path,
                filter.action,
                filter.outcome,
                before.map_or(i64::MAX, |(at, _, _)| at.0),
                before.map_or(i64::MAX, |(_, batch, _)| batch.0),
                before.map_or(i64::MAX, |(_, _, place)| place),
                i64::from(filter.limit),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_granted(
        &self,
        actions: &[i16],
        since: Time,
        limit: u16,
    ) -> Result<At<Vec<StoredEntry>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                EntryRow,
                "SELECT batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source \
                 FROM strongroom.entry_kept WHERE at >= $1 AND action = ANY($2) AND outcome = $3 AND version IS NOT NULL \
                 ORDER BY at DESC, batch DESC, place DESC LIMIT $4",
                since.0,
                actions,
                OutcomeKind::Granted.number(),
                i64::from(limit),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_batches(&self, after: BatchId, limit: u16) -> Result<At<Vec<Batch>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                BatchRow,
                "SELECT id, class, at, count, root, previous, key, mac FROM strongroom.audit_batch WHERE id > $1 ORDER BY id LIMIT $2",
                after.0,
                i64::from(limit),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Batch::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_batch_entries(&self, batch: &Batch) -> Result<At<Vec<StoredEntry>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = match batch.class {
                Class::Reads => entries_of!("entry_reads", batch.id.0, transaction),
                Class::Kept => entries_of!("entry_kept", batch.id.0, transaction),
            };
            rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>()?
        })
    }
}
