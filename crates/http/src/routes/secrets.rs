//! Values and their history.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::secrets::{Deleted, PatchSecret, ReadQuery, Secret, WriteSecret, Written};
use strongroom_api::versions::{ChangeVersions, Changed, History};

use super::{AT, PRINCIPAL};
use crate::native;
use crate::operation::{Operation, delete, get, patch, post, put};

const PATH: &str = "/api/v1/secrets/{*path}";
const VERSIONS: &str = "/api/v1/versions/{*path}";
const DATABASE: (&str, &str) = ("path", "payments/prod/database");
const KEY: (&str, &str) = ("path", "payments/prod/api-key");
const FIRST: &str = "2c9d1e7f4a5b60819283a4b5c6d7e8f9";
const SECOND: &str = "6e1f0a2b3c4d5e6f708192a3b4c5d6e7";

fn written(path: &str, version: i64, id: &str) -> Value {
    json!({ "path": path, "version": version, "id": id, "created_at": AT })
}

pub(crate) fn values() -> Vec<Operation> {
    vec![read(), write(), merge(), remove()]
}

fn read() -> Operation {
    get(PATH, "readSecret", "Read a value", native::secrets::read)
        .describe(
            "The version under the label `current`, unless another is asked for by number or by label, not both. With `wait` \
            the answer comes once a newer version than that is current. Needs `read`.",
        )
        .guarded()
        .finds()
        .query::<ReadQuery>()
        .shows::<Secret>(StatusCode::OK, "One version and its value.")
        .answers(StatusCode::NOT_MODIFIED, "No newer version became current in that time.", None)
        .example("current", StatusCode::OK, &[DATABASE])
        .shown(json!({
            "path": "payments/prod/database", "version": 1, "id": FIRST, "labels": ["current"], "created_at": AT,
            "data": { "user": "app", "password": "correct horse" },
        }))
        .example("numbered", StatusCode::OK, &[KEY, ("version", "1")])
        .shown(json!({
            "path": "payments/prod/api-key", "version": 1, "id": FIRST, "labels": ["current"], "created_at": AT,
            "value": "s3cr3t",
        }))
}

fn write() -> Operation {
    put(PATH, "writeSecret", "Write a new version", native::secrets::write)
        .describe(
            "Needs `create` for the first version and `update` for later ones. `id` does for this write what \
            `Idempotency-Key` does for every change.",
        )
        .guarded()
        .finds()
        .changes()
        .takes::<WriteSecret>()
        .shows::<Written>(StatusCode::CREATED, "A new version.")
        .shows::<Written>(StatusCode::OK, "The version that the same request has written before.")
        .example("object", StatusCode::CREATED, &[DATABASE])
        .sent(json!({ "data": { "user": "app", "password": "correct horse" }, "cas": 0 }))
        .shown(written("payments/prod/database", 1, FIRST))
        .example("text", StatusCode::CREATED, &[KEY])
        .sent(json!({ "value": "s3cr3t", "id": FIRST }))
        .shown(written("payments/prod/api-key", 1, FIRST))
        .example("repeated", StatusCode::OK, &[KEY])
        .sent(json!({ "value": "s3cr3t", "id": FIRST }))
        .shown(written("payments/prod/api-key", 1, FIRST))
        .example("bytes", StatusCode::CREATED, &[("path", "payments/prod/seal")])
        .sent(json!({ "bytes": "AAEC/w==", "labels": ["pending"] }))
        .shown(written("payments/prod/seal", 1, SECOND))
}

fn merge() -> Operation {
    patch(
        PATH,
        "patchSecret",
        "Change fields of a JSON value",
        native::secrets::patch,
    )
    .describe("A JSON merge patch (RFC 7396) of the current version makes a new one. Needs `patch`.")
    .guarded()
    .finds()
    .changes()
    .takes::<PatchSecret>()
    .shows::<Written>(StatusCode::OK, "The new version.")
    .example("password", StatusCode::OK, &[DATABASE])
    .sent(json!({ "data": { "password": "battery staple" }, "cas": 1 }))
    .shown(written("payments/prod/database", 2, SECOND))
}

fn remove() -> Operation {
    delete(
        PATH,
        "deleteSecret",
        "Delete the current version",
        native::secrets::delete,
    )
    .describe("It can be undeleted. Needs `delete`.")
    .guarded()
    .finds()
    .changes()
    .shows::<Deleted>(StatusCode::OK, "What is deleted now.")
    .example("current", StatusCode::OK, &[DATABASE])
    .shown(json!({ "path": "payments/prod/database", "version": 2 }))
}

pub(crate) fn versions() -> Vec<Operation> {
    let history = json!({
        "path": "payments/prod/database", "current": 2, "labels": { "current": 2, "previous": 1 },
        "versions": [
            {
                "version": 1, "id": FIRST, "state": "live", "labels": ["previous"], "created_at": AT,
                "created_by": PRINCIPAL,
            },
            {
                "version": 2, "id": SECOND, "state": "live", "labels": ["current"], "created_at": AT,
                "created_by": PRINCIPAL,
            },
        ],
    });
    vec![
        get(
            VERSIONS,
            "readHistory",
            "Read a secret's history",
            native::versions::history,
        )
        .describe("Its versions without their values. Needs `list`.")
        .guarded()
        .finds()
        .shows::<History>(StatusCode::OK, "Versions, oldest first.")
        .example("history", StatusCode::OK, &[DATABASE])
        .shown(history),
        post(
            VERSIONS,
            "changeVersions",
            "Undelete or destroy versions",
            native::versions::change,
        )
        .describe("Destroying is for ever. Needs `update` to undelete, `destroy` to destroy.")
        .guarded()
        .finds()
        .changes()
        .takes::<ChangeVersions>()
        .shows::<Changed>(StatusCode::OK, "The versions that are so now.")
        .example("undelete", StatusCode::OK, &[DATABASE])
        .sent(json!({ "action": "undelete", "versions": [2] }))
        .shown(json!({ "path": "payments/prod/database", "versions": [2] }))
        .example("destroy", StatusCode::OK, &[DATABASE])
        .sent(json!({ "action": "destroy", "versions": [1] }))
        .shown(json!({ "path": "payments/prod/database", "versions": [1] })),
    ]
}
