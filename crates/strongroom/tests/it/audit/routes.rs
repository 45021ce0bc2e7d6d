//! The native API's routes as the router has them, and a request to each with what the log must say of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_http::Route;

/// `METHOD /route` of the native API, as the router has them.
pub(crate) fn routes() -> BTreeSet<String> {
    let native = strongroom_http::every_route().into_iter().filter(|route| !route.exempt);
    let name = |route: Route| {
        let path = route.path.strip_prefix("/api/v1/").unwrap_or(route.path);
        format!("{} {path}", route.method)
    };
    native.map(name).collect()
}

/// Counted rather than entered, or opened by what stands in the address; tried by the tests of flags.
pub(crate) const EVALUATIONS: [&str; 2] = [
    "POST /flags/{project}/{environment}/ofrep/v1/evaluate/flags",
    "POST /flags/{project}/{environment}/ofrep/v1/evaluate/flags/{key}",
];

/// What is asked for, and what the log must say of it.
pub(crate) struct Case {
    pub(crate) route: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) action: &'static str,
    /// In the entry, of a success and of a denial.
    pub(crate) about: [String; 2],
}

pub(crate) struct Names {
    pub(crate) client: String,
    pub(crate) secret_id: String,
    pub(crate) principal: String,
    /// The principal of the operator `kept`.
    pub(crate) operator: String,
    /// A service token's accessor.
    pub(crate) token: String,
}

impl Names {
    /// Of nothing that there is.
    pub(crate) fn nobody() -> Self {
        let id = |digit: &str| digit.repeat(32);
        Self {
            client: id("1"),
            secret_id: id("2"),
            principal: id("3"),
            operator: id("4"),
            token: id("5"),
        }
    }
}

impl Case {
    /// With the whole path, as the router has it.
    pub(crate) fn full_route(&self) -> String {
        let (method, path) = self.route.split_once(' ').unwrap();
        format!("{method} /api/v1/{path}")
    }
}

pub(crate) fn cases(names: &Names) -> Vec<Case> {
    let Names {
        client,
        secret_id,
        principal,
        operator,
        token,
    } = names;
    let rules = || json!({"rules": [{"path": "secret/x", "capabilities": ["read"]}]});
    let case = |route, path: &str, body, action, about: [&str; 2]| Case {
        route,
        path: path.into(),
        body,
        action,
        about: about.map(str::to_owned),
    };
    let same = |route, path: &str, body, action, about: &str| case(route, path, body, action, [about, about]);
    let metadata = |owner| Some(json!({"owner": owner}));
    let undelete = json!({"action": "undelete", "versions": [2]});
    let flag = json!({"definition": {"state": "ENABLED", "variants": {"on": true}}});
    let batch = json!({"reads": [{"path": "all/x"}]});
    vec![
        same(
            "POST explain",
            "explain",
            Some(json!({"capability": "read", "path": "all/x", "principal": operator})),
            "access.explain",
            "secret/all/x",
        ),
        same(
            "GET who-can",
            "who-can?capability=read&path=all/x",
            None,
            "access.who_can",
            "secret/all/x",
        ),
        same("GET watch", "watch?prefix=all/x&wait=1", None, "watch.read", "all/x"),
        same(
            "PUT secrets/{*path}",
            "secrets/all/x",
            Some(json!({"data": {"a": 1}})),
            "secret.write",
            "all/x",
        ),
        same(
            "PATCH secrets/{*path}",
            "secrets/all/x",
            Some(json!({"data": {"b": 2}})),
            "secret.patch",
            "all/x",
        ),
        same("GET secrets/{*path}", "secrets/all/x", None, "secret.read", "all/x"),
        same(
            "DELETE secrets/{*path}",
            "secrets/all/x",
            None,
            "secret.delete",
            "all/x",
        ),
        same(
            "GET versions/{*path}",
            "versions/all/x",
            None,
            "secret.history",
            "all/x",
        ),
        same(
            "POST versions/{*path}",
            "versions/all/x",
            Some(undelete),
            "secret.undelete",
            "all/x",
        ),
        same("GET metadata/{*path}", "metadata/all/x", None, "metadata.read", "all/x"),
        same(
            "PUT metadata/{*path}",
            "metadata/all/x",
            metadata("a"),
            "metadata.write",
            "all/x",
        ),
        same(
            "PATCH metadata/{*path}",
            "metadata/all/x",
            metadata("b"),
            "metadata.write",
            "all/x",
        ),
        same(
            "DELETE metadata/{*path}",
            "metadata/all/x",
            None,
            "secret.retire",
            "all/x",
        ),
        same(
            "POST metadata/{*path}",
            "metadata/all/x",
            Some(json!({"action": "restore"})),
            "secret.restore",
            "all/x",
        ),
        same("GET reports/unused", "reports/unused", None, "report.read", "unused"),
        same(
            "GET reports/stale-flags",
            "reports/stale-flags?days=1",
            None,
            "report.read",
            "stale-flags",
        ),
        same(
            "GET reports/stale",
            "reports/stale?days=1",
            None,
            "report.read",
            "stale",
        ),
        same(
            "PUT labels/{*path}",
            "labels/all/x",
            Some(json!({"label": "mine", "version": 1})),
            "label.move",
            "all/x",
        ),
        same(
            "DELETE labels/{*path}",
            "labels/all/x?label=mine",
            None,
            "label.remove",
            "all/x",
        ),
        same("GET list", "list", None, "secret.list", ""),
        same("GET list/", "list/", None, "secret.list", ""),
        same("GET list/{*prefix}", "list/all", None, "secret.list", "all"),
        same("POST batch", "batch", Some(batch), "secret.read", "all/x"),
        same("GET policies", "policies", None, "policy.read", ""),
        same(
            "PUT policies/{name}",
            "policies/new",
            Some(rules()),
            "policy.write",
            "new",
        ),
        same(
            "PUT policies/{name}",
            "policies/new?dry_run=true",
            Some(rules()),
            "policy.dry_run",
            "new",
        ),
        same("GET policies/{name}", "policies/new", None, "policy.read", "new"),
        same(
            "GET policy-versions/{name}",
            "policy-versions/new",
            None,
            "policy.history",
            "new",
        ),
        same("DELETE policies/{name}", "policies/new", None, "policy.delete", "new"),
        same("GET roles", "roles", None, "role.read", ""),
        same(
            "PUT roles/{name}",
            "roles/new",
            Some(json!({"policies": []})),
            "role.write",
            "new",
        ),
        same("GET roles/{name}", "roles/new", None, "role.read", "new"),
        same("DELETE roles/{name}", "roles/new", None, "role.delete", "new"),
        same(
            "PUT rotation/{*path}",
            "rotation/rotated/x",
            Some(json!({"rotator": "generate", "interval": "1h"})),
            "rotation.write",
            "rotated/x",
        ),
        same("GET rotation", "rotation", None, "rotation.read", ""),
        same(
            "GET rotation/{*path}",
            "rotation/rotated/x",
            None,
            "rotation.read",
            "rotated/x",
        ),
        same(
            "POST rotation/{*path}",
            "rotation/rotated/x",
            Some(json!({"action": "pause"})),
            "rotation.tell",
            "rotated/x",
        ),
        same(
            "DELETE rotation/{*path}",
            "rotation/rotated/x",
            None,
            "rotation.delete",
            "rotated/x",
        ),
        same("GET lease-roles", "lease-roles", None, "lease_role.read", ""),
        same(
            "PUT lease-roles/{name}",
            "lease-roles/new",
            Some(json!({"target": "kept", "template": "reporting"})),
            "lease_role.write",
            "new",
        ),
        same(
            "GET lease-roles/{name}",
            "lease-roles/new",
            None,
            "lease_role.read",
            "new",
        ),
        same(
            "DELETE lease-roles/{name}",
            "lease-roles/new",
            None,
            "lease_role.delete",
            "new",
        ),
        same("GET leases", "leases", None, "lease.read", ""),
        same("GET dead-letters", "dead-letters", None, "dead_letter.read", ""),
        same("GET targets", "targets", None, "target.read", ""),
        same(
            "PUT targets/{name}",
            "targets/new",
            Some(json!({"engine": "postgres", "address": "db.test", "credential": "all/x"})),
            "target.write",
            "new",
        ),
        same("GET targets/{name}", "targets/new", None, "target.read", "new"),
        same("DELETE targets/{name}", "targets/new", None, "target.delete", "new"),
        same("GET methods", "methods", None, "method.read", ""),
        same(
            "PUT methods/{name}",
            "methods/new",
            Some(json!({"type": "jwt", "issuer": "https://issuer.test", "audiences": ["us"]})),
            "method.write",
            "new",
        ),
        same("GET methods/{name}", "methods/new", None, "method.read", "new"),
        same("DELETE methods/{name}", "methods/new", None, "method.delete", "new"),
        same("GET groups", "groups", None, "group.read", ""),
        same(
            "PUT groups/{name}",
            "groups/new",
            Some(json!({"policies": []})),
            "group.write",
            "new",
        ),
        same("GET groups/{name}", "groups/new", None, "group.read", "new"),
        same("DELETE groups/{name}", "groups/new", None, "group.delete", "new"),
        same("GET operators", "operators", None, "operator.read", ""),
        // A person is named by its principal; who is denied learned of none.
        case(
            "PUT operators/{name}",
            "operators/kept",
            Some(json!({})),
            "operator.write",
            [operator, ""],
        ),
        case(
            "GET operators/{name}",
            "operators/kept",
            None,
            "operator.read",
            [operator, ""],
        ),
        case(
            "PUT operators/{name}/password",
            "operators/kept/password",
            Some(json!({"password": "correct horse battery staple"})),
            "operator.password",
            [operator, ""],
        ),
        case(
            "DELETE operators/{name}/totp",
            "operators/kept/totp",
            None,
            "operator.totp",
            [operator, ""],
        ),
        case(
            "DELETE operators/{name}",
            "operators/kept",
            None,
            "operator.delete",
            [operator, ""],
        ),
        same("GET clients", "clients", None, "client.read", ""),
        // Its id is not known before.
        case(
            "POST clients",
            "clients",
            Some(json!({"name": "new", "role": "kept"})),
            "client.create",
            ["<client_id>", ""],
        ),
        same(
            "GET clients/{id}",
            &format!("clients/{client}"),
            None,
            "client.read",
            client,
        ),
        same(
            "POST clients/{id}/secrets",
            &format!("clients/{client}/secrets"),
            Some(json!({})),
            "client.secret_create",
            client,
        ),
        same(
            "DELETE clients/{id}/secrets/{secret_id}",
            &format!("clients/{client}/secrets/{secret_id}"),
            None,
            "client.secret_delete",
            client,
        ),
        same(
            "POST principals/{id}/erase",
            &format!("principals/{principal}/erase"),
            Some(json!({})),
            "principal.erase",
            principal,
        ),
        same(
            "DELETE clients/{id}",
            &format!("clients/{client}"),
            None,
            "client.delete",
            client,
        ),
        same(
            "PUT flags/{project}/{environment}/{key}",
            "flags/all/x/k",
            Some(flag.clone()),
            "flag.write",
            "all/x/k",
        ),
        same(
            "GET flags/{project}/{environment}/{key}",
            "flags/all/x/k",
            None,
            "flag.read",
            "all/x/k",
        ),
        same(
            "GET flags/{project}/{environment}",
            "flags/all/x",
            None,
            "flag_set.read",
            "all/x",
        ),
        same(
            "GET flag-versions/{project}/{environment}/{key}",
            "flag-versions/all/x/k",
            None,
            "flag.history",
            "all/x/k",
        ),
        same(
            "GET flag-evaluations/{project}/{environment}/{key}",
            "flag-evaluations/all/x/k",
            None,
            "flag.counts",
            "all/x/k",
        ),
        same("GET flag-sets", "flag-sets", None, "flag_set.read", ""),
        same(
            "PUT flag-sets/{project}/{environment}/evaluators",
            "flag-sets/all/x/evaluators",
            Some(json!({"evaluators": {"always": {"==": [1, 1]}}})),
            "flag_set.write",
            "all/x",
        ),
        same(
            "GET flag-sets/{project}/{environment}/evaluators",
            "flag-sets/all/x/evaluators",
            None,
            "flag_set.read",
            "all/x",
        ),
        same(
            "GET flag-sets/{project}/{environment}/flagd.json",
            "flag-sets/all/x/flagd.json",
            None,
            "flag_set.read",
            "all/x",
        ),
        case(
            "PUT flag-sets/{project}/{environment}/flagd.json",
            "flag-sets/all/y/flagd.json",
            Some(json!({"flags": {"i": flag["definition"]}})),
            "flag_set.import",
            ["all/y/i", "all/y"],
        ),
        case(
            "POST flag-sets/{project}/{environment}/copy",
            "flag-sets/all/y/copy",
            Some(json!({"from": {"project": "all", "environment": "x"}})),
            "flag_set.copy",
            ["all/y/k", "all/y"],
        ),
        same(
            "POST flag-sets/{project}/{environment}/browser-keys",
            "flag-sets/all/x/browser-keys",
            Some(json!({"origins": ["https://shop.example.com"]})),
            "flag_set.browser_key_create",
            "all/x",
        ),
        same(
            "GET flag-sets/{project}/{environment}/browser-keys",
            "flag-sets/all/x/browser-keys",
            None,
            "flag_set.browser_key_read",
            "all/x",
        ),
        same(
            "POST flag-versions/{project}/{environment}/{key}",
            "flag-versions/all/y/k",
            Some(json!({"action": "rollback", "version": 1})),
            "flag.rollback",
            "all/y/k",
        ),
        same(
            "DELETE flags/{project}/{environment}/{key}",
            "flags/all/x/k",
            None,
            "flag.delete",
            "all/x/k",
        ),
        same("GET tokens", "tokens", None, "token.read", ""),
        case(
            "POST tokens",
            "tokens",
            Some(json!({"policies": ["reader"]})),
            "token.create",
            ["<accessor>", ""],
        ),
        case(
            "POST auth/token/lookup",
            "auth/token/lookup",
            Some(json!({"accessor": token})),
            "token.read",
            [token, ""],
        ),
        case(
            "POST auth/token/renew",
            "auth/token/renew",
            Some(json!({"accessor": token})),
            "token.renew",
            [token, ""],
        ),
        case(
            "POST auth/token/revoke",
            "auth/token/revoke",
            Some(json!({"accessor": token})),
            "token.revoke",
            [token, ""],
        ),
        same(
            "POST auth/token/introspect",
            "auth/token/introspect",
            Some(json!({"token": "srs_none"})),
            "token.read",
            "",
        ),
        same("GET namespaces", "namespaces", None, "namespace.read", ""),
        same(
            "PUT namespaces/{name}",
            "namespaces/team-x",
            None,
            "namespace.write",
            "team-x",
        ),
        same(
            "GET namespaces/{name}",
            "namespaces/team-x",
            None,
            "namespace.read",
            "team-x",
        ),
        same(
            "POST namespaces/{name}/token",
            "namespaces/team-x/token",
            None,
            "namespace.token",
            "team-x",
        ),
        same(
            "POST keys/signing/rotate",
            "keys/signing/rotate",
            Some(json!({})),
            "key.signing_rotate",
            "",
        ),
        same("POST keys/data/rotate", "keys/data/rotate", None, "key.data_rotate", ""),
        same("GET keys/slots", "keys/slots", None, "key.slot_read", ""),
        same(
            "POST keys/slots",
            "keys/slots",
            Some(json!({"name": "safe", "method": "recovery"})),
            "key.slot_add",
            "safe",
        ),
        same(
            "DELETE keys/slots/{name}",
            "keys/slots/safe",
            None,
            "key.slot_remove",
            "safe",
        ),
        same("GET audit", "audit?limit=1", None, "audit.read", ""),
        // The last: what is removed behind its answer may let others decide, and record, again.
        same(
            "DELETE namespaces/{name}",
            "namespaces/team-x",
            None,
            "namespace.delete",
            "team-x",
        ),
    ]
}
