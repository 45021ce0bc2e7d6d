//! All rows out of one snapshot, and into an empty store, in parts. A dump reads on a connection of its own; as long as it
//! lasts, the write-ahead log is not emptied.

use std::collections::HashSet;

use futures_util::{Stream, StreamExt as _};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use strongroom_domain::audit::{Batch, Class, StoredEntry};
use strongroom_domain::{Digest, Kind, NamespaceId, ObjectId, Record, Time, Version};
use strongroom_ports::{BootRow, Dump, Part, Snapshot, StoreError, Use, pour};

use crate::SqliteStore;
use crate::apply::{insert_records, insert_versions};
use crate::columns::{BatchRow, EntryRow, RecordRow, VersionRow, entry, hex, json};
use crate::connect::read_schema;
use crate::error::{commit_error, store_error};
use crate::record::top;

/// What a stream of rows is in the domain.
fn rows<'s, R: 's, T: TryFrom<R, Error = StoreError>>(
    stream: impl Stream<Item = Result<R, sqlx::Error>> + Send + Unpin + 's,
) -> impl Stream<Item = Result<T, StoreError>> + Send + Unpin + 's {
    stream.map(|row| T::try_from(row.map_err(store_error)?))
}

macro_rules! entries_of {
    ($table:literal, $connection:expr) => {
        rows::<_, StoredEntry>(
            sqlx::query_as!(
                EntryRow,
                "SELECT batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source FROM "
                    + $table
            )
            .fetch(&mut *$connection),
        )
    };
}

macro_rules! insert_entries {
    ($table:literal, $rows:expr, $connection:expr) => {
        sqlx::query!(
            "INSERT INTO "
                + $table
                + " (batch, place, at, request, dialect, action, outcome, reason, principal, who, namespace, path, version, digest, count, accessor, source) "
                + "SELECT value ->> '$[0]', value ->> '$[1][0]', value ->> '$[1][1]', unhex(value ->> '$[1][2]'), value ->> '$[1][3]', value ->> '$[1][4]', "
                + "value ->> '$[1][5]', value ->> '$[1][6]', unhex(value ->> '$[1][7]'), unhex(value ->> '$[1][8]'), unhex(value ->> '$[1][9]'), "
                + "value ->> '$[1][10]', value ->> '$[1][11]', unhex(value ->> '$[1][12]'), value ->> '$[1][13]', value ->> '$[1][14]', value ->> '$[1][15]' "
                + "FROM json_each(?)",
            $rows,
        )
        .execute($connection)
        .await
    };
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
            mac: Digest::from_slice(&row.mac).ok_or(StoreError::Malformed("boot.mac"))?,
        })
    }
}

async fn keys(connection: &mut SqliteConnection, at: Time) -> Result<Part, StoreError> {
    let (revision, schema) = (top(&mut *connection).await?, read_schema(&mut *connection).await?);
    let (slot, ring) = (Kind::KeySlot.number(), Kind::KeyRing.number());
    let records = checked!(query_as!(
        RecordRow,
        "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM record WHERE kind IN (?, ?)",
        slot,
        ring
    ))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    Ok(Part::Keys {
        records: records.into_iter().map(Record::try_from).collect::<Result<_, _>>()?,
        snapshot: Snapshot {
            revision,
            at,
            oldest_program: schema.oldest_program,
        },
    })
}

async fn pour_records(connection: &mut SqliteConnection, out: &mut dyn Dump) -> Result<(), StoreError> {
    let (slot, ring) = (Kind::KeySlot.number(), Kind::KeyRing.number());
    let records = checked!(query_as!(
        RecordRow,
        "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM record WHERE kind NOT IN (?, ?)",
        slot,
        ring
    ))
    .fetch(&mut *connection);
    pour(rows::<_, Record>(records), Part::Records, out).await?;
    let versions = checked!(query_as!(
        VersionRow,
        "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] " FROM version"
    ))
    .fetch(&mut *connection);
    pour(rows::<_, Version>(versions), Part::Versions, out).await?;
    let uses = sqlx::query_as!(UseRow, "SELECT namespace, secret, used_at FROM secret_use").fetch(connection);
    pour(rows::<_, Use>(uses), Part::Uses, out).await
}

async fn pour_log(connection: &mut SqliteConnection, out: &mut dyn Dump) -> Result<(), StoreError> {
    let boots = sqlx::query_as!(StoredBoot, "SELECT boot, node, started_at, mac FROM boot").fetch(&mut *connection);
    pour(rows::<_, BootRow>(boots), Part::Boots, out).await?;
    let batches = sqlx::query_as!(
        BatchRow,
        "SELECT id, class, at, count, root, previous, key, mac FROM audit_batch"
    )
    .fetch(&mut *connection);
    pour(rows::<_, Batch>(batches), Part::Batches, out).await?;
    let entries = |class| move |rows| Part::Entries(class, rows);
    pour(entries_of!("entry_reads", connection), entries(Class::Reads), out).await?;
    pour(entries_of!("entry_kept", connection), entries(Class::Kept), out).await
}

impl SqliteStore {
    pub(crate) async fn dump_all(&self, now: Time, out: &mut dyn Dump) -> Result<(), StoreError> {
        let mut connection = self.reader().await?;
        let mut transaction = connection.begin().await.map_err(store_error)?;
        out.take(keys(&mut transaction, self.time(now)).await?).await?;
        pour_records(&mut transaction, out).await?;
        pour_log(&mut transaction, out).await?;
        transaction.commit().await.map_err(store_error)
    }

    pub(crate) async fn begin_filling(&self, fill: ObjectId) -> Result<(), StoreError> {
        let mark = fill.to_string();
        self.on_writer(async |connection| {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
            let held = sqlx::query_scalar!(
                "SELECT EXISTS (SELECT 1 FROM record) AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'filling') AS \"held!: bool\""
            )
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error)?;
            if held {
                return Err(StoreError::NotEmpty);
            }
            for table in [
                "DELETE FROM record",
                "DELETE FROM version",
                "DELETE FROM secret_use",
                "DELETE FROM change",
                "DELETE FROM boot",
                "DELETE FROM audit_batch",
                "DELETE FROM entry_reads",
                "DELETE FROM entry_kept",
            ] {
                sqlx::raw_sql(table).execute(&mut *transaction).await.map_err(store_error)?;
            }
            sqlx::query!(
                "INSERT INTO meta (key, value) VALUES ('filling', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                mark,
            )
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
            transaction.commit().await.map_err(commit_error)
        })
        .await
    }

    pub(crate) async fn fill_with(&self, now: Time, fill: ObjectId, part: Part) -> Result<(), StoreError> {
        self.on_writer(async |connection| {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
            let filling = sqlx::query_scalar!("SELECT value FROM meta WHERE key = 'filling'")
                .fetch_optional(&mut *transaction)
                .await
                .map_err(store_error)?;
            if filling != Some(fill.to_string()) {
                return Err(StoreError::NotFilling);
            }
            if let Part::Keys { snapshot, .. } = &part {
                // No time below the dump's was used there, and none is here.
                let time = self.time(now.max(snapshot.at));
                finish(&mut transaction, snapshot, time).await?;
            }
            insert(&mut transaction, &part).await?;
            transaction.commit().await.map_err(commit_error)
        })
        .await
    }
}

/// A row that is there already is not written again, and so found missing in the count.
async fn insert(connection: &mut SqliteConnection, part: &Part) -> Result<(), StoreError> {
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
        Part::Entries(class, entries) => {
            let rows: Vec<_> = entries.iter().map(|stored| (stored.batch.0, entry(stored))).collect();
            let rows = json(&rows)?;
            let done = match class {
                Class::Reads => insert_entries!("entry_reads", rows, connection),
                Class::Kept => insert_entries!("entry_kept", rows, connection),
            };
            (entries.len(), done.map_err(store_error)?.rows_affected())
        }
    };
    if done == expected as u64 {
        Ok(())
    } else {
        Err(StoreError::Incomplete)
    }
}

async fn finish(connection: &mut SqliteConnection, snapshot: &Snapshot, time: Time) -> Result<(), StoreError> {
    let revision = snapshot.revision.0;
    sqlx::query!("UPDATE revision SET value = ? WHERE id = 1", revision)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    sqlx::query!(
        "UPDATE meta SET value = CAST(max(CAST(value AS INTEGER), ?) AS TEXT) WHERE key = 'oldest_program'",
        snapshot.oldest_program,
    )
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    let mark = time.0.to_string();
    sqlx::query!("UPDATE meta SET value = ? WHERE key = 'high_water'", mark)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    sqlx::query!("DELETE FROM meta WHERE key = 'filling'")
        .execute(connection)
        .await
        .map(drop)
        .map_err(store_error)
}

async fn insert_uses(connection: &mut SqliteConnection, uses: &[Use]) -> Result<u64, StoreError> {
    let rows: Vec<_> = uses
        .iter()
        .map(|row| (hex(row.namespace.as_slice()), hex(row.secret.as_slice()), row.at.0))
        .collect();
    let rows = json(&rows)?;
    let done = sqlx::query!(
        "INSERT INTO secret_use (namespace, secret, used_at) \
         SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2 FROM json_each(?)",
        rows,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(done.rows_affected())
}

async fn insert_boots(connection: &mut SqliteConnection, boots: &[BootRow]) -> Result<u64, StoreError> {
    let rows: Vec<_> = boots
        .iter()
        .map(|row| (row.boot, &row.node, row.started_at.0, hex(row.mac.as_slice())))
        .collect();
    let rows = json(&rows)?;
    let done = sqlx::query!(
        "INSERT INTO boot (boot, node, started_at, mac) \
         SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3) FROM json_each(?)",
        rows,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(done.rows_affected())
}

async fn insert_batches(connection: &mut SqliteConnection, batches: &[Batch]) -> Result<u64, StoreError> {
    let row = |row: &Batch| {
        let (root, previous, mac) = (hex(&row.root.0), hex(&row.previous.0), hex(&row.mac.0));
        (
            row.id.0,
            row.class.number(),
            row.at.0,
            row.count,
            root,
            previous,
            row.key,
            mac,
        )
    };
    let rows = json(&batches.iter().map(row).collect::<Vec<_>>())?;
    let done = sqlx::query!(
        "INSERT INTO audit_batch (id, class, at, count, root, previous, key, mac) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, unhex(value ->> 4), unhex(value ->> 5), value ->> 6, unhex(value ->> 7) \
         FROM json_each(?)",
        rows,
    )
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(done.rows_affected())
}
