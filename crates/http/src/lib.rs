//! The edge: connections with limits, one middleware for id, deadline, headers and metrics, and the native API.
//! A handler decodes, calls one broker verb, and encodes; it holds no rule of its own.

mod answer;
mod body;
mod call;
mod edge;
mod health;
mod limits;
mod metrics;
mod native;
mod ofrep;
mod openapi;
mod operation;
mod router;
mod routes;
mod server;
mod source;
mod stall;
mod tls;

pub use answer::status;
pub use limits::SourceLimits;
pub use metrics::Metrics;
pub use openapi::{document as api_document, text as api_text};
pub use operation::Door;
pub use router::{Route, control_router, every_route, metrics_router, router};
pub use server::{Limits, Listener, Peer, serve};
pub use source::{ForwardedHeader, Proxies};
pub use tls::TlsListener;

use std::sync::Arc;
use std::time::Duration;

use strongroom_broker::Broker;
use tokio_util::sync::CancellationToken;

use limits::Sources;

/// What handlers are given: cloned with every request, so all of it is behind one pointer.
pub type App = Arc<Served>;

pub struct Served {
    pub broker: Broker,
    pub metrics: Arc<Metrics>,
    /// No request takes longer.
    request_deadline: Duration,
    /// `/metrics` is served here too, and not only by a listener of its own.
    serve_metrics: bool,
    /// Set when the node is told to stop: not ready any more, still serving.
    pub draining: CancellationToken,
    sources: Sources,
}

impl Served {
    pub fn new(
        broker: Broker,
        metrics: Arc<Metrics>,
        request_deadline: Duration,
        serve_metrics: bool,
        limits: SourceLimits,
    ) -> Self {
        Self {
            broker,
            metrics,
            request_deadline,
            serve_metrics,
            draining: CancellationToken::new(),
            sources: Sources::new(limits),
        }
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Served")
    }
}
