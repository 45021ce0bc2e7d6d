//! Migrations: embedded, applied by `migrate` and by `dev`, never by a server.

use std::fs::File;
use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::sqlite::SqliteConnection;
use strongroom_ports::StoreError;

use crate::connect::{lock, options};
use crate::error::store_error;

static MIGRATOR: Migrator = sqlx::migrate!();

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    pub number: i64,
    pub name: String,
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
        MIGRATOR
            .run(&mut self.connection)
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// Takes back everything above `target`.
    pub async fn down(&mut self, target: i64, discard: bool) -> Result<(), StoreError> {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM record LIMIT 1)")
            .fetch_one(&mut self.connection)
            .await
            .map_err(store_error)?;
        if rows > 0 && !discard {
            return Err(StoreError::Unfit(
                "Going down would lose what is stored. Make a backup, and pass --discard to lose it.".into(),
            ));
        }
        MIGRATOR
            .undo(&mut self.connection, target)
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))
    }

    pub async fn status(&mut self) -> Result<Vec<MigrationStatus>, StoreError> {
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut self.connection)
            .await
            .map_err(store_error)?;
        let applied = if there == 1 {
            self.connection
                .list_applied_migrations(MIGRATOR.table_name.as_ref())
                .await
                .map_err(|error| StoreError::Unavailable(error.into()))?
        } else {
            Vec::new()
        };
        Ok(MIGRATOR
            .iter()
            .filter(|migration| migration.migration_type.is_up_migration())
            .map(|migration| MigrationStatus {
                number: migration.version,
                name: migration.description.to_string(),
                applied: applied.iter().any(|done| done.version == migration.version),
            })
            .collect())
    }
}
