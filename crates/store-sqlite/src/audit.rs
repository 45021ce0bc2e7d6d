//! Reading the audit log.

use strongroom_domain::audit::{Batch, BatchId, Class, OutcomeKind, StoredEntry};
use strongroom_domain::{NamespaceId, PrincipalId, Time};
use strongroom_ports::{At, AuditFilter, StoreError};

use crate::SqliteStore;
use crate::columns::{BatchRow, EntryRow, json};
use crate::error::store_error;
use crate::read::snapshot;
use crate::record::top;

macro_rules! entries_of {
    ($table:literal, $batch:expr, $transaction:ident) => {
        sqlx::query_as!(
            EntryRow,
            "SELECT batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source FROM "
                + $table
                + " WHERE batch = ? ORDER BY place",
            $batch,
        )
        .fetch_all(&mut *$transaction)
        .await
        .map_err(store_error)?
    };
}

impl SqliteStore {
    pub(crate) async fn find_entries(
        &self,
        now: Time,
        filter: &AuditFilter,
    ) -> Result<At<Vec<StoredEntry>>, StoreError> {
        let since = filter.since.map_or(i64::MIN, |time| time.0);
        let until = filter.until.map_or(i64::MAX, |time| time.0);
        let namespace = filter.namespace.as_ref().map(NamespaceId::as_slice);
        let principal = filter.principal.as_ref().map(PrincipalId::as_slice);
        let length = filter
            .path
            .as_ref()
            .map(|path| i64::try_from(path.chars().count()).unwrap_or(i64::MAX));
        let (at, batch, place) = filter
            .before
            .map_or((i64::MAX, i64::MAX, i64::MAX), |(at, batch, place)| {
                (at.0, batch.0, place)
            });
        snapshot!(self, now, transaction, {
            let rows = sqlx::query_as!(
                EntryRow,
                "SELECT batch AS \"batch!\", place AS \"place!\", at AS \"at!\", request AS \"request!\", dialect AS \"dialect!\", action AS \"action!\", outcome AS \"outcome!\", \
                 reason AS \"reason!\", principal, who AS \"who!\", namespace AS \"namespace!\", path AS \"path!\", version, digest, count AS \"count!\", accessor, source \
                 FROM (SELECT * FROM entry_reads UNION ALL SELECT * FROM entry_kept) \
                 WHERE at >= ?1 AND at < ?2 AND (?3 IS NULL OR namespace = ?3) AND (?4 IS NULL OR principal = ?4) \
                 AND (?5 IS NULL OR substr(path, 1, ?6) = ?5) AND (?7 IS NULL OR action = ?7) AND (?8 IS NULL OR outcome = ?8) \
                 AND (at, batch, place) < (?9, ?10, ?11) ORDER BY at DESC, batch DESC, place DESC LIMIT ?12",
                since,
                until,
                namespace,
                principal,
                filter.path,
                length,
                filter.action,
                filter.outcome,
                at,
                batch,
                place,
                filter.limit,
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_granted(
        &self,
        now: Time,
        actions: &[i16],
        since: Time,
        limit: u16,
    ) -> Result<At<Vec<StoredEntry>>, StoreError> {
        let actions = json(actions)?;
        let granted = OutcomeKind::Granted.number();
        snapshot!(self, now, transaction, {
            let rows = sqlx::query_as!(
                EntryRow,
                "SELECT batch AS \"batch!\", place AS \"place!\", at AS \"at!\", request AS \"request!\", dialect AS \"dialect!\", action AS \"action!\", outcome AS \"outcome!\", \
                 reason AS \"reason!\", principal, who AS \"who!\", namespace AS \"namespace!\", path AS \"path!\", version, digest, count AS \"count!\", accessor, source \
                 FROM entry_kept WHERE at >= ? AND action IN (SELECT value FROM json_each(?)) AND outcome = ? AND version IS NOT NULL \
                 ORDER BY at DESC, batch DESC, place DESC LIMIT ?",
                since.0,
                actions,
                granted,
                limit,
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_batches(
        &self,
        now: Time,
        after: BatchId,
        limit: u16,
    ) -> Result<At<Vec<Batch>>, StoreError> {
        snapshot!(self, now, transaction, {
            let rows = sqlx::query_as!(
                BatchRow,
                "SELECT id, class, at, count, root, previous, key, mac FROM audit_batch WHERE id > ? ORDER BY id LIMIT ?",
                after.0,
                limit,
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Batch::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_batch_entries(
        &self,
        now: Time,
        batch: &Batch,
    ) -> Result<At<Vec<StoredEntry>>, StoreError> {
        snapshot!(self, now, transaction, {
            let rows = match batch.class {
                Class::Reads => entries_of!("entry_reads", batch.id.0, transaction),
                Class::Kept => entries_of!("entry_kept", batch.id.0, transaction),
            };
            rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>()?
        })
    }
}
