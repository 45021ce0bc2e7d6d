//! Who looks after an installation sees no value in it: every route is asked, and what answers is on a list.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::PASSWORD;
use crate::asks::Ask;
use crate::audit::routes::{EVALUATIONS, Names, cases, routes};
use crate::harness::{Api, On, Store};

/// What shows something to both, and no value.
const SHOWN: &[&str] = &[
    "GET audit",
    "GET clients",
    "GET clients/{id}",
    "GET dead-letters",
    "GET flag-evaluations/{project}/{environment}/{key}",
    "GET flag-sets",
    "GET flag-sets/{project}/{environment}/evaluators",
    "GET flag-sets/{project}/{environment}/flagd.json",
    "GET flag-versions/{project}/{environment}/{key}",
    "GET flags/{project}/{environment}",
    "GET flags/{project}/{environment}/{key}",
    "GET groups",
    "GET groups/{name}",
    "GET keys/slots",
    "GET lease-roles",
    "GET lease-roles/{name}",
    "GET leases",
    "GET list",
    "GET list/",
    "GET list/{*prefix}",
    "GET metadata/{*path}",
    "GET methods",
    "GET methods/{name}",
    "GET namespaces",
    "GET namespaces/{name}",
    "GET operators",
    "GET operators/{name}",
    "GET policies",
    "GET policies/{name}",
    "GET policy-versions/{name}",
    "GET reports/stale",
    "GET reports/stale-flags",
    "GET reports/unused",
    "GET roles",
    "GET roles/{name}",
    "GET rotation",
    "GET rotation/{*path}",
    "GET targets",
    "GET targets/{name}",
    "GET tokens",
    "GET versions/{*path}",
    "GET watch",
    "GET who-can",
    "POST auth/token/introspect",
    "POST auth/token/lookup",
    "POST explain",
];
/// What an operator of the installation does beyond that.
const OPERATED: &[&str] = &[
    "DELETE clients/{id}",
    "POST auth/token/revoke",
    "POST keys/data/rotate",
    "POST keys/signing/rotate",
    "POST rotation/{*path}",
];
/// Asked without a token, or of oneself.
const OPEN: &[&str] = &[
    "POST auth/client/login",
    "POST auth/password/login",
    "POST auth/{method}/login",
    "POST auth/{method}/start",
    "PUT auth/password",
    "POST auth/password/totp",
    "POST auth/password/totp/confirm",
    "GET auth/whoami",
    "POST leases/{lease}",
    "GET leases/{lease}",
    "DELETE leases/{lease}",
    "POST leases/{lease}/renew",
    "POST dead-letters/{id}",
    "GET /flags/{project}/{environment}/ofrep/v1/stream",
    "DELETE flag-sets/{project}/{environment}/browser-keys/{key_id}",
];

async fn no_value_is_shown(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let canary = "canary-that-is-read-by-nobody";
    for path in ["all/x", "all/y"] {
        for value in [json!({ "data": { "a": canary } }), json!({ "data": { "b": canary } })] {
            assert_eq!(root.put(&format!("secrets/{path}"), value).await.0, 201);
        }
    }
    let label = json!({ "label": "mine", "version": 1 });
    assert_eq!(root.put("labels/all/x", label).await.0, 200);
    for (noun, body) in [
        (
            "policies",
            json!({ "rules": [{ "path": "secret/x", "capabilities": ["read"] }] }),
        ),
        ("roles", json!({ "policies": [] })),
        ("groups", json!({ "policies": [] })),
    ] {
        assert_eq!(root.put(&format!("{noun}/new"), body).await.0, 200);
    }
    root.operator("kept", json!({})).await;
    assert_eq!(root.put("namespaces/team-x", Value::Null).await.0, 200);
    let method = json!({ "type": "jwt", "issuer": "https://issuer.test", "audiences": ["here"] });
    assert_eq!(root.put("methods/new", method).await.0, 200);
    let rotation = json!({ "rotator": "generate", "interval": "1h" });
    assert_eq!(root.put("rotation/rotated/x", rotation).await.0, 200);
    let target = json!({ "engine": "postgres", "address": "db.test", "credential": "all/x" });
    for name in ["new", "kept"] {
        assert_eq!(root.put(&format!("targets/{name}"), target.clone()).await.0, 200);
    }
    let definition = json!({ "state": "ENABLED", "variants": { "on": true } });
    let flag = json!({ "definition": definition });
    for path in ["flags/all/x/k", "flags/all/y/k"] {
        assert_eq!(root.put(path, flag.clone()).await.0, 200);
    }
    let lease_role = json!({ "target": "kept", "template": "reporting" });
    assert_eq!(root.put("lease-roles/new", lease_role).await.0, 200);
    for policy in ["auditor", "operator"] {
        root.operator(policy, json!({ "policies": [policy] })).await;
        let who = root.as_operator(policy, PASSWORD).await;
        let login = root
            .workload_login(
                &format!("client-of-{policy}"),
                json!([{ "path": "secret/x", "capabilities": ["read"] }]),
            )
            .await;
        let client = login["client_id"].as_str().unwrap().to_owned();
        let shown = root.get(&format!("clients/{client}")).await.1;
        let token = root.post("tokens", json!({ "policies": ["reader"] })).await.1;
        let cases = cases(&Names {
            token: token["accessor"].as_str().unwrap().to_owned(),
            secret_id: shown["secrets"][0]["secret_id"].as_str().unwrap().to_owned(),
            principal: shown["principal"].as_str().unwrap().to_owned(),
            operator: root.get("operators/kept").await.1["principal"]
                .as_str()
                .unwrap()
                .to_owned(),
            client,
        });
        let mut asked: BTreeSet<&str> = OPEN.iter().copied().chain(EVALUATIONS).collect();
        let mut allowed = BTreeSet::new();
        for case in &cases {
            asked.insert(case.route);
            let method = case.route.split(' ').next().unwrap();
            let answer = Ask::new(&who, method, &case.path, case.body.clone()).send(&root).await;
            assert!(
                !answer.text.contains(canary),
                "{policy}, {}: {}",
                case.route,
                answer.text
            );
            if answer.code() == "ok" {
                allowed.insert(case.route);
            } else {
                assert_eq!(
                    answer.code(),
                    "permission_denied",
                    "{policy}, {}: {}",
                    case.route,
                    answer.text
                );
            }
        }
        let asked: BTreeSet<String> = asked.into_iter().map(str::to_owned).collect();
        assert_eq!(asked, routes(), "every route of the router");
        let more: &[&str] = if policy == "operator" { OPERATED } else { &[] };
        let wanted: BTreeSet<&str> = SHOWN.iter().chain(more).copied().collect();
        assert_eq!(allowed, wanted, "{policy}");
        // Each way to name a version, and several at once.
        for query in [
            "?version=1",
            "?version=2",
            "?label=current",
            "?label=previous",
            "?label=mine",
        ] {
            let answer = Ask::get(&who, format!("secrets/all/x{query}")).send(&root).await;
            assert_eq!(answer.code(), "permission_denied", "{policy}, {query}: {}", answer.text);
        }
        for atomic in [true, false] {
            let same = json!({ "writes": [{ "path": "all/x", "data": { "b": canary }, "unless_same": true }], "atomic": atomic });
            let answer = Ask::new(&who, "POST", "batch", Some(same)).send(&root).await;
            assert_eq!(answer.code(), "permission_denied", "{policy}: {}", answer.text);
        }
        println!(
            "{on:?}: {policy}: {} of {} requests are answered, none with a value",
            allowed.len(),
            cases.len()
        );
    }
    server.terminate();
}

on_both_stores!(no_value_is_shown);
