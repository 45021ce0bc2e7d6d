//! Upkeep: what no request's answer rests on.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use strongroom_domain::audit::Class;
use strongroom_domain::{Kind, NamespaceId, ObjectId, PrincipalId, Record, Time};
use strongroom_ports::{BootRow, StoreError, Upkeep, UpkeepDone, only_counts};

use crate::PostgresStore;
use crate::apply::insert_records;
use crate::error::store_error;

/// Rows one call removes at most, to stay far within the statement's time limit.
const CHUNK: i64 = 1000;
const MONTHS_AHEAD: usize = 3;

fn table(class: Class) -> &'static str {
    match class {
        Class::Reads => "entry_reads",
        Class::Kept => "entry_kept",
    }
}

fn more(rows: u64) -> UpkeepDone {
    if rows >= CHUNK.unsigned_abs() {
        UpkeepDone::More
    } else {
        UpkeepDone::Done
    }
}

impl PostgresStore {
    pub(crate) async fn do_upkeep(&self, now: Time, work: Upkeep) -> Result<UpkeepDone, StoreError> {
        match work {
            Upkeep::Boot(row) => self.insert_boot(row).await,
            Upkeep::MakePartitions => self.make_partitions(now).await,
            Upkeep::DropEntries { class, before } => self.drop_entries(class, before).await,
            Upkeep::Prune { before } => self.prune(now, before).await,
            Upkeep::ErasePrincipal(principal) => self.erase(principal).await,
            Upkeep::Used { namespace, secrets } => self.note_uses(namespace, &secrets).await,
            Upkeep::Counted(rows) => self.insert_counts(&rows).await,
            Upkeep::ForgetUse { namespace, secret } => self.forget_use(namespace, secret).await,
        }
    }

    async fn insert_boot(&self, row: BootRow) -> Result<UpkeepDone, StoreError> {
        let done = sqlx::query!(
            "INSERT INTO strongroom.boot (boot, node, started_at, mac) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            row.boot,
            row.node,
            row.started_at.0,
            &row.mac.0,
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(if done.rows_affected() == 1 {
            UpkeepDone::Done
        } else {
            UpkeepDone::Taken
        })
    }

    /// A partition is made as a table and then attached: that takes a lighter lock on the parent than making it in place.
    pub(crate) async fn make_partitions(&self, now: Time) -> Result<UpkeepDone, StoreError> {
        for class in Class::ALL {
            let mut month = now;
            for _ in 0..=MONTHS_AHEAD {
                self.make_partition(class, month).await?;
                month = month.month().1;
            }
        }
        Ok(UpkeepDone::Done)
    }

    pub(crate) async fn make_partition(&self, class: Class, month: Time) -> Result<(), StoreError> {
        let parent = table(class);
        let (start, end) = month.month();
        let name = format!("{parent}_{}", month.month_name());
        let there = sqlx::query_scalar!(
            "SELECT to_regclass('strongroom.' || $1) IS NOT NULL AS \"there!\"",
            name
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        if there {
            return Ok(());
        }
        match self.attach_partition(parent, &name, start, end).await {
            // Another node made it meanwhile; or entries of that month lie in the default partition already.
            Err(sqlx::Error::Database(error))
                if matches!(
                    error.code().as_deref(),
                    Some("42P07" | "42710" | "23514" | "42P17" | "23505")
                ) =>
            {
                Ok(())
            }
            other => other.map_err(store_error),
        }
    }

    async fn attach_partition(&self, parent: &str, name: &str, start: Time, end: Time) -> Result<(), sqlx::Error> {
        // Names and bounds are made of our own literals and numbers.
        let statements = format!(
            "CREATE TABLE strongroom.{name} (LIKE strongroom.{parent}); \
             ALTER TABLE strongroom.{parent} ATTACH PARTITION strongroom.{name} FOR VALUES FROM ({}) TO ({})",
            start.0, end.0
        );
        let mut transaction = self.begin("BEGIN").await?;
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Whole partitions first, then what is left in the others and in the default one.
    async fn drop_entries(&self, class: Class, before: Time) -> Result<UpkeepDone, StoreError> {
        let parent = table(class);
        let (month, _) = before.month();
        let oldest_kept = format!("{parent}_{}", month.month_name());
        let names = sqlx::query_scalar!(
            "SELECT c.relname::text AS \"name!\" FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = ('strongroom.' || $1)::regclass AND c.relname <> $1 || '_default' AND c.relname < $2::text ORDER BY 1",
            parent,
            oldest_kept,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        for name in names {
            let digits = name
                .strip_prefix(parent)
                .is_some_and(|rest| rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit()));
            if digits {
                let statement = format!("DROP TABLE strongroom.{name}");
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&self.pool)
                    .await
                    .map_err(store_error)?;
            }
        }
        let rest = match class {
            Class::Reads => {
                sqlx::query!("DELETE FROM strongroom.entry_reads WHERE at < $1", before.0)
                    .execute(&self.pool)
                    .await
            }
            Class::Kept => {
                sqlx::query!("DELETE FROM strongroom.entry_kept WHERE at < $1", before.0)
                    .execute(&self.pool)
                    .await
            }
        };
        rest.map_err(store_error)?;
        Ok(UpkeepDone::Done)
    }

    async fn prune(&self, now: Time, before: Time) -> Result<UpkeepDone, StoreError> {
        let mut most = 0;
        for kind in Kind::EXPIRING {
            let removed = sqlx::query!(
                "DELETE FROM strongroom.record WHERE ctid IN \
             (SELECT ctid FROM strongroom.record WHERE kind = $1 AND due <= $2 LIMIT $3)",
                kind.number(),
                now.0,
                CHUNK,
            )
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
            most = most.max(removed.rows_affected());
        }
        let changes = sqlx::query!(
            "DELETE FROM strongroom.change WHERE revision IN (SELECT revision FROM strongroom.change WHERE at < $1 ORDER BY revision LIMIT $2)",
            before.0,
            CHUNK,
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?
        .rows_affected();
        Ok(more(most.max(changes)))
    }

    async fn note_uses(&self, namespace: NamespaceId, secrets: &[(ObjectId, Time)]) -> Result<UpkeepDone, StoreError> {
        let ids: Vec<&[u8]> = secrets.iter().map(|(secret, _)| secret.as_slice()).collect();
        let times: Vec<i64> = secrets.iter().map(|(_, at)| at.0).collect();
        // In one order, so that two nodes cannot wait for each other.
        sqlx::query!(
            "INSERT INTO strongroom.secret_use AS s (namespace, secret, used_at) \
             SELECT $1, u.secret, u.used_at FROM UNNEST($2::bytea[], $3::bigint[]) AS u(secret, used_at) ORDER BY u.secret \
             ON CONFLICT (secret, namespace) DO UPDATE SET used_at = GREATEST(s.used_at, excluded.used_at)",
            namespace.as_slice(),
            ids as _,
            &times,
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(UpkeepDone::Done)
    }

    async fn insert_counts(&self, rows: &[Record]) -> Result<UpkeepDone, StoreError> {
        only_counts(rows)?;
        let rows = rows.iter().map(|row| (row, row.rev)).collect();
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        insert_records(&mut connection, rows, &mut HashSet::new()).await?;
        Ok(UpkeepDone::Done)
    }

    async fn forget_use(&self, namespace: NamespaceId, secret: ObjectId) -> Result<UpkeepDone, StoreError> {
        sqlx::query!(
            "DELETE FROM strongroom.secret_use WHERE secret = $1 AND namespace = $2",
            secret.as_slice(),
            namespace.as_slice(),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(UpkeepDone::Done)
    }

    async fn erase(&self, principal: PrincipalId) -> Result<UpkeepDone, StoreError> {
        let reads = sqlx::query!(
            "UPDATE strongroom.entry_reads SET accessor = NULL, source = NULL WHERE principal = $1 AND (accessor IS NOT NULL OR source IS NOT NULL)",
            principal.as_slice(),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?
        .rows_affected();
        let kept = sqlx::query!(
            "UPDATE strongroom.entry_kept SET accessor = NULL, source = NULL WHERE principal = $1 AND (accessor IS NOT NULL OR source IS NOT NULL)",
            principal.as_slice(),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?
        .rows_affected();
        // An update that fits its time limit is whole; entries that arrive meanwhile make the next call find more.
        Ok(if reads + kept > 0 {
            UpkeepDone::More
        } else {
            UpkeepDone::Done
        })
    }
}
