//! What a scrape reads. Every label comes from a closed set: routes, methods, status classes, lanes.

mod edge;
mod outside;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use strongroom_broker::Broker;
use strongroom_domain::{Time, audit::Lane};

pub(crate) use edge::EdgeMetrics;

/// Routes as metrics name them: the API's nouns, most asked first, and what is exempt.
const ROUTES: [&str; 38] = [
    "secrets",
    "flags",
    "flag-versions",
    "flag-sets",
    "flag-evaluations",
    "ofrep",
    "batch",
    "auth",
    "list",
    "versions",
    "metadata",
    "labels",
    "policies",
    "roles",
    "clients",
    "operators",
    "groups",
    "principals",
    "keys",
    "audit",
    "reports",
    "rotation",
    "targets",
    "lease-roles",
    "leases",
    "dead-letters",
    "tokens",
    "methods",
    "namespaces",
    "explain",
    "who-can",
    "policy-versions",
    "watch",
    "health",
    "ready",
    "metrics",
    "openapi.json",
    ".well-known",
];
const METHODS: [&str; 6] = ["GET", "PUT", "POST", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    routes: Vec<RouteMetrics>,
    elsewhere: RouteMetrics,
    pub(crate) edge: EdgeMetrics,
}

/// One route's children, resolved at the start.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    pub(crate) route: &'static str,
    counters: Vec<IntCounter>,
    duration: Histogram,
}

impl Metrics {
    /// # Errors
    /// When a metric's name is taken or malformed, which is a mistake of ours.
    pub fn new(broker: &Broker, version: &str) -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(
                "strongroom_http_requests_total",
                "Requests answered, by route, method and class of status.",
            ),
            &["route", "method", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "strongroom_http_request_duration_seconds",
                "Time to an answer, by route.",
            )
            .buckets(BUCKETS.to_vec()),
            &["route"],
        )?;
        let build = IntGaugeVec::new(
            Opts::new("strongroom_build_info", "1, with the version as a label."),
            &["version"],
        )?;
        build.with_label_values(&[version]).set(1);
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(build))?;
        registry.register(Box::new(BrokerMetrics(broker.clone())))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let edge = EdgeMetrics::new(&registry)?;
        let children = |route| RouteMetrics::new(route, &requests, &durations);
        let (routes, elsewhere) = (ROUTES.iter().map(|route| children(route)).collect(), children("none"));
        Ok(Arc::new(Self {
            registry,
            routes,
            elsewhere,
            edge,
        }))
    }

    /// The children of the route that a path belongs to.
    pub(crate) fn route_of(&self, path: &str) -> &RouteMetrics {
        let mut segments = path.split('/').skip(1);
        let name = match (segments.next(), segments.next(), segments.next()) {
            (Some("api"), Some("v1"), Some(noun)) => noun,
            (Some("flags" | "ofrep"), ..) => "ofrep",
            (Some(name), None, None) => name,
            (Some(".well-known"), ..) => ".well-known",
            _ => "none",
        };
        self.routes
            .iter()
            .find(|route| route.route == name)
            .unwrap_or(&self.elsewhere)
    }

    /// The certificate that is served from now on ends then, in seconds since 1970.
    pub fn serves_certificate_until(&self, end: i64) {
        self.edge.certificate_expiry.set(end);
    }

    /// Certificates were to be replaced, and were not.
    pub fn certificate_not_replaced(&self) {
        self.edge.reload_failures.inc();
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be rendered");
        }
        text
    }
}

impl RouteMetrics {
    fn new(route: &'static str, requests: &IntCounterVec, durations: &HistogramVec) -> Self {
        let counters = METHODS
            .iter()
            .flat_map(|method| CLASSES.map(|class| requests.with_label_values(&[route, method, class])))
            .collect();
        Self {
            route,
            counters,
            duration: durations.with_label_values(&[route]),
        }
    }

    pub(crate) fn method(method: &Method) -> usize {
        METHODS
            .iter()
            .position(|known| *known == method.as_str())
            .unwrap_or(METHODS.len() - 1)
    }

    pub(crate) fn observe(&self, method: usize, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            200..=299 => 0,
            300..=399 => 1,
            400..=499 => 2,
            _ => 3,
        };
        if let Some(counter) = self.counters.get(method * CLASSES.len() + class) {
            counter.inc();
        }
        self.duration.observe(took.as_secs_f64());
    }
}

/// The broker's counts, read at each scrape.
struct BrokerMetrics(Broker);

fn counter(name: &str, help: &str, values: &[(&[&str], &str, u64)]) -> prometheus::Result<Vec<MetricFamily>> {
    let labels: &[&str] = values.first().map_or(&[], |(labels, _, _)| labels);
    let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
    for (labels, value, count) in values {
        let value: &[&str] = if labels.is_empty() {
            &[]
        } else {
            std::slice::from_ref(value)
        };
        vector.with_label_values(value).inc_by(*count);
    }
    Ok(vector.collect())
}

impl BrokerMetrics {
    fn lanes(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let stats = self.0.stats();
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let lanes = [
            (Lane::Reads, "reads"),
            (Lane::Changes, "changes"),
            (Lane::Events, "events"),
        ];
        let by_lane = |pick: fn(&strongroom_broker::LaneStats) -> &AtomicU64| {
            lanes.map(|(lane, name)| (&["lane"][..], name, of(pick(stats.lane(lane)))))
        };
        let mut all = Vec::new();
        all.extend(counter(
            "strongroom_audit_batches_total",
            "Audit batches committed.",
            &by_lane(|lane| &lane.batches),
        )?);
        all.extend(counter(
            "strongroom_audit_entries_total",
            "Audit entries committed.",
            &by_lane(|lane| &lane.entries),
        )?);
        all.extend(counter(
            "strongroom_audit_failures_total",
            "Batches not committed, and requests refused for a full queue or a passed deadline.",
            &by_lane(|lane| &lane.failures),
        )?);
        all.extend(counter(
            "strongroom_audit_settled_total",
            "Batches whose commit was not confirmed and was settled.",
            &by_lane(|lane| &lane.settled),
        )?);
        let queue = IntGaugeVec::new(
            Opts::new("strongroom_audit_queue", "Requests waiting for their entry."),
            &["lane"],
        )?;
        for (lane, name) in lanes {
            let waiting = self.0.audit_queue(lane);
            queue
                .with_label_values(&[name])
                .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
        all.extend(queue.collect());
        let limit = IntGauge::new(
            "strongroom_audit_queue_limit",
            "Requests that may wait for their entry, a lane; more are refused.",
        )?;
        limit.set(i64::try_from(self.0.settings().audit_queue).unwrap_or(i64::MAX));
        all.extend(limit.collect());
        Ok(all)
    }

    fn caches(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let stats = self.0.stats();
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let cache = &["cache"][..];
        let hits = counter(
            "strongroom_cache_hits_total",
            "Look-ups answered from a cache.",
            &[
                (cache, "secrets", of(&stats.secret_hits)),
                (cache, "sessions", of(&stats.session_hits)),
            ],
        )?;
        let misses = counter(
            "strongroom_cache_misses_total",
            "Look-ups that went to the store.",
            &[
                (cache, "secrets", of(&stats.secret_misses)),
                (cache, "sessions", of(&stats.session_misses)),
            ],
        )?;
        Ok([hits, misses].concat())
    }

    fn others(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let stats = self.0.stats();
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let outcome = &["outcome"][..];
        let mut all = self.caches()?;
        all.extend(counter(
            "strongroom_logins_total",
            "Logins, by outcome; overloaded: refused untried, since too many passwords waited; delayed: since others with this name had failed.",
            &[
                (outcome, "granted", of(&stats.logins)),
                (outcome, "refused", of(&stats.logins_refused)),
                (outcome, "overloaded", of(&stats.logins_overloaded)),
                (outcome, "delayed", of(&stats.logins_delayed)),
            ],
        )?);
        for (name, help, value) in [
            (
                "strongroom_answers_withheld_total",
                "Answers decided again because what they rest on moved.",
                &stats.withheld,
            ),
            (
                "strongroom_integrity_failures_total",
                "Refusals because a stored row failed its check.",
                &stats.integrity_failures,
            ),
            (
                "strongroom_identities_limited_total",
                "Requests refused because whoever has their token asks too often.",
                &stats.identities_limited,
            ),
            (
                "strongroom_password_hashes_total",
                "Passwords hashed, of known and unknown operators: each takes a core for a while.",
                &stats.password_hashes,
            ),
            ("strongroom_changes_total", "Changes committed.", &stats.changes_applied),
            (
                "strongroom_versions_resealed_total",
                "Versions sealed anew under a newer data key.",
                &stats.resealed,
            ),
            (
                "strongroom_change_conflicts_total",
                "Changes decided again because a row was another's.",
                &stats.change_conflicts,
            ),
        ] {
            all.extend(counter(name, help, &[(&[], "", of(value))])?);
        }
        all.extend(self.gauges()?);
        Ok(all)
    }

    fn gauges(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let seconds = |time: Option<Time>| time.map_or(0, Time::seconds);
        let extent = self.0.extent();
        let mut all = Vec::new();
        for (name, help, value) in [
            (
                "strongroom_revision",
                "The newest revision this node has seen.",
                self.0.revision(),
            ),
            (
                "strongroom_backup_last_success_timestamp_seconds",
                "When the last backup that was kept was taken, by 'operator backup'; 0: never.",
                seconds(self.0.last_backup()),
            ),
            (
                "strongroom_watchers",
                "Streams of changes, and requests that wait for one, on this node.",
                i64::try_from(self.0.watchers()).unwrap_or(i64::MAX),
            ),
            (
                "strongroom_data_keys",
                "Data keys in the ring; above one, older ones are not destroyed yet.",
                i64::try_from(self.0.data_keys()).unwrap_or(i64::MAX),
            ),
            (
                "strongroom_store_bytes",
                "How large the store is, seen every ten minutes; 0: not seen yet.",
                extent.map_or(0, |extent| extent.bytes),
            ),
            (
                "strongroom_log_start_timestamp_seconds",
                "When the oldest batch of the audit log was written: the store's size over its age is the pace at which it grows.",
                seconds(extent.and_then(|extent| extent.since)),
            ),
        ] {
            let gauge = IntGauge::new(name, help)?;
            gauge.set(value);
            all.extend(gauge.collect());
        }
        Ok(all)
    }
}

impl Collector for BrokerMetrics {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let both = self
            .lanes()
            .and_then(|lanes| Ok([lanes, self.others()?, self.outside()?].concat()));
        both.unwrap_or_else(|error| {
            tracing::error!(%error, "metrics could not be collected");
            Vec::new()
        })
    }
}
