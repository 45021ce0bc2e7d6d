//! All routes, in one place. The first table is the closed list of what is exempt from the audit log.

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post, put};
use strongroom_domain::{Code, Error};

use crate::answer::Failure;
use crate::{App, health, native};

/// Shown to anybody and recorded nowhere: health, readiness, metrics, version, and the keys that verify tokens.
fn exempt(app: &App) -> Vec<(&'static str, MethodRouter<App>)> {
    let mut routes = vec![
        ("/", get(health::version)),
        ("/health", get(health::alive)),
        ("/ready", get(health::ready)),
        ("/.well-known/jwks.json", get(health::jwks)),
        ("/.well-known/openid-configuration", get(health::discovery)),
    ];
    if app.serve_metrics {
        routes.push(("/metrics", get(health::metrics)));
    }
    routes
}

fn native() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/api/v1/auth/client/login", post(native::auth::login)),
        (
            "/api/v1/secrets/{*path}",
            get(native::secrets::read)
                .put(native::secrets::write)
                .patch(native::secrets::patch)
                .delete(native::secrets::delete),
        ),
        (
            "/api/v1/versions/{*path}",
            get(native::versions::history).post(native::versions::change),
        ),
        (
            "/api/v1/metadata/{*path}",
            get(native::metadata::read)
                .put(native::metadata::replace)
                .patch(native::metadata::patch)
                .post(native::metadata::change)
                .delete(native::metadata::delete),
        ),
        (
            "/api/v1/labels/{*path}",
            put(native::labels::put).delete(native::labels::delete),
        ),
        ("/api/v1/list", get(native::list::list)),
        ("/api/v1/list/", get(native::list::list)),
        ("/api/v1/list/{*prefix}", get(native::list::list)),
        ("/api/v1/batch", post(native::batch::batch)),
        ("/api/v1/reports/unused", get(native::reports::unused)),
        ("/api/v1/reports/stale", get(native::reports::stale)),
        ("/api/v1/policies", get(native::policies::list)),
        (
            "/api/v1/policies/{name}",
            get(native::policies::read)
                .put(native::policies::write)
                .delete(native::policies::delete),
        ),
        ("/api/v1/roles", get(native::roles::list)),
        (
            "/api/v1/roles/{name}",
            get(native::roles::read)
                .put(native::roles::write)
                .delete(native::roles::delete),
        ),
        (
            "/api/v1/clients",
            get(native::clients::list).post(native::clients::create),
        ),
        (
            "/api/v1/clients/{id}",
            get(native::clients::read).delete(native::clients::delete),
        ),
        ("/api/v1/clients/{id}/secrets", post(native::clients::add_secret)),
        (
            "/api/v1/clients/{id}/secrets/{secret_id}",
            delete(native::clients::delete_secret),
        ),
        ("/api/v1/principals/{id}/erase", post(native::principals::erase)),
        ("/api/v1/keys/data/rotate", post(native::keys::rotate_data)),
        ("/api/v1/audit", get(native::audit::search)),
    ]
}

pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for (route, methods) in exempt(&app).into_iter().chain(native()) {
        router = router.route(
            route,
            methods.fallback(async || Failure(Error::from(Code::MethodNotAllowed))),
        );
    }
    router
        .method_not_allowed_fallback(async || Failure(Error::from(Code::MethodNotAllowed)))
        .fallback(async || Failure(Error::from(Code::RouteNotFound)))
        .with_state(app)
}

/// Metrics and health alone, for a listener of their own.
pub fn metrics_router(app: App) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .fallback(async || Failure(Error::from(Code::RouteNotFound)))
        .with_state(app)
}
