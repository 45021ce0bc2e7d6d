//! The one middleware: the request's id, its deadline, security headers and metrics. No log line per successful request:
//! the audit log is the access log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use strongroom_domain::{Code, Error};

use crate::App;
use crate::answer::{Failure, problem};
use crate::metrics::RouteMetrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the middleware of one route works with.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) app: App,
    pub(crate) metrics: Arc<RouteMetrics>,
}

pub(crate) async fn edge(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = edge.app.broker.request_id();
    let method = RouteMetrics::method(request.method());
    request.extensions_mut().insert(id);
    let id = id.to_string();
    let mut response = match tokio::time::timeout(edge.app.request_deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure(Error::from(Code::DeadlineExceeded)).into_response(),
    };
    if let Some(failure) = response.extensions_mut().remove::<Arc<Failure>>() {
        if response.status().is_server_error() {
            tracing::warn!(request_id = %id, route = edge.metrics.route, error = ?failure.0, "a request failed");
        }
        response = problem(&failure, &id);
    }
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    edge.metrics.observe(method, status, started.elapsed());
    response
}
