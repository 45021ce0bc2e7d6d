//! Reads: each returns its value with the revision of the same snapshot.

use strongroom_domain::change::follow;
use strongroom_domain::row::Key;
use strongroom_domain::{Kind, Moved, NamespaceId, ObjectId, Record, Revision, Time, Touch, Version};
use strongroom_ports::{At, Due, FIRST_DUE, Sizes, StoreError, end_of};

use crate::PostgresStore;
use crate::columns::{RecordRow, VersionRow};
use crate::error::store_error;
use crate::record::{fence, touches_above};

/// A snapshot: one read-only transaction whose first statement tells revision and time.
macro_rules! snapshot {
    ($self:ident, $transaction:ident, $value:expr) => {{
        let mut $transaction = $self
            .begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
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

/// A record, or none, with the snapshot it was looked for in: one statement is one snapshot, and one round trip.
struct FoundRecord {
    revision: i64,
    db_now: i64,
    namespace: Option<Vec<u8>>,
    kind: Option<i16>,
    id: Option<Vec<u8>>,
    name: Option<String>,
    rev: Option<i64>,
    due: Option<i64>,
    format: Option<i16>,
    body: Option<Vec<u8>>,
    mac: Option<Vec<u8>>,
    #[cfg(feature = "next-schema")]
    writer: Option<i64>,
}

impl FoundRecord {
    fn at(rows: Vec<Self>) -> Result<At<Vec<Record>>, StoreError> {
        let first = rows.first().ok_or(StoreError::Malformed("revision"))?;
        let (revision, db_now) = (Revision(first.revision), Time(first.db_now));
        let value = rows
            .into_iter()
            .filter_map(Self::row)
            .map(Record::try_from)
            .collect::<Result<_, _>>()?;
        Ok(At {
            value,
            revision,
            db_now,
        })
    }

    fn row(self) -> Option<RecordRow> {
        Some(RecordRow {
            namespace: self.namespace?,
            kind: self.kind?,
            id: self.id?,
            name: self.name?,
            rev: self.rev?,
            due: self.due,
            format: self.format?,
            body: self.body?,
            mac: self.mac?,
            #[cfg(feature = "next-schema")]
            writer: self.writer,
        })
    }
}

impl PostgresStore {
    pub(crate) async fn find_records(&self, keys: &[Key]) -> Result<At<Vec<Record>>, StoreError> {
        // PostgreSQL has no such text, and fails a statement that holds one.
        let keys = || keys.iter().filter(|key| !key.name.contains('\0'));
        let namespaces: Vec<&[u8]> = keys().map(|key| key.namespace.as_slice()).collect();
        let kinds: Vec<i16> = keys().map(|key| key.kind.number()).collect();
        let names: Vec<&str> = keys().map(|key| key.name.as_str()).collect();
        let rows = checked!(query_as!(
            FoundRecord,
            "SELECT f.revision AS \"revision!\", f.db_now AS \"db_now!\", r.namespace AS \"namespace?\", r.kind AS \"kind?\", r.id AS \"id?\", \
             r.name AS \"name?\", r.rev AS \"rev?\", r.due, r.format AS \"format?\", r.body AS \"body?\", r.mac AS \"mac?\"" [", r.writer"] " \
             FROM (SELECT value AS revision, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS db_now FROM strongroom.revision WHERE id = 1) f \
             LEFT JOIN LATERAL (SELECT r.* FROM UNNEST($1::bytea[], $2::smallint[], $3::text[]) AS u(namespace, kind, name) \
             JOIN strongroom.record r ON r.namespace = u.namespace AND r.kind = u.kind AND r.name = u.name COLLATE \"C\") r ON true",
            namespaces as _,
            &kinds,
            names as _
        ))
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        FoundRecord::at(rows)
    }

    pub(crate) async fn find_record_by_id(
        &self,
        namespace: NamespaceId,
        kind: Kind,
        id: ObjectId,
    ) -> Result<At<Option<Record>>, StoreError> {
        let rows = checked!(query_as!(
            FoundRecord,
            "SELECT f.revision AS \"revision!\", f.db_now AS \"db_now!\", r.namespace AS \"namespace?\", r.kind AS \"kind?\", r.id AS \"id?\", \
             r.name AS \"name?\", r.rev AS \"rev?\", r.due, r.format AS \"format?\", r.body AS \"body?\", r.mac AS \"mac?\"" [", r.writer"] " \
             FROM (SELECT value AS revision, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS db_now FROM strongroom.revision WHERE id = 1) f \
             LEFT JOIN strongroom.record r ON r.namespace || '' = $1 AND r.kind + 0 = $2::smallint AND r.id = $3",
            namespace.as_slice(),
            kind.number(),
            id.as_slice()
        ))
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let found = FoundRecord::at(rows)?;
        Ok(At {
            value: found.value.into_iter().next(),
            revision: found.revision,
            db_now: found.db_now,
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
        let end = end_of(prefix);
        snapshot!(self, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM strongroom.record \
                 WHERE namespace = $1 AND kind = $2 AND name > $3 AND name >= $4 AND name <= $5 AND starts_with(name, $4) \
                 ORDER BY name LIMIT $6",
                namespace.as_slice(),
                kind.number(),
                after,
                prefix,
                end,
                i64::from(limit)
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn records_of_kind(&self, kind: Kind) -> Result<At<Vec<Record>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                // From one namespace to the next by the index: no index leads with the kind.
                "WITH RECURSIVE place (namespace) AS (\
                     SELECT namespace FROM (SELECT namespace FROM strongroom.record ORDER BY namespace LIMIT 1) AS first \
                     UNION ALL SELECT (SELECT r.namespace FROM strongroom.record r WHERE r.namespace > place.namespace \
                         ORDER BY r.namespace LIMIT 1) FROM place WHERE place.namespace IS NOT NULL) \
                 SELECT r.namespace AS \"namespace!\", r.kind AS \"kind!\", r.id AS \"id!\", r.name AS \"name!\", r.rev AS \"rev!\", r.due, \
                     r.format AS \"format!\", r.body AS \"body!\", r.mac AS \"mac!\"" [", r.writer"] " \
                 FROM place JOIN strongroom.record r ON r.namespace = place.namespace WHERE r.kind = $1 ORDER BY r.namespace, r.name",
                kind.number()
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn due_records(
        &self,
        kind: Kind,
        after: Option<Due>,
        by: Time,
        limit: u16,
    ) -> Result<At<Vec<Record>>, StoreError> {
        let (due, id) = after.unwrap_or(FIRST_DUE);
        snapshot!(self, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM strongroom.record \
                 WHERE kind = $1 AND due >= $2 AND due <= $3 AND (due > $2 OR id > $4) ORDER BY due, id LIMIT $5",
                kind.number(),
                due.0,
                by.0,
                id.as_slice(),
                i64::from(limit)
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_sealed_before(
        &self,
        namespace: NamespaceId,
        epoch: i64,
        limit: u16,
    ) -> Result<At<Vec<Version>>, StoreError> {
        snapshot!(self, transaction, {
            let rows = checked!(query_as!(
                VersionRow,
                "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] " FROM strongroom.version \
                 WHERE epoch > 0 AND epoch < $2 AND namespace = $1 ORDER BY epoch, owner, number LIMIT $3",
                namespace.as_slice(),
                epoch,
                i64::from(limit)
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Version::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_last_used(
        &self,
        namespace: NamespaceId,
        secrets: &[ObjectId],
    ) -> Result<At<Vec<(ObjectId, Time)>>, StoreError> {
        let ids: Vec<&[u8]> = secrets.iter().map(ObjectId::as_slice).collect();
        snapshot!(self, transaction, {
            let rows = sqlx::query!(
                "SELECT secret, used_at FROM strongroom.secret_use WHERE secret = ANY($1::bytea[]) AND namespace = $2",
                ids as _,
                namespace.as_slice(),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            let used = |secret: &[u8], at| {
                let secret = ObjectId::from_slice(secret).ok_or(StoreError::Malformed("secret_use.secret"))?;
                Ok((secret, Time(at)))
            };
            rows.iter()
                .map(|row| used(&row.secret, row.used_at))
                .collect::<Result<_, StoreError>>()?
        })
    }

    pub(crate) async fn find_version(
        &self,
        namespace: NamespaceId,
        owner: ObjectId,
        number: i64,
    ) -> Result<At<Option<Version>>, StoreError> {
        snapshot!(self, transaction, {
            let row = checked!(query_as!(
                VersionRow,
                "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] " FROM strongroom.version \
                 WHERE namespace = $1 AND owner = $2 AND number = $3",
                namespace.as_slice(),
                owner.as_slice(),
                number
            ))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
            row.map(Version::try_from).transpose()?
        })
    }

    pub(crate) async fn find_touches(&self, since: Revision, limit: u16) -> Result<At<Moved>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        let found = fence(&mut connection, since, None, limit.into()).await?;
        Ok(At {
            value: found.moved,
            revision: found.top,
            db_now: found.db_now,
        })
    }

    pub(crate) async fn find_changes(&self, since: Revision, limit: u16) -> Result<At<Option<Vec<Touch>>>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        let (db_now, top, touches) = touches_above(&mut connection, since, limit.into()).await?;
        Ok(At {
            value: follow(since, &touches, top, limit).then_some(touches),
            revision: top,
            db_now,
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
            Sizes {
                records: row.records,
                versions: row.versions,
                database_bytes: row.bytes,
            }
        })
    }
}
