//! Many secrets at once.

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};
use strongroom_api::Page;
use strongroom_api::batch::{BatchRequest, ReadAnswer, WriteAnswer};
use strongroom_api::list::{ListQuery, Listing};
use strongroom_api::reports::{ReportQuery, Reported, StaleFlag};

use super::AT;
use crate::native;
use crate::operation::{JSON, Operation, get, post};

fn listing(operation: Operation) -> Operation {
    operation
        .describe("What is directly below, or all below with `recursive`; only what the caller may `list`.")
        .guarded()
        .query::<ListQuery>()
        .shows::<Listing>(StatusCode::OK, "A page, by name.")
}

fn folder(name: &str) -> Value {
    json!({ "prefix": "", "items": [{ "name": name, "path": name, "folder": true }] })
}

pub(crate) fn folders() -> Vec<Operation> {
    let list = native::list::list;
    vec![
        listing(get("/api/v1/list", "listTop", "List the top folder", list))
            .example("top", StatusCode::OK, &[("limit", "10")])
            .shown(folder("payments")),
        listing(get(
            "/api/v1/list/",
            "listRoot",
            "List the top folder, written as a folder",
            list,
        ))
        .example("top", StatusCode::OK, &[])
        .shown(folder("payments")),
        listing(get("/api/v1/list/{*prefix}", "listFolder", "List a folder", list))
            .example(
                "search",
                StatusCode::OK,
                &[("prefix", "payments/prod"), ("type", "database"), ("tag", "tier:1")],
            )
            .shown(json!({ "prefix": "payments/prod", "items": [
                {
                    "name": "database", "path": "payments/prod/database", "folder": false, "version": 2,
                    "updated_at": AT,
                },
            ] })),
    ]
}

/// Of the two kinds of batch.
struct Either;

impl JsonSchema for Either {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BatchAnswer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (reads, writes) = (
            generator.subschema_for::<ReadAnswer>(),
            generator.subschema_for::<WriteAnswer>(),
        );
        schemars::json_schema!({ "anyOf": [reads, writes] })
    }
}

pub(crate) fn batch() -> Vec<Operation> {
    let either = |generator: &mut SchemaGenerator| generator.subschema_for::<Either>();
    let gone = json!({
        "type": "urn:strongroom:error:not_found", "title": "Nothing is there", "status": 404,
        "detail": "There is no such secret.", "code": "not_found",
        "help": "Check the spelling; 'list' shows what you may see.",
    });
    vec![
        post(
            "/api/v1/batch",
            "batch",
            "Read or write up to 1,000 secrets",
            native::batch::batch,
        )
        .describe(
            "Each item has its own outcome, in the order of the request; with `atomic`, all are written or none. \
                `Idempotency-Key` belongs to atomic writes.",
        )
        .guarded()
        .finds()
        .changes()
        .takes::<BatchRequest>()
        .answers(StatusCode::OK, "An outcome for each item.", Some((JSON, either)))
        .example("writes", StatusCode::OK, &[])
        .sent(json!({ "writes": [{ "path": "payments/test/api-key", "value": "t3st" }], "atomic": true }))
        .shown(json!({ "items": [{
                "path": "payments/test/api-key", "version": 1, "id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                "created_at": AT, "unchanged": false,
            }] }))
        .example("reads", StatusCode::OK, &[])
        .sent(json!({ "reads": [{ "path": "payments/test/api-key" }, { "path": "payments/test/absent" }] }))
        .shown(json!({ "items": [
                {
                    "path": "payments/test/api-key", "version": 1, "id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                    "labels": ["current"], "created_at": AT, "value": "t3st",
                },
                { "path": "payments/test/absent", "error": gone },
            ] })),
    ]
}

pub(crate) fn reports() -> Vec<Operation> {
    let report = |operation: Operation| {
        operation
            .describe("Only secrets that the caller may `list`.")
            .guarded()
            .query::<ReportQuery>()
            .shows::<Page<Reported>>(StatusCode::OK, "A page, by path.")
    };
    let page = json!({ "items": [] });
    vec![
        report(get(
            "/api/v1/reports/unused",
            "reportUnused",
            "Secrets that nobody has read for long",
            native::reports::unused,
        ))
        .example("year", StatusCode::OK, &[("days", "365")])
        .shown(page.clone()),
        report(get(
            "/api/v1/reports/stale",
            "reportStale",
            "Secrets that nobody has written for long",
            native::reports::stale,
        ))
        .example("year", StatusCode::OK, &[("days", "365")])
        .shown(page.clone()),
        get(
            "/api/v1/reports/stale-flags",
            "reportStaleFlags",
            "Flags that may be stale",
            native::reports::stale_flags,
        )
        .describe(
            "Only flags of which the caller may see the name, and none that is permanent. `days` is 30 unless said.",
        )
        .guarded()
        .query::<ReportQuery>()
        .shows::<Page<StaleFlag>>(StatusCode::OK, "A page, by name.")
        .example("month", StatusCode::OK, &[("days", "30")])
        .shown(page),
    ]
}
