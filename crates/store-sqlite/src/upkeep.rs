//! Upkeep, in transactions small enough that no request waits long behind them.

use std::collections::HashSet;

use strongroom_domain::audit::Class;
use strongroom_domain::{Kind, NamespaceId, ObjectId, PrincipalId, Record, Time};
use strongroom_ports::{BootRow, StoreError, Upkeep, UpkeepDone, only_counts};

use crate::SqliteStore;
use crate::apply::insert_records;
use crate::error::store_error;

/// Rows one call removes at most: a few milliseconds of the one writer.
const CHUNK: i64 = 500;

fn more(rows: u64) -> UpkeepDone {
    if rows >= CHUNK.unsigned_abs() {
        UpkeepDone::More
    } else {
        UpkeepDone::Done
    }
}

impl SqliteStore {
    pub(crate) async fn do_upkeep(&self, now: Time, work: Upkeep) -> Result<UpkeepDone, StoreError> {
        match work {
            Upkeep::Boot(row) => self.insert_boot(row).await,
            // SQLite has no partitions; entries are dropped by their index on time.
            Upkeep::MakePartitions => Ok(UpkeepDone::Done),
            Upkeep::DropEntries { class, before } => self.drop_entries(class, before).await,
            Upkeep::Prune { before } => self.prune(self.time(now), before).await,
            Upkeep::ErasePrincipal(principal) => self.erase(principal).await,
            Upkeep::Used { namespace, secrets } => self.note_uses(namespace, &secrets).await,
            Upkeep::Counted(rows) => self.insert_counts(&rows).await,
            Upkeep::ForgetUse { namespace, secret } => self.forget_use(namespace, secret).await,
        }
    }

    async fn insert_boot(&self, row: BootRow) -> Result<UpkeepDone, StoreError> {
        self.on_writer(async |connection| {
            let mac = row.mac.as_slice();
            let done = sqlx::query!(
                "INSERT INTO boot (boot, node, started_at, mac) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                row.boot,
                row.node,
                row.started_at.0,
                mac,
            )
            .execute(connection)
            .await
            .map_err(store_error)?;
            Ok(if done.rows_affected() == 1 {
                UpkeepDone::Done
            } else {
                UpkeepDone::Taken
            })
        })
        .await
    }

    async fn drop_entries(&self, class: Class, before: Time) -> Result<UpkeepDone, StoreError> {
        self.on_writer(async |connection| {
            let done = match class {
                Class::Reads => {
                    sqlx::query!(
                        "DELETE FROM entry_reads WHERE (batch, place) IN (SELECT batch, place FROM entry_reads WHERE at < ? ORDER BY at LIMIT ?)",
                        before.0,
                        CHUNK,
                    )
                    .execute(connection)
                    .await
                }
                Class::Kept => {
                    sqlx::query!(
                        "DELETE FROM entry_kept WHERE (batch, place) IN (SELECT batch, place FROM entry_kept WHERE at < ? ORDER BY at LIMIT ?)",
                        before.0,
                        CHUNK,
                    )
                    .execute(connection)
                    .await
                }
            };
            Ok(more(done.map_err(store_error)?.rows_affected()))
        })
        .await
    }

    async fn prune(&self, now: Time, before: Time) -> Result<UpkeepDone, StoreError> {
        self.on_writer(async |connection| {
            let mut most = 0;
            for kind in Kind::EXPIRING.map(Kind::number) {
                let removed = sqlx::query!(
                    "DELETE FROM record WHERE (namespace, kind, id) IN (SELECT namespace, kind, id FROM record WHERE kind = ? AND due <= ? LIMIT ?)",
                    kind,
                    now.0,
                    CHUNK,
                )
                .execute(&mut *connection)
                .await
                .map_err(store_error)?;
                most = most.max(removed.rows_affected());
            }
            let changes = sqlx::query!(
                "DELETE FROM change WHERE revision IN (SELECT revision FROM change WHERE at < ? ORDER BY revision LIMIT ?)",
                before.0,
                CHUNK,
            )
            .execute(connection)
            .await
            .map_err(store_error)?
            .rows_affected();
            Ok(more(most.max(changes)))
        })
        .await
    }

    async fn note_uses(&self, namespace: NamespaceId, secrets: &[(ObjectId, Time)]) -> Result<UpkeepDone, StoreError> {
        let namespace = namespace.as_slice();
        let rows: Vec<(String, i64)> = secrets.iter().map(|(secret, at)| (secret.to_string(), at.0)).collect();
        let rows = serde_json::to_string(&rows).map_err(|error| StoreError::Unavailable(error.into()))?;
        self.on_writer(async |connection| {
            sqlx::query!(
                "INSERT INTO secret_use (namespace, secret, used_at) \
                 SELECT ?, unhex(value ->> 0), value ->> 1 FROM json_each(?) WHERE true \
                 ON CONFLICT DO UPDATE SET used_at = max(used_at, excluded.used_at)",
                namespace,
                rows,
            )
            .execute(connection)
            .await
            .map_err(store_error)?;
            Ok(UpkeepDone::Done)
        })
        .await
    }

    async fn insert_counts(&self, rows: &[Record]) -> Result<UpkeepDone, StoreError> {
        only_counts(rows)?;
        self.on_writer(async |connection| {
            let rows = rows.iter().map(|row| (row, row.rev)).collect();
            insert_records(connection, rows, &mut HashSet::new()).await?;
            Ok(UpkeepDone::Done)
        })
        .await
    }

    async fn forget_use(&self, namespace: NamespaceId, secret: ObjectId) -> Result<UpkeepDone, StoreError> {
        let (namespace, secret) = (namespace.as_slice(), secret.as_slice());
        self.on_writer(async |connection| {
            sqlx::query!(
                "DELETE FROM secret_use WHERE namespace = ? AND secret = ?",
                namespace,
                secret,
            )
            .execute(connection)
            .await
            .map_err(store_error)?;
            Ok(UpkeepDone::Done)
        })
        .await
    }

    async fn erase(&self, principal: PrincipalId) -> Result<UpkeepDone, StoreError> {
        let principal = principal.as_slice();
        self.on_writer(async |connection| {
            let reads = sqlx::query!(
                "UPDATE entry_reads SET accessor = NULL, source = NULL WHERE (batch, place) IN \
                 (SELECT batch, place FROM entry_reads WHERE principal = ? AND (accessor IS NOT NULL OR source IS NOT NULL) LIMIT ?)",
                principal,
                CHUNK,
            )
            .execute(&mut *connection)
            .await
            .map_err(store_error)?
            .rows_affected();
            let kept = sqlx::query!(
                "UPDATE entry_kept SET accessor = NULL, source = NULL WHERE (batch, place) IN \
                 (SELECT batch, place FROM entry_kept WHERE principal = ? AND (accessor IS NOT NULL OR source IS NOT NULL) LIMIT ?)",
                principal,
                CHUNK,
            )
            .execute(connection)
            .await
            .map_err(store_error)?
            .rows_affected();
            Ok(if reads + kept > 0 { UpkeepDone::More } else { UpkeepDone::Done })
        })
        .await
    }
}
