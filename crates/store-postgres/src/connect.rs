//! Connections: a pool for reads and upkeep, and one connection a lane, which is closed hard on a deadline.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgExecutor, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres, Transaction};
use strongroom_domain::Schema;
use strongroom_domain::audit::Lane;
use strongroom_ports::{StoreError, unfinished};
use tokio::sync::Mutex;

use crate::error::store_error;

const POOL: u32 = 8;
const ACQUIRE: Duration = Duration::from_secs(1);

pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) schema: Schema,
    options: PgConnectOptions,
    lanes: [Mutex<Option<PgConnection>>; 3],
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresStore")
    }
}

/// A URL may hold a password: a failure to parse it says nothing of it.
pub(crate) fn parse_url(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        StoreError::Unfit("The database URL is not of the form postgres://USER@HOST:PORT/DATABASE.".into())
    })?;
    Ok(options.application_name("strongroom").disable_statement_logging())
}

impl PostgresStore {
    /// Connects and checks that the database is fit to keep promises; the error says what to do about it.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect_to_fill(url).await?;
        let filling =
            sqlx::query_scalar!("SELECT EXISTS (SELECT FROM strongroom.meta WHERE key = 'filling') AS \"filling!\"")
                .fetch_one(&store.pool)
                .await
                .map_err(store_error)?;
        if filling {
            return Err(unfinished());
        }
        Ok(store)
    }

    /// The same for a database that a restore will fill, or has not finished to.
    pub async fn connect_to_fill(url: &str) -> Result<Self, StoreError> {
        let options = parse_url(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(POOL)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        Ok(Self {
            schema: check(&pool).await?,
            pool,
            options,
            lanes: [Mutex::new(None), Mutex::new(None), Mutex::new(None)],
        })
    }

    /// A transaction, begun in a task of its own, which ends whatever becomes of the caller. sqlx forgets a BEGIN that was given
    /// up before its answer: whoever had the connection next would read what was there then, and write what nobody commits.
    pub(crate) async fn begin(&self, statement: &'static str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(statement).await });
        begun.await.map_err(|error| sqlx::Error::Io(error.into()))?
    }

    /// A connection apart from the pool, closed when it is dropped.
    pub(crate) async fn connection(&self) -> Result<PgConnection, StoreError> {
        PgConnection::connect_with(&self.options).await.map_err(store_error)
    }

    /// Runs `work` on the lane's own connection. The connection goes back only when the work succeeded; dropped or
    /// failed, it is closed, so nothing half done can be continued by accident.
    pub(crate) async fn on_lane<T, E, F>(&self, lane: Lane, work: F) -> Result<T, StoreError>
    where
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
        E: Into<StoreError>,
    {
        let Some(slot) = self.lanes.get(lane as usize) else {
            return Err(StoreError::Malformed("lane"));
        };
        let mut slot = slot.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.connection().await?,
        };
        let done = work(&mut connection).await.map_err(Into::into);
        if done.is_ok() {
            *slot = Some(connection);
        }
        done
    }
}

async fn check(pool: &PgPool) -> Result<Schema, StoreError> {
    let there = sqlx::query_scalar!("SELECT to_regclass('strongroom.meta') IS NOT NULL AS \"there!\"")
        .fetch_one(pool)
        .await
        .map_err(store_error)?;
    if !there {
        return Err(StoreError::Unfit(
            "The database has no schema of ours. Run 'strongroom migrate up'.".into(),
        ));
    }
    let found = read_schema(pool).await?;
    found.fits().map_err(StoreError::Unfit)?;
    let settings = sqlx::query!(
        "SELECT current_setting('fsync') AS \"fsync!\", current_setting('full_page_writes') AS \"full_page_writes!\", \
         current_setting('synchronous_commit') AS \"synchronous_commit!\", pg_is_in_recovery() AS \"standby!\", \
         current_setting('plan_cache_mode') AS \"plan!\", current_setting('search_path') AS \"search_path!\", \
         (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout') AS \"statement!\", \
         (SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout') AS \"lock!\", \
         (SELECT setting::bigint FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS \"idle!\""
    )
    .fetch_one(pool)
    .await
    .map_err(store_error)?;
    let mut faults = Vec::new();
    if settings.fsync != "on" {
        faults.push("fsync is off: set it to on, or a crash loses what was acknowledged");
    }
    if settings.full_page_writes != "on" {
        faults.push("full_page_writes is off: set it to on, or a crash can tear pages");
    }
    if settings.standby {
        faults.push("the server is a standby in recovery: connect to the primary");
    }
    if !["on", "remote_write", "remote_apply"].contains(&settings.synchronous_commit.as_str()) {
        faults.push("synchronous_commit is off for this role: run 'strongroom migrate up' with this role");
    }
    let limited = |value: i64| (1..=1000).contains(&value);
    if !limited(settings.statement) || !limited(settings.idle) || !(1..=200).contains(&settings.lock) {
        faults
            .push("this role has no statement, lock and idle limits here: run 'strongroom migrate up' with this role");
    }
    if settings.search_path != "pg_catalog" {
        faults.push("this role's search_path is not pg_catalog alone: run 'strongroom migrate up' with this role");
    }
    if settings.plan != "force_generic_plan" {
        faults.push("this role does not force generic plans: run 'strongroom migrate up' with this role");
    }
    if faults.is_empty() {
        Ok(found)
    } else {
        Err(StoreError::Unfit(format!(
            "The database is not fit: {}.",
            faults.join("; ")
        )))
    }
}

/// What the schema says of itself.
pub(crate) async fn read_schema(executor: impl PgExecutor<'_>) -> Result<Schema, StoreError> {
    let found = sqlx::query!("SELECT key, value FROM strongroom.meta")
        .fetch_all(executor)
        .await
        .map_err(store_error)?;
    let number = |key: &str| {
        let row = found.iter().find(|row| row.key == key);
        row.and_then(|row| row.value.parse().ok())
            .ok_or(StoreError::Malformed("meta"))
    };
    Ok(Schema {
        level: number("schema_level")?,
        oldest_program: number("oldest_program")?,
    })
}
