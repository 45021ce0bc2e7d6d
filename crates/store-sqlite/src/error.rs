//! What SQLite's failures mean to the caller.

use strongroom_ports::StoreError;

/// SQLITE_BUSY and its kin: another process holds the file.
const BUSY: &[&str] = &["5", "261", "517"];

pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(database) = &error {
        if database.code().is_some_and(|code| BUSY.contains(&code.as_ref())) {
            return StoreError::Busy;
        }
        if database.is_unique_violation() && database.message().contains("audit_batch") {
            return StoreError::BatchTaken;
        }
    }
    StoreError::Unavailable(error.into())
}

/// A failed COMMIT: SQLite's own answer says it did not happen, its thread's silence says nothing.
pub(crate) fn commit_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(_) => store_error(error),
        other => StoreError::Unknown(other.into()),
    }
}
