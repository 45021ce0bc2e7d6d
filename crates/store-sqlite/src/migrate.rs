//! Migrations: embedded, applied by `migrate` and by `dev`, never by a server.

use std::fs::File;
use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::sqlite::SqliteConnection;
use strongroom_ports::StoreError;

use crate::connect::{lock, options, read_schema};
use crate::error::store_error;

/// Ours, in order. One that a newer program has applied on top is not our concern.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    #[cfg(feature = "next-schema")]
    migrator
        .migrations
        .to_mut()
        .extend(sqlx::migrate!("../../migrations/next/sqlite").migrations.into_owned());
    migrator.set_ignore_missing(true);
    migrator
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    pub number: i64,
    /// `None`: a newer program's, which this one does not know.
    pub name: Option<String>,
    pub applied: bool,
}

/// The store's file with the directory's lock held.
#[derive(Debug)]
pub struct Migrations {
    connection: SqliteConnection,
    _lock: File,
}

impl Migrations {
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let connection = options(directory)?.connect().await.map_err(store_error)?;
        Ok(Self {
            connection,
            _lock: lock,
        })
    }

    pub async fn up(&mut self) -> Result<(), StoreError> {
        migrator()
            .run(&mut self.connection)
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// Takes back everything above `target`.
    pub async fn down(&mut self, target: i64, discard: bool) -> Result<(), StoreError> {
        if self.status().await?.iter().any(|one| one.name.is_none()) {
            return Err(StoreError::Unfit(
                "A newer program has migrated this store further than this one knows: go down with that one.".into(),
            ));
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM record LIMIT 1)")
            .fetch_one(&mut self.connection)
            .await
            .map_err(store_error)?;
        if rows > 0 && !discard {
            return Err(StoreError::Unfit(
                "Going down would lose what is stored. Make a backup, and pass --discard to lose it.".into(),
            ));
        }
        migrator()
            .undo(&mut self.connection, target)
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
        let schema = read_schema(&mut self.connection).await?;
        let oldest = schema.finish().map_err(StoreError::Unfit)?;
        if let Some(oldest) = oldest {
            sqlx::query("UPDATE meta SET value = $1 WHERE key = 'oldest_program'")
                .bind(oldest.to_string())
                .execute(&mut self.connection)
                .await
                .map_err(store_error)?;
        }
        Ok(oldest)
    }

    pub async fn status(&mut self) -> Result<Vec<MigrationStatus>, StoreError> {
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut self.connection)
            .await
            .map_err(store_error)?;
        let (ours, mut applied) = (migrator(), Vec::new());
        if there == 1 {
            applied = self
                .connection
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
