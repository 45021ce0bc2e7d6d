//! What happens before a request meets a route.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, Result};

#[derive(Debug)]
pub(crate) struct EdgeMetrics {
    pub(crate) connections: IntGauge,
    pub(crate) refused_connections: IntCounter,
    pub(crate) handshake_failures: IntCounter,
    pub(crate) certificate_expiry: IntGauge,
    pub(crate) reload_failures: IntCounter,
    pub(crate) panics: IntCounter,
    pub(crate) limited_failed: IntCounter,
    pub(crate) limited_exempt: IntCounter,
    pub(crate) watchers_lagged: IntCounter,
}

impl EdgeMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let counter = |name, help| registered(registry, IntCounter::new(name, help)?);
        let limited = IntCounterVec::new(
            Opts::new(
                "strongroom_http_limited_total",
                "Requests refused for their source: too many of it failed, or too many were for exempt routes.",
            ),
            &["limit"],
        )?;
        let limited = registered(registry, limited)?;
        let gauge = |name, help| registered(registry, IntGauge::new(name, help)?);
        Ok(Self {
            connections: gauge("strongroom_http_connections", "Open connections.")?,
            refused_connections: counter(
                "strongroom_http_refused_connections_total",
                "Connections closed for their number.",
            )?,
            handshake_failures: counter(
                "strongroom_tls_handshake_failures_total",
                "Connections closed because no TLS handshake came of them in time.",
            )?,
            certificate_expiry: gauge(
                "strongroom_tls_certificate_expiry_timestamp_seconds",
                "When the certificate that is served ends; 0: none is.",
            )?,
            reload_failures: counter(
                "strongroom_tls_reload_failures_total",
                "Times that certificate and key were to be replaced by what is in their files, and were not.",
            )?,
            panics: counter("strongroom_panics_total", "Requests that ended in a panic.")?,
            watchers_lagged: counter(
                "strongroom_watchers_lagged_total",
                "Streams of changes that ended because their client did not take what it was sent.",
            )?,
            limited_failed: limited.with_label_values(&["failed"]),
            limited_exempt: limited.with_label_values(&["exempt"]),
        })
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
