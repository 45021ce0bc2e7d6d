//! The one middleware, around the router: the request's id, its deadline, security headers, metrics, and an end to panics.
//! No log line per successful request: the audit log is the access log.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use hyper::body::Incoming;
use strongroom_domain::ids::RequestId;
use strongroom_domain::{Code, Error};
use tokio::time::timeout;
use tower::Service;
use tower_http::sensitive_headers::SetSensitiveRequestHeaders;

use crate::App;
use crate::answer::{Failure, problem};
use crate::call::{Origin, bearer};
use crate::limits::{Limit, begins_login, is_failure};
use crate::metrics::RouteMetrics;
use crate::native::secrets::LONGEST_WAIT;
use crate::server::Peer;

/// As long as a step at a target lasts at most.
const AT_TARGET: Duration = Duration::from_secs(20);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stays of an answer's headers when it is rendered anew.
const KEPT: [HeaderName; 4] = [
    header::ALLOW,
    header::VARY,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// The router, behind a layer that keeps credentials out of every `Debug` of a request's headers.
pub(crate) type Routes = SetSensitiveRequestHeaders<Router>;

/// Answers one request of a connection from `peer`.
pub(crate) async fn edge(
    app: App,
    router: Routes,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let started = Instant::now();
    let id = app.broker.request_id();
    let method = RouteMetrics::method(request.method());
    let metrics = app.metrics.route_of(request.uri().path());
    let begins = begins_login(request.uri().path());
    let client = peer
        .address
        .map(|address| app.sources.limits.proxies.client(address, request.headers()));
    let refusal = client.and_then(|client| refusal(&app, client, request.uri().path(), request.headers()));
    let mut response = match refusal {
        Some(failure) => failure.into_response(),
        None => answer(&app, router, within(request, id, peer, client)).await,
    };
    let id = id.to_string();
    let failure = response.extensions_mut().remove::<Arc<Failure>>();
    let code = failure.as_ref().map(|failure| failure.0.code);
    if let Some(failure) = failure {
        // Refused for being too many: a line each would be a flood of its own. They are counted.
        // That an issuer cannot be had is told already, with its method.
        let counted = matches!(failure.0.code, Code::Overloaded | Code::IssuerUnavailable);
        if response.status().is_server_error() && !counted {
            tracing::warn!(request_id = %id, route = metrics.route, error = ?failure.0, "a request failed");
        }
        let mut said = std::mem::take(response.headers_mut());
        response = problem(&failure, &id);
        for name in KEPT {
            if let Some(value) = said.remove(&name) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    let status = response.status();
    if let Some(client) = client
        && (begins || is_failure(status, code))
    {
        app.sources.has_failed(client, || app.broker.now());
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    metrics.observe(method, status, started.elapsed());
    Ok(response)
}

/// What a source that has to wait is told, before its request is routed.
fn refusal(app: &App, client: IpAddr, path: &str, headers: &HeaderMap) -> Option<Failure> {
    let known = || bearer(headers).is_some_and(|token| app.broker.knows(&token));
    let (limit, wait) = app.sources.refuse(client, path, || app.broker.now(), known)?;
    let (counter, detail) = match limit {
        Limit::Failed => (
            &app.metrics.edge.limited_failed,
            "Too many requests from this address were refused.",
        ),
        Limit::Exempt => (&app.metrics.edge.limited_exempt, "This address asks too often."),
    };
    counter.inc();
    Some(Failure(Error::new(Code::RateLimited, detail).after(wait)))
}

/// The request as handlers see it.
fn within(request: Request<Incoming>, id: RequestId, peer: Peer, client: Option<IpAddr>) -> Request<Body> {
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(body)
        }
    });
    let source = match client.filter(|_| client != peer.address) {
        Some(client) => client.to_string().into(),
        None => peer.name,
    };
    request.extensions_mut().insert(Origin {
        id,
        source,
        operator: peer.operator,
        certificate: peer.certificate,
    });
    request
}

/// What a request may wait for beyond its own time: a change, a newer version of a secret, or what is done at a target.
fn waits(request: &Request<Body>) -> Duration {
    let noun = request.uri().path().strip_prefix("/api/v1/").unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let waits = query.split('&').any(|pair| pair.starts_with("wait="));
    let is_at_target = ["rotation/", "leases/", "dead-letters/"]
        .iter()
        .any(|at| noun.starts_with(at));
    match *request.method() {
        Method::GET if waits && (noun == "watch" || noun.starts_with("secrets/")) => LONGEST_WAIT,
        Method::POST | Method::DELETE if is_at_target => AT_TARGET,
        _ => Duration::ZERO,
    }
}

async fn answer(app: &App, mut router: Routes, request: Request<Body>) -> Response {
    let within = app.request_deadline + waits(&request);
    let answering = AssertUnwindSafe(router.call(request)).catch_unwind();
    match timeout(within, answering).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(_)) => {
            app.metrics.edge.panics.inc();
            Failure(Error::from(Code::Internal)).into_response()
        }
        Err(_) => Failure(Error::from(Code::DeadlineExceeded)).into_response(),
    }
}
