//! What is shown to anybody and recorded nowhere.

use http::StatusCode;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::operation::{JSON, Operation, get};
use crate::{health, openapi};

fn readiness(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["ready", "problems"],
        "properties": {
            "ready": { "type": "boolean" },
            "problems": { "type": "array", "items": { "type": "string" }, "description": "Why not, and what to do." },
            "warnings": {
                "type": "array", "items": { "type": "string" },
                "description": "What somebody has to do though it serves; absent: nothing.",
            },
        },
    })
}

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

pub(crate) fn version() -> Operation {
    let schema = |_: &mut SchemaGenerator| {
        json_schema!({
            "type": "object",
            "required": ["name", "version"],
            "properties": { "name": { "const": "strongroom" }, "version": { "type": "string" } },
        })
    };
    get("/", "version", "Which program this is", health::version)
        .open()
        .answers(StatusCode::OK, "The program and its version.", Some((JSON, schema)))
        .example("version", StatusCode::OK, &[])
        .shown(json!({ "name": "strongroom", "version": env!("CARGO_PKG_VERSION") }))
}

pub(crate) fn alive() -> Operation {
    let schema = |_: &mut SchemaGenerator| {
        json_schema!({
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "const": "alive" } },
        })
    };
    get("/health", "alive", "Whether the process lives", health::alive)
        .open()
        .unlimited()
        .answers(StatusCode::OK, "It does.", Some((JSON, schema)))
        .example("alive", StatusCode::OK, &[])
        .shown(json!({ "status": "alive" }))
}

pub(crate) fn ready() -> Operation {
    get("/ready", "ready", "Whether the node can serve", health::ready)
        .open()
        .unlimited()
        .answers(StatusCode::OK, "It can.", Some((JSON, readiness)))
        .answers(
            StatusCode::SERVICE_UNAVAILABLE,
            "It cannot, and why.",
            Some((JSON, readiness)),
        )
        .example("ready", StatusCode::OK, &[])
        .shown(json!({ "ready": true, "problems": [] }))
}

pub(crate) fn metrics() -> Operation {
    let schema = |_: &mut SchemaGenerator| json_schema!({ "type": "string" });
    get("/metrics", "metrics", "What Prometheus scrapes", health::metrics)
        .describe("Not here, but on a listener of their own, where `metrics_listen` is set.")
        .open()
        .answers(
            StatusCode::OK,
            "Prometheus' text format.",
            Some(("text/plain; version=0.0.4; charset=utf-8", schema)),
        )
        .example("metrics", StatusCode::OK, &[])
        .shown(json!(
            "# TYPE strongroom_http_connections gauge\nstrongroom_http_connections 1\n"
        ))
}

pub(crate) fn description() -> Operation {
    get(
        "/api/v1/openapi.json",
        "description",
        "This description",
        openapi::serve,
    )
    .open()
    .answers(StatusCode::OK, "OpenAPI 3.1.", Some((JSON, object)))
    .example("description", StatusCode::OK, &[])
    .shown(json!({ "openapi": "3.1.0" }))
}

pub(crate) fn jwks() -> Operation {
    let schema = |_: &mut SchemaGenerator| {
        json_schema!({
            "type": "object",
            "required": ["keys"],
            "properties": { "keys": { "type": "array", "items": {
                "type": "object",
                "required": ["kty", "crv", "use", "alg", "kid", "x"],
                "properties": {
                    "kty": { "const": "OKP" },
                    "crv": { "const": "Ed25519" },
                    "use": { "const": "sig" },
                    "alg": { "const": "EdDSA" },
                    "kid": { "type": "string" },
                    "x": { "type": "string" },
                },
            } } },
        })
    };
    get(
        "/.well-known/jwks.json",
        "jwks",
        "The keys that verify access tokens",
        health::jwks,
    )
    .open()
    .answers(StatusCode::OK, "A JSON Web Key Set (RFC 7517).", Some((JSON, schema)))
    .example("jwks", StatusCode::OK, &[])
    .shown(json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }] }))
}

pub(crate) fn discovery() -> Operation {
    get(
        "/.well-known/openid-configuration",
        "discovery",
        "OpenID Connect discovery, for who only verifies tokens",
        health::discovery,
    )
    .open()
    .answers(StatusCode::OK, "Where the keys are.", Some((JSON, object)))
    .example("discovery", StatusCode::OK, &[])
    .shown(json!({
        "issuer": "http://strongroom.example",
        "jwks_uri": "http://strongroom.example/.well-known/jwks.json",
        "token_endpoint": "http://strongroom.example/api/v1/auth/client/login",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "claims_supported": [
            "iss", "aud", "sub", "client_id", "iat", "nbf", "exp", "jti", "namespace", "method", "role",
            "credential", "generations",
        ],
    }))
}
