//! Tokens of every kind.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::tokens::{CreateToken, Created, Introspect, Introspected, Revoke, Token, WhichToken};
use strongroom_api::{Page, PageQuery};

use super::{ACCESSOR, AT, LATER, PRINCIPAL};
use crate::native::tokens;
use crate::operation::{Operation, get, post};

fn token() -> Value {
    json!({
        "accessor": ACCESSOR, "principal": PRINCIPAL, "root": false, "login": false, "policies": ["reader"], "depth": 1,
        "created_at": AT, "expires_at": LATER, "renewable": true, "renewable_until": LATER,
    })
}

/// A person's.
fn login() -> Value {
    json!({
        "accessor": ACCESSOR, "principal": PRINCIPAL, "root": false, "login": true, "policies": [], "depth": 0,
        "created_at": AT, "expires_at": LATER, "renewable": true, "renewable_until": LATER,
    })
}

pub(crate) fn tokens() -> Vec<Operation> {
    let mut created = token();
    if let Value::Object(fields) = &mut created {
        fields.insert("token".into(), json!("srs_c2VjcmV0"));
    }
    vec![
        get("/api/v1/tokens", "listTokens", "List service tokens", tokens::list)
            .describe("Those that hold. Needs `list` on `sys/tokens/`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Token>>(StatusCode::OK, "A page, in no order that means anything.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [token()] })),
        post("/api/v1/tokens", "createToken", "Make a token", tokens::create)
            .describe(
                "It ends with the caller's own service token, and can do no more. Needs `create` on `sys/tokens/`.",
            )
            .guarded()
            .changes()
            .takes::<CreateToken>()
            .shows::<Created>(StatusCode::CREATED, "The token, shown this once.")
            .example("reader", StatusCode::CREATED, &[])
            .sent(json!({ "policies": ["reader"], "ttl": 3600 }))
            .shown(created),
    ]
}

pub(crate) fn of_tokens() -> Vec<Operation> {
    vec![
        post("/api/v1/auth/token/renew", "renewToken", "Let a token hold on", tokens::renew)
            .describe(
                "For as long as it was made for, and to its maximum. By its accessor: needs `update` on \
                 `sys/tokens/ACCESSOR`.",
            )
            .oneself()
            .guarded()
            .finds()
            .changes()
            .takes::<WhichToken>()
            .shows::<Token>(StatusCode::OK, "Until when.")
            .example("own", StatusCode::OK, &[])
            .sent(json!({}))
            .shown(login()),
        post("/api/v1/auth/token/revoke", "revokeTokens", "End tokens", tokens::revoke)
            .describe(
                "Who holds a token may end it. By its accessor: needs `delete` on `sys/tokens/ACCESSOR`; all of a \
                 principal, a client or a role: `delete` on `sys/tokens/`. A request that comes after the answer is refused, \
                 on every node.",
            )
            .oneself()
            .guarded()
            .finds()
            .changes()
            .takes::<Revoke>()
            .ends("They hold no more.")
            .example("held", StatusCode::NO_CONTENT, &[])
            .sent(json!({ "token": "srs_c2VjcmV0" }))
            .example("role", StatusCode::NO_CONTENT, &[])
            .sent(json!({ "role": "payments" })),
        post("/api/v1/auth/token/lookup", "lookUpToken", "What a service token is", tokens::look_up)
            .describe("By its accessor: needs `read` on `sys/tokens/ACCESSOR`.")
            .oneself()
            .guarded()
            .finds()
            .takes::<WhichToken>()
            .shows::<Token>(StatusCode::OK, "Without what proves it.")
            .example("own", StatusCode::OK, &[])
            .sent(json!({}))
            .shown(login()),
        post(
            "/api/v1/auth/token/introspect",
            "introspectToken",
            "Whether a token holds",
            tokens::introspect,
        )
        .describe(
            "RFC 7662, with a form or JSON as the body. It uses up nothing of a token that is counted. Needs `read` on \
             `sys/tokens/`.",
        )
        .guarded()
        .takes::<Introspect>()
        .shows::<Introspected>(StatusCode::OK, "Of one that does not hold, `active` alone.")
        .example("unknown", StatusCode::OK, &[])
        .sent(json!({ "token": "srs_c2VjcmV0" }))
        .shown(json!({ "active": false })),
    ]
}
