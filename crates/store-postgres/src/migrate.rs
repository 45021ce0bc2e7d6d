//! Migrations: embedded, applied by `migrate` alone, never by a server.

use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions};
use strongroom_ports::StoreError;

use crate::connect::{parse_url, read_schema};
use crate::error::store_error;

/// Ours, in order. One that a newer program has applied on top is not our concern.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    #[cfg(feature = "next-schema")]
    migrator
        .migrations
        .to_mut()
        .extend(sqlx::migrate!("../../migrations/next/postgres").migrations.into_owned());
    migrator.set_ignore_missing(true);
    migrator
}

/// Limits stand with the role in this database, so that they hold behind a pooler too; the program checks them at start.
/// A generic plan keeps the record statement from being planned anew for each revision it asks about; it may be made while
/// a table is still empty, so it goes by index whatever the statistics say.
const ROLE_SETTINGS: [(&str, &str); 10] = [
    // Nobody's operators or functions before the system's own.
    ("search_path", "pg_catalog"),
    ("statement_timeout", "1s"),
    ("lock_timeout", "200ms"),
    ("idle_in_transaction_session_timeout", "1s"),
    ("synchronous_commit", "on"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    pub number: i64,
    /// `None`: a newer program's, which this one does not know.
    pub name: Option<String>,
    pub applied: bool,
}

/// A connection without the role's time limits, to migrate with.
#[derive(Debug)]
pub struct Migrations(PgConnection);

impl Migrations {
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let mut connection = parse_url(url)?.connect().await.map_err(store_error)?;
        for statement in ["SET statement_timeout = 0", "SET lock_timeout = '30s'"] {
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .map_err(store_error)?;
        }
        Ok(Self(connection))
    }

    /// Refuses a database that holds other tables and not ours, unless told to adopt it.
    pub async fn up(&mut self, adopt: bool) -> Result<(), StoreError> {
        let ours: bool = sqlx::query_scalar("SELECT to_regclass('strongroom.meta') IS NOT NULL")
            .fetch_one(&mut self.0)
            .await
            .map_err(store_error)?;
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'strongroom')",
        )
        .fetch_one(&mut self.0)
        .await
        .map_err(store_error)?;
        if !ours && others > 0 && !adopt {
            return Err(StoreError::Unfit(format!(
                "The database holds {others} tables that are not ours. Name another database, or pass --adopt to share this one."
            )));
        }
        migrator()
            .run(&mut self.0)
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        self.set_role().await
    }

    /// Each time, since a copied or restored database comes without them.
    async fn set_role(&mut self) -> Result<(), StoreError> {
        for (name, value) in ROLE_SETTINGS {
            let statement = format!(
                "DO $$ BEGIN EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET {name} = ''{value}''', current_database()); END $$"
            );
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut self.0)
                .await
                .map_err(store_error)?;
        }
        Ok(())
    }

    /// Takes back everything above `target`.
    pub async fn down(&mut self, target: i64, discard: bool) -> Result<(), StoreError> {
        if self.status().await?.iter().any(|one| one.name.is_none()) {
            return Err(StoreError::Unfit(
                "A newer program has migrated this store further than this one knows: go down with that one.".into(),
            ));
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM strongroom.record LIMIT 1) held")
            .fetch_one(&mut self.0)
            .await
            .map_err(store_error)?;
        if rows > 0 && !discard {
            return Err(StoreError::Unfit(
                "Going down would lose what is stored. Make a backup, and pass --discard to lose it.".into(),
            ));
        }
        migrator()
            .undo(&mut self.0, target)
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// Says that no program older than this one is to come back. Gives the oldest that may run from now on, or `None` where
    /// that is as it was.
    pub async fn finish(&mut self) -> Result<Option<i64>, StoreError> {
        if self.status().await?.iter().any(|one| !one.applied) {
            return Err(StoreError::Unfit(
                "Migrations are missing. Run 'strongroom migrate up' first.".into(),
            ));
        }
        let schema = read_schema(&mut self.0).await?;
        let oldest = schema.finish().map_err(StoreError::Unfit)?;
        if let Some(oldest) = oldest {
            sqlx::query("UPDATE strongroom.meta SET value = $1 WHERE key = 'oldest_program'")
                .bind(oldest.to_string())
                .execute(&mut self.0)
                .await
                .map_err(store_error)?;
        }
        Ok(oldest)
    }

    pub async fn status(&mut self) -> Result<Vec<MigrationStatus>, StoreError> {
        let there: bool = sqlx::query_scalar("SELECT to_regclass('strongroom._sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut self.0)
            .await
            .map_err(store_error)?;
        let (ours, mut applied) = (migrator(), Vec::new());
        if there {
            applied = self
                .0
                .list_applied_migrations(ours.table_name.as_ref())
                .await
                .map_err(|error| StoreError::Unavailable(error.into()))?;
        }
        let ups = ours.iter().filter(|one| one.migration_type.is_up_migration());
        let mut all: Vec<_> = ups
            .map(|one| MigrationStatus {
                number: one.version,
                name: Some(one.description.to_string()),
                applied: applied.iter().any(|done| done.version == one.version),
            })
            .collect();
        let newer = applied.iter().filter(|done| !ours.version_exists(done.version));
        all.extend(newer.map(|done| MigrationStatus {
            number: done.version,
            name: None,
            applied: true,
        }));
        Ok(all)
    }
}
