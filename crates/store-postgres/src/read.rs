//! Reads: each returns its value with the revision of the same snapshot.

use strongroom_domain::row::Key;
use strongroom_domain::{Kind, Moved, NamespaceId, ObjectId, Record, Revision, Time, Version};
use strongroom_ports::{At, Sizes, StoreError};

use crate::PostgresStore;
use crate::columns::{RecordRow, TouchRow, VersionRow};
use crate::error::store_error;
use crate::record::moved;

/// A snapshot: one read-only transaction whose first statement tells revision and time.
macro_rules! snapshot {
    ($self:ident, $transaction:ident, $value:expr) => {{
        let mut $transaction = $self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(store_error)?;
        let at = sqlx::query!(
            "SELECT value, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS \"db_now!\" FROM strongroom.revision WHERE id = 1"
        )
        .fetch_one(&mut *$transaction)
        .await
        .map_err(store_error)?;
        let value = $value;
        $transaction.commit().await.map_err(store_error)?;
        Ok(At { value, revision: Revision(at.value), db_now: Time(at.db_now) })
    }};
}
pub(crate) use snapshot;

impl PostgresStore {
    pub(crate) async fn find_records(&self, keys: &[Key]) -> Result<At<Vec<Record>>, StoreError> {
        let namespaces: Vec<&[u8]> = keys.iter().map(|key| key.namespace.as_slice()).collect();
        let kinds: Vec<i16> = keys.iter().map(|key| key.kind.number()).collect();
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                RecordRow,
                "SELECT r.namespace, r.kind, r.id, r.name, r.rev, r.due, r.format, r.body, r.mac FROM strongroom.record r \
                 JOIN UNNEST($1::bytea[], $2::smallint[], $3::text[]) AS u(namespace, kind, name) \
                 ON r.namespace = u.namespace AND r.kind = u.kind AND r.name = u.name COLLATE \"C\"",
                namespaces as _,
                &kinds,
                names as _,
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_record_by_id(
        &self,
        namespace: NamespaceId,
        kind: Kind,
        id: ObjectId,
    ) -> Result<At<Option<Record>>, StoreError> {
        snapshot!(self, transaction, {
            let row = sqlx::query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac FROM strongroom.record \
                 WHERE namespace = $1 AND kind = $2 AND id = $3",
                namespace.as_slice(),
                kind.number(),
                id.as_slice(),
            )
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
            row.map(Record::try_from).transpose()?
        })
    }

    pub(crate) async fn list_records(
        &self,
        namespace: NamespaceId,
        kind: Kind,
        prefix: &str,
        after: &str,
        limit: u16,
    ) -> Result<At<Vec<Record>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac FROM strongroom.record \
                 WHERE namespace = $1 AND kind = $2 AND name > $3 AND name >= $4 AND starts_with(name, $4) \
                 ORDER BY name LIMIT $5",
                namespace.as_slice(),
                kind.number(),
                after,
                prefix,
                i64::from(limit),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn records_of_kind(&self, kind: Kind) -> Result<At<Vec<Record>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac FROM strongroom.record \
                 WHERE kind = $1 ORDER BY namespace, name",
                kind.number(),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_version(
        &self,
        namespace: NamespaceId,
        owner: ObjectId,
        number: i64,
    ) -> Result<At<Option<Version>>, StoreError> {
        snapshot!(self, transaction, {
            let row = sqlx::query_as!(
                VersionRow,
                "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed FROM strongroom.version \
                 WHERE namespace = $1 AND owner = $2 AND number = $3",
                namespace.as_slice(),
                owner.as_slice(),
                number,
            )
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
            row.map(Version::try_from).transpose()?
        })
    }

    pub(crate) async fn find_touches(&self, since: Revision, limit: u16) -> Result<At<Moved>, StoreError> {
        snapshot!(self, transaction, {
            let rows = sqlx::query_as!(
                TouchRow,
                "SELECT revision AS \"revision?\", namespace AS \"namespace?\", kind AS \"kind?\", name AS \"name?\", version, action AS \"action?\" \
                 FROM strongroom.change WHERE revision > $1 ORDER BY revision LIMIT $2",
                since.0,
                i64::from(limit) + 1,
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            moved(rows.into_iter(), usize::from(limit))?
        })
    }

    pub(crate) async fn find_last_boot(&self) -> Result<At<i64>, StoreError> {
        snapshot!(self, transaction, {
            sqlx::query_scalar!("SELECT coalesce(max(boot), 0) AS \"boot!\" FROM strongroom.boot")
                .fetch_one(&mut *transaction)
                .await
                .map_err(store_error)?
        })
    }


    pub(crate) async fn find_sizes(&self) -> Result<At<Sizes>, StoreError> {
        snapshot!(self, transaction, {
            let row = sqlx::query!(
                "SELECT (SELECT count(*) FROM strongroom.record) AS \"records!\", (SELECT count(*) FROM strongroom.version) AS \"versions!\", \
                 pg_database_size(current_database()) AS \"bytes!\""
            )
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error)?;
            Sizes { records: row.records, versions: row.versions, database_bytes: row.bytes }
        })
    }
}
