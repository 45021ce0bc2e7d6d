//! Answers: JSON, and RFC 9457 for failures.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use strongroom_api::Problem;
use strongroom_api::problem::CONTENT_TYPE;
use strongroom_domain::{Code, Error};

/// What the native API answers each code with.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidRequest | Code::InvalidPath | Code::InvalidPolicy | Code::AuthorizationPending => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated | Code::LoginFailed => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound | Code::Deleted | Code::Destroyed | Code::PendingDeletion | Code::RouteNotFound => {
            StatusCode::NOT_FOUND
        }
        Code::RevisionTooOld => StatusCode::GONE,
        Code::RateLimited | Code::LoginDelayed | Code::LeaseLimit | Code::SlowDown => StatusCode::TOO_MANY_REQUESTS,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::BuiltIn
        | Code::CasMismatch
        | Code::Conflict
        | Code::ChangeIdReused
        | Code::RotationRunning
        | Code::LimitReached
        | Code::BackupDamaged
        | Code::BackupNotOpened
        | Code::StoreNotEmpty => StatusCode::CONFLICT,
        Code::PayloadTooLarge | Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::IntegrityFailed | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::AuditUnavailable
        | Code::StoreUnavailable
        | Code::OutcomeUnknown
        | Code::Unsettled
        | Code::Overloaded
        | Code::IssuerUnavailable
        | Code::TargetFailed
        | Code::DeadlineExceeded
        | Code::GrantsPutBack
        | Code::Uninitialised => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A failure on its way out. The cause is for the log alone; the request's id is added where it is known.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = status(self.0.code);
        let mut response = json(status, &Problem::new(&self.0, status.as_u16(), ""));
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// Renders a failure anew, with the request's id.
pub(crate) fn problem(failure: &Failure, request_id: &str) -> Response {
    let status = status(failure.0.code);
    let mut response = json(status, &Problem::new(&failure.0, status.as_u16(), request_id));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let wait = failure
            .0
            .retry_after
            .map_or(1, |wait| wait.as_millis().div_ceil(1000).max(1));
        if let Ok(wait) = HeaderValue::try_from(wait.to_string()) {
            headers.insert(header::RETRY_AFTER, wait);
        }
    }
    // The rest of the body was not read: the connection cannot be used again, and says so.
    if matches!(
        failure.0.code,
        Code::BodyTooLarge | Code::BodyTimeout | Code::UnsupportedEncoding
    ) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    // Most answers fit without growing.
    let mut bytes = Vec::with_capacity(512);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => {
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = status;
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => Failure(Error::internal(error)).into_response(),
    }
}

pub(crate) type Answer = Result<Response, Failure>;

pub(crate) fn ok<T: Serialize>(value: &T) -> Answer {
    Ok(json(StatusCode::OK, value))
}

pub(crate) fn created<T: Serialize>(value: &T) -> Answer {
    Ok(json(StatusCode::CREATED, value))
}

pub(crate) fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}
