//! The files, their lock, one writer and a few readers.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use strongroom_domain::{Schema, Time};
use strongroom_ports::{StoreError, unfinished};
use tokio::sync::Mutex;

use crate::error::store_error;

const READERS: u32 = 4;
/// KiB of pages that a reader keeps; the system's own cache has the others.
const READER_CACHE: u16 = 512;
const FILE: &str = "strongroom.db";
const LOCK: &str = "lock";

pub struct SqliteStore {
    pub(crate) readers: SqlitePool,
    pub(crate) schema: Schema,
    options: SqliteConnectOptions,
    writer: Mutex<Option<SqliteConnection>>,
    /// No time below this is ever used again, also not after a restart with a clock set back.
    high_water: AtomicI64,
    /// Held for as long as the store is: a second process is refused.
    _lock: File,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqliteStore")
    }
}

fn io_error(directory: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unfit(format!(
        "The data directory {} cannot be used: {error}.",
        directory.display()
    ))
}

/// The exclusive lock on a data directory, taken before anything in it is opened.
pub(crate) fn lock(directory: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join(LOCK))
        .map_err(|error| io_error(directory, &error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        StoreError::Unfit(format!(
            "Another Strongroom process uses {}. Stop it first.",
            directory.display()
        ))
    })?;
    Ok(file)
}

pub(crate) fn options(directory: &Path) -> Result<SqliteConnectOptions, StoreError> {
    let path: PathBuf = directory.join(FILE);
    // Made by us, so that it has our mode from the first moment; SQLite gives its side files the same.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| io_error(directory, &error))?;
    Ok(SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(200))
        .pragma("secure_delete", "on")
        .disable_statement_logging())
}

/// For a connection that only reads.
fn reading(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    let size = format!("-{READER_CACHE}");
    options.clone().pragma("query_only", "on").pragma("cache_size", size)
}

impl SqliteStore {
    /// Opens the store in a data directory that is there already; the error says what to do.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let store = Self::open_to_fill(directory).await?;
        let filling =
            sqlx::query_scalar!("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'filling') AS \"filling!: bool\"")
                .fetch_one(&store.readers)
                .await
                .map_err(store_error)?;
        if filling {
            return Err(unfinished());
        }
        Ok(store)
    }

    /// The same for one that a restore will fill, or has not finished to.
    pub async fn open_to_fill(directory: &Path) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let options = options(directory)?;
        let mut writer = options.connect().await.map_err(store_error)?;
        let (schema, high_water) = check(&mut writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(1))
            .test_before_acquire(false)
            .connect_lazy_with(reading(&options));
        Ok(Self {
            readers,
            schema,
            options,
            writer: Mutex::new(Some(writer)),
            high_water: AtomicI64::new(high_water),
            _lock: lock,
        })
    }

    /// A connection that reads, apart from the pool.
    pub(crate) async fn reader(&self) -> Result<SqliteConnection, StoreError> {
        reading(&self.options).connect().await.map_err(store_error)
    }

    /// The time to use: never below one that was used before.
    pub(crate) fn time(&self, now: Time) -> Time {
        Time(self.high_water.fetch_max(now.0, Ordering::AcqRel).max(now.0))
    }

    /// Runs `work` on the writer. The connection is kept only when the work succeeded; dropped or failed, it is closed,
    /// which rolls back what it had begun.
    pub(crate) async fn on_writer<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    {
        let mut slot = self.writer.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options)
                .await
                .map_err(store_error)?,
        };
        let done = work(&mut connection).await;
        if done.is_ok() {
            *slot = Some(connection);
        }
        done
    }
}

/// Checks the schema and that the settings took; gives what the schema says, and the stored high-water mark of time.
async fn check(connection: &mut SqliteConnection) -> Result<(Schema, i64), StoreError> {
    let there = sqlx::query_scalar!(
        "SELECT count(*) AS \"there!: i64\" FROM sqlite_master WHERE type = 'table' AND name = 'meta'"
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(store_error)?;
    if there == 0 {
        return Err(StoreError::Unfit(
            "The store has no schema yet. Run 'strongroom migrate up'.".into(),
        ));
    }
    let schema = read_schema(connection).await?;
    schema.fits().map_err(StoreError::Unfit)?;
    let high_water = number(connection, "high_water").await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    if journal != "wal" || synchronous != 2 {
        return Err(StoreError::Unfit(
            "SQLite did not take WAL with synchronous=FULL; the data directory must be on a local disk.".into(),
        ));
    }
    Ok((schema, high_water))
}

async fn number(connection: &mut SqliteConnection, key: &str) -> Result<i64, StoreError> {
    let value = sqlx::query_scalar!("SELECT value FROM meta WHERE key = ?", key)
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    value.parse().map_err(|_| StoreError::Malformed("meta"))
}

/// What the schema says of itself.
pub(crate) async fn read_schema(connection: &mut SqliteConnection) -> Result<Schema, StoreError> {
    Ok(Schema {
        level: number(connection, "schema_level").await?,
        oldest_program: number(connection, "oldest_program").await?,
    })
}
