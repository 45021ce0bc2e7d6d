//! Reads: each returns its value with the revision of the same snapshot.

use strongroom_domain::change::follow;
use strongroom_domain::row::Key;
use strongroom_domain::{Kind, Moved, NamespaceId, ObjectId, Record, Revision, Time, Touch, Version};
use strongroom_ports::{At, Due, FIRST_DUE, Sizes, StoreError};

use crate::SqliteStore;
use crate::columns::{RecordRow, VersionRow, hex, json};
use crate::error::store_error;
use crate::record::{moved, top, touches_above};

/// A snapshot: one transaction, whose first read fixes what all of it sees.
macro_rules! snapshot {
    ($self:ident, $now:ident, $transaction:ident, $value:expr) => {{
        let mut $transaction = $self.readers.begin().await.map_err(store_error)?;
        let revision = top(&mut $transaction).await?;
        let value = $value;
        $transaction.commit().await.map_err(store_error)?;
        Ok(At {
            value,
            revision,
            db_now: $self.time($now),
        })
    }};
}
pub(crate) use snapshot;

impl SqliteStore {
    pub(crate) async fn find_records(&self, now: Time, keys: &[Key]) -> Result<At<Vec<Record>>, StoreError> {
        let rows: Vec<_> = keys
            .iter()
            .map(|key| (hex(key.namespace.as_slice()), key.kind.number(), &key.name))
            .collect();
        let rows = json(&rows)?;
        snapshot!(self, now, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                "SELECT r.namespace AS \"namespace!\", r.kind AS \"kind!\", r.id AS \"id!\", r.name AS \"name!\", r.rev AS \"rev!\", r.due, r.format AS \"format!\", \
                 r.body AS \"body!\", r.mac AS \"mac!\"" [", r.writer"] " FROM json_each(?) AS u \
                 CROSS JOIN record r ON r.namespace = unhex(u.value ->> 0) AND r.kind = u.value ->> 1 AND r.name = u.value ->> 2",
                rows
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_record_by_id(
        &self,
        now: Time,
        namespace: NamespaceId,
        kind: Kind,
        id: ObjectId,
    ) -> Result<At<Option<Record>>, StoreError> {
        let (namespace, kind, id) = (namespace.as_slice(), kind.number(), id.as_slice());
        snapshot!(self, now, transaction, {
            let row = checked!(query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM record WHERE namespace = ? AND kind = ? AND id = ?",
                namespace,
                kind,
                id
            ))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
            row.map(Record::try_from).transpose()?
        })
    }

    pub(crate) async fn list_records(
        &self,
        now: Time,
        namespace: NamespaceId,
        kind: Kind,
        prefix: &str,
        after: &str,
        limit: u16,
    ) -> Result<At<Vec<Record>>, StoreError> {
        let (namespace, kind) = (namespace.as_slice(), kind.number());
        let length = i64::try_from(prefix.chars().count()).map_err(|_| StoreError::Malformed("prefix"))?;
        // Where the index ends: without that, all that follows the last of them is looked at.
        let end = format!("{prefix}{}", char::MAX);
        snapshot!(self, now, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM record \
                 WHERE namespace = ? AND kind = ? AND name > ? AND name >= ? AND name <= ? AND substr(name, 1, ?) = ? \
                 ORDER BY name LIMIT ?",
                namespace,
                kind,
                after,
                prefix,
                end,
                length,
                prefix,
                limit
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn records_of_kind(&self, now: Time, kind: Kind) -> Result<At<Vec<Record>>, StoreError> {
        let kind = kind.number();
        snapshot!(self, now, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                // From one namespace to the next by the index: no index leads with the kind.
                "WITH RECURSIVE place (namespace) AS (\
                     SELECT namespace FROM (SELECT namespace FROM record ORDER BY namespace LIMIT 1) AS first \
                     UNION ALL SELECT (SELECT r.namespace FROM record r WHERE r.namespace > place.namespace \
                         ORDER BY r.namespace LIMIT 1) FROM place WHERE place.namespace IS NOT NULL) \
                 SELECT r.namespace AS \"namespace!\", r.kind AS \"kind!\", r.id AS \"id!\", r.name AS \"name!\", r.rev AS \"rev!\", r.due, \
                     r.format AS \"format!\", r.body AS \"body!\", r.mac AS \"mac!\"" [", r.writer"] " \
                 FROM place CROSS JOIN record r ON r.namespace = place.namespace WHERE r.kind = ? ORDER BY r.namespace, r.name",
                kind
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn due_records(
        &self,
        now: Time,
        kind: Kind,
        after: Option<Due>,
        by: Time,
        limit: u16,
    ) -> Result<At<Vec<Record>>, StoreError> {
        let kind = kind.number();
        let (due, id) = after.unwrap_or(FIRST_DUE);
        let id = id.as_slice();
        snapshot!(self, now, transaction, {
            let rows = checked!(query_as!(
                RecordRow,
                "SELECT namespace, kind, id, name, rev, due, format, body, mac" [", writer"] " FROM record \
                 WHERE kind = ? AND due >= ? AND due <= ? AND (due > ? OR id > ?) ORDER BY due, id LIMIT ?",
                kind,
                due.0,
                by.0,
                due.0,
                id,
                limit
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Record::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_sealed_before(
        &self,
        now: Time,
        namespace: NamespaceId,
        epoch: i64,
        limit: u16,
    ) -> Result<At<Vec<Version>>, StoreError> {
        let namespace = namespace.as_slice();
        snapshot!(self, now, transaction, {
            let rows = checked!(query_as!(
                VersionRow,
                "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] " FROM version \
                 WHERE namespace = ? AND epoch > 0 AND epoch < ? ORDER BY epoch, owner, number LIMIT ?",
                namespace,
                epoch,
                limit
            ))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(Version::try_from).collect::<Result<_, _>>()?
        })
    }

    pub(crate) async fn find_last_used(
        &self,
        now: Time,
        namespace: NamespaceId,
        secrets: &[ObjectId],
    ) -> Result<At<Vec<(ObjectId, Time)>>, StoreError> {
        let namespace = namespace.as_slice();
        let ids: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let ids = serde_json::to_string(&ids).map_err(|error| StoreError::Unavailable(error.into()))?;
        snapshot!(self, now, transaction, {
            let rows = sqlx::query!(
                "SELECT secret, used_at FROM secret_use WHERE namespace = ? AND secret IN (SELECT unhex(value) FROM json_each(?))",
                namespace,
                ids,
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
        now: Time,
        namespace: NamespaceId,
        owner: ObjectId,
        number: i64,
    ) -> Result<At<Option<Version>>, StoreError> {
        let (namespace, owner) = (namespace.as_slice(), owner.as_slice());
        snapshot!(self, now, transaction, {
            let row = checked!(query_as!(
                VersionRow,
                "SELECT namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed" [", writer"] " FROM version \
                 WHERE namespace = ? AND owner = ? AND number = ?",
                namespace,
                owner,
                number
            ))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
            row.map(Version::try_from).transpose()?
        })
    }

    pub(crate) async fn find_touches(&self, now: Time, since: Revision, limit: u16) -> Result<At<Moved>, StoreError> {
        snapshot!(self, now, transaction, {
            let top = top(&mut transaction).await?;
            moved(&mut transaction, since, top, limit.into()).await?
        })
    }

    pub(crate) async fn find_changes(
        &self,
        now: Time,
        since: Revision,
        limit: u16,
    ) -> Result<At<Option<Vec<Touch>>>, StoreError> {
        snapshot!(self, now, transaction, {
            let top = top(&mut transaction).await?;
            let touches = touches_above(&mut transaction, since, limit.into()).await?;
            follow(since, &touches, top, limit).then_some(touches)
        })
    }

    pub(crate) async fn find_last_boot(&self, now: Time) -> Result<At<i64>, StoreError> {
        snapshot!(self, now, transaction, {
            sqlx::query_scalar!("SELECT coalesce(max(boot), 0) AS \"boot!: i64\" FROM boot")
                .fetch_one(&mut *transaction)
                .await
                .map_err(store_error)?
        })
    }

    pub(crate) async fn find_sizes(&self, now: Time) -> Result<At<Sizes>, StoreError> {
        snapshot!(self, now, transaction, {
            let row = sqlx::query!(
                "SELECT (SELECT count(*) FROM record) AS \"records!: i64\", (SELECT count(*) FROM version) AS \"versions!: i64\", \
                 (SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()) AS \"bytes!: i64\""
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
