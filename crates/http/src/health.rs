//! Outside the API: alive, ready, metrics, version, and the keys that verify our tokens. None of it is an access.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use strongroom_api::health::{Alive, Readiness};
use strongroom_broker::Broker;

use crate::App;
use crate::answer::{Answer, json as answer, ok};

pub(crate) async fn alive() -> Response {
    answer(StatusCode::OK, &Alive { status: "alive".into() })
}

/// Whether this node can serve; if not, why and what to do.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if app.draining.is_cancelled() {
        let stopping = Readiness {
            ready: false,
            problems: vec!["The node is stopping.".into()],
            warnings: Vec::new(),
        };
        return answer(StatusCode::SERVICE_UNAVAILABLE, &stopping);
    }
    let health = app.broker.health().await;
    let status = if health.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let readiness = Readiness {
        ready: health.ready,
        problems: health.problems,
        // What is for operators is not for any page.
        warnings: if app.of_browsers { Vec::new() } else { health.warnings },
    };
    answer(status, &readiness)
}

pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, text)], app.metrics.render()).into_response()
}

pub(crate) async fn version() -> Response {
    answer(
        StatusCode::OK,
        &json!({ "name": "strongroom", "version": env!("CARGO_PKG_VERSION") }),
    )
}

pub(crate) async fn jwks(State(app): State<App>) -> Answer {
    Ok(kept_a_while(ok(&app.broker.jwks()?)?))
}

pub(crate) async fn discovery(State(app): State<App>) -> Answer {
    Ok(kept_a_while(ok(&app.broker.discovery())?))
}

/// What others may keep: a new key signs only once they must have asked again.
fn kept_a_while(mut answer: Response) -> Response {
    let says = HeaderValue::try_from(format!("public, max-age={}", Broker::KEYS_FRESH_FOR));
    if let Ok(says) = says {
        answer.headers_mut().insert(header::CACHE_CONTROL, says);
    }
    answer
}
