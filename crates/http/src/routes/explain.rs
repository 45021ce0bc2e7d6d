//! Why something is allowed or denied, and who may.

use http::StatusCode;
use serde_json::json;
use strongroom_api::Page;
use strongroom_api::explain::{Explain, Explained, Holder, WhoCan};

use super::PRINCIPAL;
use crate::native;
use crate::operation::{Operation, get, post};

pub(crate) fn explain() -> Vec<Operation> {
    let deciding = json!({
        "path": "secret/payments/prod/*", "capabilities": ["read", "list"], "policies": ["payments-read"],
    });
    let role = json!({
        "kind": "role", "name": "payments", "root": false, "deciding": deciding,
        "through": [{ "role": "payments" }],
    });
    vec![
        post(
            "/api/v1/explain",
            "explain",
            "Explain why something is allowed or denied",
            native::explain::explain,
        )
        .describe(
            "By the policies as they are now: the rule that decides, and the smallest that would allow what is denied. \
             Whoever asks about itself needs nothing for it; about others it needs `read` on `sys/explain`.",
        )
        .guarded()
        .finds()
        .takes::<Explain>()
        .shows::<Explained>(StatusCode::OK, "What decides.")
        .example("access", StatusCode::OK, &[])
        .sent(json!({ "capability": "delete", "path": "payments/prod/database", "principal": "payments-api" }))
        .shown(json!({
            "decision": "no_grant", "principal": PRINCIPAL, "capability": "delete",
            "path": "secret/payments/prod/database", "root": false, "deciding": deciding, "missing": "delete",
            "detail": "'delete' on 'secret/payments/prod/database' is not granted. The most specific rule that matches is \
                       'secret/payments/prod/*' of payments-read, which grants read list. One policy more with this rule \
                       would allow it: {\"path\":\"secret/payments/prod/database\",\"capabilities\":[\"read\",\
                       \"delete\",\"list\"]}",
            "would_allow": {
                "path": "secret/payments/prod/database", "capabilities": ["read", "delete", "list"],
            },
        })),
        get(
            "/api/v1/who-can",
            "whoCan",
            "List who may do something",
            native::explain::who_can,
        )
        .describe(
            "Roles, clients, operators, service tokens and browser keys, each with the rule that decides. A page may have less than \
             `limit` and still not be the last. Needs `read` on `sys/explain`.",
        )
        .guarded()
        .query::<WhoCan>()
        .shows::<Page<Holder>>(StatusCode::OK, "A page.")
        .example(
            "read",
            StatusCode::OK,
            &[("capability", "read"), ("path", "payments/prod/database"), ("limit", "1")],
        )
        .shown(json!({ "items": [role], "next_cursor": "c29tZXdoZXJl" })),
    ]
}
