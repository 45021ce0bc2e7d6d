//! What PostgreSQL's failures mean to the caller.

use strongroom_ports::StoreError;

/// SQLSTATEs after which nothing was written and trying again may help: lock not available, deadlock, serialization,
/// query cancelled by its time limit.
const BUSY: &[&str] = &["55P03", "40P01", "40001", "57014"];

/// Division by zero: how the record statement says that rows of it are missing.
const NOT_WHOLE: &str = "22012";

pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(database) = &error {
        if database.code().is_some_and(|code| BUSY.contains(&code.as_ref())) {
            return StoreError::Busy;
        }
        if database.code().as_deref() == Some(NOT_WHOLE) {
            return StoreError::Incomplete;
        }
        if database.constraint() == Some("audit_batch_pkey") {
            return StoreError::BatchTaken;
        }
    }
    StoreError::Unavailable(error.into())
}

/// The failure of a statement that commits by itself, or of COMMIT: an answer from the server says it did not happen, no
/// answer says nothing.
pub(crate) fn commit_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(_) => store_error(error),
        other => StoreError::Unknown(other.into()),
    }
}
