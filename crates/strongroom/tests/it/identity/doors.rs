//! Every route's own door: what it asks of who comes, tried with no token, an expired one, a revoked one and a weak one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use strongroom_http::Door;

use super::{made, prepare};
use crate::asks::Ask;
use crate::audit::routes::{Case, EVALUATIONS, Names, cases};
use crate::harness::{Api, On, Store};

/// Open to anybody: what is exempt from the log, and logins.
const ANYBODY: &[&str] = &[
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /api/v1/openapi.json",
    "GET /.well-known/jwks.json",
    "GET /.well-known/openid-configuration",
    "POST /api/v1/auth/client/login",
    "POST /api/v1/auth/{method}/login",
    "POST /api/v1/auth/{method}/start",
    "POST /api/v1/auth/password/login",
    "GET /flags/{project}/{environment}/ofrep/v1/stream",
];
/// For whoever has a token, about oneself or what one holds.
const TOKEN: &[&str] = &[
    "GET /api/v1/auth/whoami",
    "PUT /api/v1/auth/password",
    "POST /api/v1/auth/password/totp",
    "POST /api/v1/auth/password/totp/confirm",
    "POST /api/v1/auth/token/lookup",
    "POST /api/v1/auth/token/renew",
    "POST /api/v1/auth/token/revoke",
    "GET /api/v1/leases/{lease}",
    "DELETE /api/v1/leases/{lease}",
    "POST /api/v1/leases/{lease}/renew",
];
/// Needs a server that has users; tried by the tests of leases.
const LEASE: &str = "POST /api/v1/leases/{lease}";
/// Needs a notice that nobody took; tried by the tests of rotation.
const DEAD_LETTER: &str = "POST /api/v1/dead-letters/{id}";
/// Needs a key that there is; tried by the tests of flags.
const BROWSER_KEY: &str = "DELETE /api/v1/flag-sets/{project}/{environment}/browser-keys/{key_id}";

#[test]
fn the_table_is_the_routers() {
    let table: BTreeMap<String, Door> = strongroom_http::every_route()
        .into_iter()
        .map(|route| (format!("{} {}", route.method, route.path), route.door))
        .collect();
    let of = |door| -> BTreeSet<&str> {
        let found = table.iter().filter(|(_, there)| **there == door);
        found.map(|(route, _)| route.as_str()).collect()
    };
    assert_eq!(of(Door::Anybody), ANYBODY.iter().copied().collect());
    assert_eq!(of(Door::Token), TOKEN.iter().copied().collect());
    let names = Names::nobody();
    let granted: BTreeSet<String> = cases(&names).iter().map(Case::full_route).collect();
    let granted: BTreeSet<&str> = granted
        .iter()
        .map(String::as_str)
        .filter(|route| !TOKEN.contains(route))
        .chain([LEASE, DEAD_LETTER])
        .chain(EVALUATIONS)
        .chain([BROWSER_KEY])
        .collect();
    assert_eq!(of(Door::Capability), granted);
}

async fn nobody_comes_in_who_may_not(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let role = json!({ "policies": ["p"], "access_token_ttl": 1 });
    assert_eq!(root.put("roles/short", role).await.0, 200);
    let client = root
        .post("clients", json!({ "name": "short", "role": "short" }))
        .await
        .1;
    let login = json!({ "client_id": client["client_id"], "client_secret": client["client_secret"] });
    let access = root.post("auth/client/login", login).await.1;
    let access = root.with_token(access["access_token"].as_str().unwrap());
    let (expired, _) = made(&root, json!({ "policies": ["p"], "ttl": 1 })).await;
    let (revoked, _) = made(&root, json!({ "policies": ["p"] })).await;
    let weak = root.with_token(
        root.workload("weak", json!([{ "path": "secret/nothing", "capabilities": ["read"] }]))
            .await,
    );
    assert_eq!(revoked.post("auth/token/revoke", json!({})).await.0, 204);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let none = Api {
        token: None,
        ..root.clone()
    };
    let strangers = [
        ("none", none),
        ("expired", expired),
        ("expired access token", access),
        ("revoked", revoked),
        ("no token", root.with_token("srs_nonsense")),
        ("no JWT", root.with_token("a.b.c")),
    ];
    let mut tried = 0;
    for case in cases(&Names::nobody()) {
        let method = case.route.split(' ').next().unwrap();
        for (who, api) in &strangers {
            let answer = Ask::new(api, method, &case.path, case.body.clone()).send(api).await;
            assert_eq!(
                (answer.status, answer.code()),
                (401, "unauthenticated"),
                "{who}: {}",
                case.route
            );
            tried += 1;
        }
        let answer = Ask::new(&weak, method, &case.path, case.body.clone()).send(&weak).await;
        assert_eq!(answer.code(), "permission_denied", "{}: {}", case.route, answer.text);
        tried += 1;
    }
    println!("{on:?}: {tried} requests, each refused");
    server.terminate();
}

on_both_stores! { nobody_comes_in_who_may_not }
