//! Policies and roles.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::policies::{Policy, PolicyHistory, PolicyOrChanges, WritePolicy, Writing};
use strongroom_api::roles::{Role, WriteRole};
use strongroom_api::{Page, PageQuery};
use strongroom_domain::policy::Capability;

use super::{AT, PRINCIPAL};
use crate::native;
use crate::operation::{Operation, delete, get, put};

const POLICY: (&str, &str) = ("name", "payments-read");
const ROLE: (&str, &str) = ("name", "payments");

fn rules() -> Value {
    json!([{ "path": "secret/payments/prod/*", "capabilities": ["read", "list"] }])
}

pub(crate) fn policies() -> Vec<Operation> {
    let policy = json!({
        "name": "payments-read", "rules": rules(), "built_in": false, "version": 1, "created_at": AT, "updated_at": AT,
    });
    let built_in = json!({
        "name": "admin", "rules": [{ "path": "secret/*", "capabilities": Capability::GRANTS }], "built_in": true,
    });
    vec![
        get(
            "/api/v1/policies",
            "listPolicies",
            "List policies",
            native::policies::list,
        )
        .describe("Needs `list` on `sys/policies`.")
        .guarded()
        .query::<PageQuery>()
        .shows::<Page<Policy>>(StatusCode::OK, "A page, by name.")
        .example("all", StatusCode::OK, &[("limit", "100")])
        .shown(json!({ "items": [built_in] })),
        get(
            "/api/v1/policies/{name}",
            "readPolicy",
            "Read a policy",
            native::policies::read,
        )
        .describe("Needs `read` on `sys/policies/NAME`.")
        .guarded()
        .finds()
        .shows::<Policy>(StatusCode::OK, "The policy.")
        .example("policy", StatusCode::OK, &[POLICY])
        .shown(policy.clone()),
        write(policy),
        history(),
        delete(
            "/api/v1/policies/{name}",
            "deletePolicy",
            "Delete a policy",
            native::policies::delete,
        )
        .describe("Roles that name it lose what it granted. Needs `delete` on `sys/policies/NAME`.")
        .guarded()
        .finds()
        .changes()
        .ends("It is gone.")
        .example("policy", StatusCode::NO_CONTENT, &[POLICY]),
    ]
}

fn write(policy: Value) -> Operation {
    let deciding = json!({
        "path": "secret/payments/prod/*", "capabilities": ["read", "list"], "policies": ["payments-read"],
    });
    let lost = json!({
        "kind": "role", "name": "payments", "through": [{ "role": "payments" }], "change": "lost", "capability": "list",
        "path": "secret/payments/prod/*", "before": deciding,
        "after": { "path": "secret/payments/prod/*", "capabilities": ["read"], "policies": ["payments-read"] },
    });
    put(
        "/api/v1/policies/{name}",
        "writePolicy",
        "Write a policy",
        native::policies::write,
    )
    .describe(
        "One that is built in cannot be; the same rules again are no other version. With `dry_run` nothing is written: \
         the answer says which roles, clients, operators and service tokens would gain or lose which capability where, \
         by which rule before and after. Needs `create` or `update` on `sys/policies/NAME`, and for a dry run `read` on \
         `sys/explain` too.",
    )
    .guarded()
    .changes()
    .query::<Writing>()
    .takes::<WritePolicy>()
    .shows::<PolicyOrChanges>(StatusCode::OK, "The policy, or what writing it would change.")
    .example("policy", StatusCode::OK, &[POLICY])
    .sent(json!({ "rules": rules() }))
    .shown(policy)
    .example("dryRun", StatusCode::OK, &[POLICY, ("dry_run", "true")])
    .sent(json!({ "rules": [{ "path": "secret/payments/prod/*", "capabilities": ["read"] }] }))
    .shown(json!({ "changes": [lost], "more": false }))
}

fn history() -> Operation {
    get(
        "/api/v1/policy-versions/{name}",
        "readPolicyHistory",
        "Read what rules a policy has had",
        native::policies::history,
    )
    .describe("Its newest versions, at least the one before the current. Needs `read` on `sys/policies/NAME`.")
    .guarded()
    .finds()
    .shows::<PolicyHistory>(StatusCode::OK, "Its versions, newest first.")
    .example("policy", StatusCode::OK, &[POLICY])
    .shown(json!({ "name": "payments-read", "items": [
            { "version": 1, "rules": rules(), "written_at": AT, "principal": PRINCIPAL },
        ] }))
}

pub(crate) fn roles() -> Vec<Operation> {
    let bounds = json!({ "method": "ci", "claims": { "sub": "build" } });
    let role = json!({
        "name": "payments", "policies": ["payments-read"], "access_token_ttl": 300, "created_at": AT, "updated_at": AT,
    });
    vec![
        get("/api/v1/roles", "listRoles", "List roles", native::roles::list)
            .describe("Needs `list` on `sys/roles`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Role>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [role] })),
        get("/api/v1/roles/{name}", "readRole", "Read a role", native::roles::read)
            .describe("Needs `read` on `sys/roles/NAME`.")
            .guarded()
            .finds()
            .shows::<Role>(StatusCode::OK, "The role.")
            .example("role", StatusCode::OK, &[ROLE])
            .shown(role.clone()),
        put(
            "/api/v1/roles/{name}",
            "writeRole",
            "Write a role",
            native::roles::write,
        )
        .describe(
            "The policies it names must be there, and the login method that its bounds name. \
             Needs `create` or `update` on `sys/roles/NAME`.",
        )
        .guarded()
        .changes()
        .takes::<WriteRole>()
        .shows::<Role>(StatusCode::OK, "The role.")
        .example("role", StatusCode::OK, &[ROLE])
        .sent(json!({ "policies": ["payments-read"], "access_token_ttl": 300 }))
        .shown(role)
        .example("bound", StatusCode::OK, &[("name", "deploy")])
        .sent(json!({ "policies": ["payments-read"], "bounds": bounds }))
        .shown(json!({
            "name": "deploy", "policies": ["payments-read"], "access_token_ttl": 300, "bounds": bounds, "created_at": AT,
            "updated_at": AT,
        })),
        delete(
            "/api/v1/roles/{name}",
            "deleteRole",
            "Delete a role",
            native::roles::delete,
        )
        .describe("Its clients may do nothing any more. Needs `delete` on `sys/roles/NAME`.")
        .guarded()
        .finds()
        .changes()
        .ends("It is gone.")
        .example("role", StatusCode::NO_CONTENT, &[ROLE]),
    ]
}
