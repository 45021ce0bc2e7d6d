//! All routes, in one place. The first table is the closed list of what is exempt from the audit log.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use strongroom_domain::{Code, Error};

use crate::answer::Failure;
use crate::ofrep::{self, cors};
use crate::operation::{Door, Operation};
use crate::{App, health, native, routes};

const METRICS: &str = "/metrics";

/// Shown to anybody and recorded nowhere: health, readiness, metrics, version, the API's description, and the keys that
/// verify tokens.
fn exempt() -> Vec<Operation> {
    vec![
        routes::node::version(),
        routes::node::alive(),
        routes::node::ready(),
        routes::node::metrics(),
        routes::node::description(),
        routes::node::jwks(),
        routes::node::discovery(),
    ]
}

/// What no limit keeps anybody from.
const HEALTH: [&str; 2] = ["/health", "/ready"];

/// Exempt routes that a source asks only so often.
pub(crate) fn limited_paths() -> Vec<&'static str> {
    let paths = exempt().into_iter().map(|operation| operation.path);
    paths.filter(|path| !HEALTH.contains(path)).collect()
}

pub(crate) fn is_health(path: &str) -> bool {
    HEALTH.contains(&path)
}

fn native() -> Vec<Operation> {
    [
        routes::secrets::values(),
        routes::secrets::versions(),
        routes::metadata::said(),
        routes::metadata::ends(),
        routes::metadata::labels(),
        routes::rotation::rotations(),
        routes::rotation::targets(),
        routes::leases::roles(),
        routes::leases::leases(),
        routes::dead_letters::dead_letters(),
        routes::flags::flags(),
        routes::flags::sets(),
        routes::flags::browser_keys(),
        routes::flags::evaluations(),
        routes::list::folders(),
        routes::list::batch(),
        routes::list::reports(),
        routes::watch::watching(),
        routes::grants::policies(),
        routes::grants::roles(),
        routes::methods::methods(),
        routes::methods::logins(),
        routes::explain::explain(),
        routes::clients::clients(),
        routes::clients::logins(),
        routes::operators::operators(),
        routes::operators::groups(),
        routes::operators::oneself(),
        routes::operators::one_time_codes(),
        routes::tokens::tokens(),
        routes::tokens::of_tokens(),
        routes::namespaces::namespaces(),
        routes::system::system(),
        routes::system::slots(),
        routes::system::audit(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All there are.
pub(crate) fn operations() -> Vec<Operation> {
    let mut all = exempt();
    all.extend(native());
    all
}

/// A method and a path, as the router has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub method: String,
    pub path: &'static str,
    /// From the audit log.
    pub exempt: bool,
    pub door: Door,
}

/// Every route, for tests that must miss none.
pub fn every_route() -> Vec<Route> {
    let route = |exempt| {
        move |operation: Operation| Route {
            method: operation.method.to_string(),
            path: operation.path,
            exempt,
            door: operation.door,
        }
    };
    let native = native().into_iter().map(route(false));
    exempt().into_iter().map(route(true)).chain(native).collect()
}

pub fn router(app: App) -> Router {
    let metrics = app.serve_metrics;
    routes(app, metrics)
}

fn routes(app: App, metrics: bool) -> Router {
    let mut by_path: BTreeMap<&str, MethodRouter<App>> = BTreeMap::new();
    let served = |operation: &Operation| metrics || operation.path != METRICS;
    for operation in operations().into_iter().filter(served) {
        let methods = by_path.remove(operation.path).unwrap_or_default();
        by_path.insert(operation.path, methods.merge(operation.handler));
    }
    let mut router = Router::new();
    for (route, methods) in by_path {
        let mut methods = methods.fallback(async || Failure(Error::from(Code::MethodNotAllowed)));
        if route.starts_with(ofrep::ROOT) {
            methods = methods.layer(cors(&app));
        }
        router = router.route(route, methods);
    }
    router
        .method_not_allowed_fallback(async || Failure(Error::from(Code::MethodNotAllowed)))
        .fallback(async || Failure(Error::from(Code::RouteNotFound)))
        .with_state(app)
}

/// What the control socket serves: everything, and what is for this machine's operator alone.
pub fn control_router(app: App) -> Router {
    let own = Router::new()
        .route("/api/v1/control/check-key", post(native::control::check_key))
        .route("/api/v1/control/recover-admin", post(native::control::recover_admin))
        .route("/api/v1/control/accept-restore", post(native::control::accept_restore))
        .route("/api/v1/control/lift-hold", post(native::control::lift_hold))
        .route("/api/v1/control/backup", post(native::control::backup))
        .route("/api/v1/control/backup/kept", post(native::control::backup_kept))
        .with_state(app.clone());
    routes(app, true).merge(own)
}

/// Evaluation of flags and health alone, for a listener that everybody may reach.
pub fn flags_router(app: App) -> Router {
    let mut router = Router::new()
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready));
    for operation in routes::flags::evaluations() {
        let refused = async || Failure(Error::from(Code::MethodNotAllowed));
        let methods = operation.handler.fallback(refused).layer(cors(&app));
        if let Some(path) = ofrep::unnamed(operation.path) {
            router = router.route(path, methods.clone());
        }
        router = router.route(operation.path, methods);
    }
    router
        .fallback(async || Failure(Error::from(Code::RouteNotFound)))
        .with_state(app)
}

/// Metrics and health alone, for a listener of their own.
pub fn metrics_router(app: App) -> Router {
    Router::new()
        .route(METRICS, get(health::metrics))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .fallback(async || Failure(Error::from(Code::RouteNotFound)))
        .with_state(app)
}
