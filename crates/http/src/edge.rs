//! The one middleware, around the router: the request's id, its deadline, security headers, metrics, and an end to panics.
//! No log line per successful request: the audit log is the access log.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, header};
use hyper::body::Incoming;
use strongroom_domain::{Code, Error};
use tokio::time::timeout;
use tower::Service;
use tower_http::sensitive_headers::SetSensitiveRequestHeaders;

use crate::App;
use crate::answer::{Failure, problem};
use crate::call::Origin;
use crate::metrics::RouteMetrics;
use crate::server::Peer;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The router, behind a layer that keeps credentials out of every `Debug` of a request's headers.
pub(crate) type Routes = SetSensitiveRequestHeaders<Router>;

/// Answers one request of a connection from `peer`.
pub(crate) async fn edge(
    app: App,
    mut router: Routes,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let started = Instant::now();
    let id = app.broker.request_id();
    let method = RouteMetrics::method(request.method());
    let metrics = app.metrics.route_of(request.uri().path());
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(body)
        }
    });
    request.extensions_mut().insert(Origin {
        id,
        source: peer.name,
        operator: peer.operator,
        certificate: peer.certificate,
    });
    let id = id.to_string();
    let answering = AssertUnwindSafe(router.call(request)).catch_unwind();
    let mut response = match timeout(app.request_deadline, answering).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(_)) => {
            app.metrics.edge.panics.inc();
            Failure(Error::from(Code::Internal)).into_response()
        }
        Err(_) => Failure(Error::from(Code::DeadlineExceeded)).into_response(),
    };
    if let Some(failure) = response.extensions_mut().remove::<Arc<Failure>>() {
        // Refused for being too many: a line each would be a flood of its own. They are counted.
        if response.status().is_server_error() && failure.0.code != Code::Overloaded {
            tracing::warn!(request_id = %id, route = metrics.route, error = ?failure.0, "a request failed");
        }
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem(&failure, &id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    metrics.observe(method, status, started.elapsed());
    Ok(response)
}
