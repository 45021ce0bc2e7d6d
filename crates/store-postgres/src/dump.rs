//! All rows out of one snapshot, and into an empty store, in parts. Both lift the limits that stand with the role for one
//! transaction, so that it works behind a pooler too.

use std::collections::{BTreeSet, HashSet};

use futures_util::{Stream, StreamExt as _};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, PgTransaction};
use strongroom_domain::audit::{Batch, Class, StoredEntry};
use strongroom_domain::{Kind, NamespaceId, ObjectId, Record, Revision, Time, Version};
use strongroom_ports::{BootRow, Dump, Part, Snapshot, StoreError, Use, pour};

use crate::PostgresStore;
use crate::apply::{insert_records, insert_versions};
use crate::columns::{BatchRow, EntryColumns, EntryRow, RecordRow, VersionRow};
use crate::connect::read_schema;
use crate::error::{commit_error, store_error};

/// Whole tables are read, in the order in which they lie. A dump lasts as long as whoever takes it lets it.
const DUMP_LIMITS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '60s'; \
                           SET LOCAL enable_seqscan = on";
/// One part's rows; or all that an unfinished fill left. Whoever holds a lock is a writer, whose own limits are far below.
const FILL_LIMITS: &str = "SET LOCAL statement_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'; \
                           SET LOCAL lock_timeout = '5s'";

/// What a stream of rows is in the domain.
fn rows<'s, R: 's, T: TryFrom<R, Error = StoreError>>(
    stream: impl Stream<Item = Result<R, sqlx::Error>> + Send + Unpin + 's,
) -> impl Stream<Item = Result<T, StoreError>> + Send + Unpin + 's {
    stream.map(|row| T::try_from(row.map_err(store_error)?))
}

async fn lift(connection: &mut PgConnection, limits: &'static str) -> Result<(), StoreError> {
    sqlx::raw_sql(limits)
        .execute(connection)
        .await
        .map(drop)
        .map_err(store_error)
}

macro_rules! entries_of {
    ($table:literal, $connection:expr) => {
        rows::<_, StoredEntry>(
            sqlx::query_as!(
                EntryRow,
                "SELECT batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source FROM strongroom."
                    + $table
            )
            .fetch(&mut **$connection),
        )
    };
}

macro_rules! insert_entries {
    ($table:literal, $entries:expr, $connection:expr) => {{
        let e = EntryColumns::of($entries);
        let batches: Vec<i64> = $entries.iter().map(|stored| stored.batch.0).collect();
        sqlx::query!(
            "INSERT INTO strongroom."
                + $table
                + " (batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source) "
                + "SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::smallint[], $6::smallint[], $7::smallint[], "
                + "$8::smallint[], $9::bytea[], $10::bytea[], $11::bytea[], $12::text[], $13::bigint[], $14::bytea[], $15::bigint[], $16::text[], $17::text[])",
            &batches,
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
        )
        .execute($connection)
        .await
        .map_err(store_error)?
        .rows_affected()
    }};
}

struct UseRow {
    namespace: Vec<u8>,
    secret: Vec<u8>,
    used_at: i64,
}

impl TryFrom<UseRow> for Use {
    type Error = StoreError;

    fn try_from(row: UseRow) -> Result<Self, StoreError> {
        let malformed = || StoreError::Malformed("secret_use");
        Ok(Self {
            namespace: NamespaceId::from_slice(&row.namespace).ok_or_else(malformed)?,
            secret: ObjectId::from_slice(&row.secret).ok_or_else(malformed)?,
            at: Time(row.used_at),
        })
    }
}

struct StoredBoot {
    boot: i64,
    node: String,
    started_at: i64,
    mac: Vec<u8>,
}

impl TryFrom<StoredBoot> for BootRow {
    type Error = StoreError;

    fn try_from(row: StoredBoot) -> Result<Self, StoreError> {
        Ok(Self {
            boot: row.boot,
            node: row.node,
            started_at: Time(row.started_at),
            mac: strongroom_domain::Digest::from_slice(&row.mac).ok_or(StoreError::Malformed("boot.mac"))?,
        })
    }
}

async fn keys(transaction: &mut PgTransaction<'_>) -> Result<Part, StoreError> {
    let schema = read_schema(&mut **transaction).await?;
    let at = sqlx::query!(
        "SELECT value, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS \"db_now!\" FROM strongroom.revision WHERE id = 1"
    )
    .fetch_one(&mut **transaction)
    .await
    .map_err(store_error)?;
    let records = checked!(query_as!(
        RecordRow,
        "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM strongroom.record WHERE kind IN ($1, $2)",
        Kind::KeySlot.number(),
        Kind::KeyRing.number()
    ))
    .fetch_all(&mut **transaction)
    .await
    .map_err(store_error)?;
    Ok(Part::Keys {
        records: records.into_iter().map(Record::try_from).collect::<Result<_, _>>()?,
        snapshot: Snapshot {
            revision: Revision(at.value),
            at: Time(at.db_now),
            oldest_program: schema.oldest_program,
        },
    })
}

async fn pour_records(transaction: &mut PgTransaction<'_>, out: &mut dyn Dump) -> Result<(), StoreError> {
    let records = checked!(query_as!(
        RecordRow,
        "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM strongroom.record WHERE kind NOT IN ($1, $2)",
        Kind::KeySlot.number(),
        Kind::KeyRing.number()
    ))
    .fetch(&mut **transaction);
    pour(rows::<_, Record>(records), Part::Records, out).await?;
    let versions = checked!(query_as!(
        VersionRow,
        "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] " FROM strongroom.version"
    ))
    .fetch(&mut **transaction);
    pour(rows::<_, Version>(versions), Part::Versions, out).await?;
    let uses = sqlx::query_as!(UseRow, "SELECT namespace, secret, used_at FROM strongroom.secret_use")
        .fetch(&mut **transaction);
    pour(rows::<_, Use>(uses), Part::Uses, out).await
}

async fn pour_log(transaction: &mut PgTransaction<'_>, out: &mut dyn Dump) -> Result<(), StoreError> {
    let boots = sqlx::query_as!(StoredBoot, "SELECT boot, node, started_at, mac FROM strongroom.boot")
        .fetch(&mut **transaction);
    pour(rows::<_, BootRow>(boots), Part::Boots, out).await?;
    let batches = sqlx::query_as!(
        BatchRow,
        "SELECT id, class, at, count, root, previous, key, mac FROM strongroom.audit_batch"
    )
    .fetch(&mut **transaction);
    pour(rows::<_, Batch>(batches), Part::Batches, out).await?;
    let entries = |class| move |rows| Part::Entries(class, rows);
    pour(entries_of!("entry_reads", transaction), entries(Class::Reads), out).await?;
    pour(entries_of!("entry_kept", transaction), entries(Class::Kept), out).await
}

impl PostgresStore {
    pub(crate) async fn dump_all(&self, out: &mut dyn Dump) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let mut transaction = connection
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(store_error)?;
        lift(&mut transaction, DUMP_LIMITS).await?;
        out.take(keys(&mut transaction).await?).await?;
        pour_records(&mut transaction, out).await?;
        pour_log(&mut transaction, out).await?;
        transaction.commit().await.map_err(store_error)
    }

    pub(crate) async fn begin_filling(&self, now: Time, fill: ObjectId) -> Result<(), StoreError> {
        let mut transaction = self.begin("BEGIN").await.map_err(store_error)?;
        lift(&mut transaction, FILL_LIMITS).await?;
        // Whoever writes is waited for before it is asked: rows that were committed between question and TRUNCATE would be
        // lost. Nobody who only reads waits, since the store may be an installation that serves.
        sqlx::raw_sql("LOCK TABLE strongroom.record IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        let held = sqlx::query_scalar!(
            "SELECT EXISTS (SELECT FROM strongroom.record) AND NOT EXISTS (SELECT FROM strongroom.meta WHERE key = 'filling') AS \"held!\""
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(store_error)?;
        if held {
            return Err(StoreError::NotEmpty);
        }
        sqlx::query!(
            "TRUNCATE strongroom.record, strongroom.version, strongroom.secret_use, strongroom.change, strongroom.boot, \
             strongroom.audit_batch, strongroom.entry_reads, strongroom.entry_kept"
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        sqlx::query!(
            "INSERT INTO strongroom.meta (key, value) VALUES ('filling', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            fill.to_string(),
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        transaction.commit().await.map_err(commit_error)?;
        self.make_partitions(now).await.map(drop)
    }

    pub(crate) async fn fill_with(&self, fill: ObjectId, part: Part) -> Result<(), StoreError> {
        if let Part::Entries(class, entries) = &part {
            let months: BTreeSet<Time> = entries.iter().map(|stored| stored.entry.at.month().0).collect();
            for month in months {
                self.make_partition(*class, month).await?;
            }
        }
        let mut transaction = self.begin("BEGIN").await.map_err(store_error)?;
        lift(&mut transaction, FILL_LIMITS).await?;
        let filling = sqlx::query_scalar!("SELECT value FROM strongroom.meta WHERE key = 'filling' FOR UPDATE")
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
        if filling != Some(fill.to_string()) {
            return Err(StoreError::NotFilling);
        }
        if let Part::Keys { snapshot, .. } = &part {
            finish(&mut transaction, snapshot).await?;
        }
        insert(&mut transaction, &part).await?;
        transaction.commit().await.map_err(commit_error)
    }
}

/// A row that is there already is not written again, and so found missing in the count.
async fn insert(connection: &mut PgConnection, part: &Part) -> Result<(), StoreError> {
    let mut written = HashSet::new();
    let (expected, done) = match part {
        Part::Keys { records, .. } | Part::Records(records) => {
            insert_records(
                connection,
                records.iter().map(|row| (row, row.rev)).collect(),
                &mut written,
            )
            .await?;
            (records.len(), written.len() as u64)
        }
        Part::Versions(versions) => {
            insert_versions(
                connection,
                versions.iter().map(|row| (row, row.rev)).collect(),
                &mut written,
            )
            .await?;
            (versions.len(), written.len() as u64)
        }
        Part::Uses(uses) => (uses.len(), insert_uses(connection, uses).await?),
        Part::Boots(boots) => (boots.len(), insert_boots(connection, boots).await?),
        Part::Batches(batches) => (batches.len(), insert_batches(connection, batches).await?),
        Part::Entries(class, entries) => (
            entries.len(),
            match class {
                Class::Reads => insert_entries!("entry_reads", entries, connection),
                Class::Kept => insert_entries!("entry_kept", entries, connection),
            },
        ),
    };
    if done == expected as u64 {
        Ok(())
    } else {
        Err(StoreError::Incomplete)
    }
}

async fn finish(connection: &mut PgConnection, snapshot: &Snapshot) -> Result<(), StoreError> {
    let revision = snapshot.revision.0;
    sqlx::query!("UPDATE strongroom.revision SET value = $1 WHERE id = 1", revision)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    sqlx::query!(
        "UPDATE strongroom.meta SET value = greatest(value::bigint, $1)::text WHERE key = 'oldest_program'",
        snapshot.oldest_program,
    )
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query!("DELETE FROM strongroom.meta WHERE key = 'filling'")
        .execute(connection)
        .await
        .map(drop)
        .map_err(store_error)
}

async fn insert_uses(connection: &mut PgConnection, uses: &[Use]) -> Result<u64, StoreError> {
    let namespaces: Vec<&[u8]> = uses.iter().map(|row| row.namespace.as_slice()).collect();
    let secrets: Vec<&[u8]> = uses.iter().map(|row| row.secret.as_slice()).collect();
    let times: Vec<i64> = uses.iter().map(|row| row.at.0).collect();
    let done = sqlx::query!(
        "INSERT INTO strongroom.secret_use (namespace, secret, used_at) SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[])",
        namespaces as _,
        secrets as _,
        &times,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(done.rows_affected())
}

async fn insert_boots(connection: &mut PgConnection, boots: &[BootRow]) -> Result<u64, StoreError> {
    let numbers: Vec<i64> = boots.iter().map(|row| row.boot).collect();
    let nodes: Vec<&str> = boots.iter().map(|row| row.node.as_str()).collect();
    let times: Vec<i64> = boots.iter().map(|row| row.started_at.0).collect();
    let macs: Vec<&[u8]> = boots.iter().map(|row| row.mac.as_slice()).collect();
    let done = sqlx::query!(
        "INSERT INTO strongroom.boot (boot, node, started_at, mac) SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::bytea[])",
        &numbers,
        nodes as _,
        &times,
        macs as _,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(done.rows_affected())
}

async fn insert_batches(connection: &mut PgConnection, batches: &[Batch]) -> Result<u64, StoreError> {
    let ints = |pick: fn(&Batch) -> i64| batches.iter().map(pick).collect::<Vec<i64>>();
    let classes: Vec<i16> = batches.iter().map(|row| row.class.number()).collect();
    let roots: Vec<&[u8]> = batches.iter().map(|row| row.root.as_slice()).collect();
    let before: Vec<&[u8]> = batches.iter().map(|row| row.previous.as_slice()).collect();
    let macs: Vec<&[u8]> = batches.iter().map(|row| row.mac.as_slice()).collect();
    let done = sqlx::query!(
        "INSERT INTO strongroom.audit_batch (id, class, at, count, root, previous, key, mac) \
         SELECT * FROM UNNEST($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bytea[])",
        &ints(|row| row.id.0),
        &classes,
        &ints(|row| row.at.0),
        &ints(|row| row.count),
        roots as _,
        before as _,
        &ints(|row| row.key),
        macs as _,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(done.rows_affected())
}
