//! What is said about secrets, their labels, and how they end.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::labels::{MoveLabel, Moved, RemoveQuery};
use strongroom_api::metadata::{ChangeSecret, DeleteQuery, Describe, Described, Patch, Retired};

use super::{AT, LATER};
use crate::native;
use crate::operation::{Operation, delete, get, patch, post, put};

const PATH: &str = "/api/v1/metadata/{*path}";
const LABELS: &str = "/api/v1/labels/{*path}";
const DATABASE: (&str, &str) = ("path", "payments/prod/database");
const KEY: (&str, &str) = ("path", "payments/prod/api-key");

fn described(owner: Option<&str>) -> Value {
    json!({
        "path": "payments/prod/database", "description": "The ledger's database", "type": "database",
        "owner": owner, "tags": { "tier": "1" }, "max_versions": 20, "cas_required": false,
        "current_version": 2, "created_at": AT, "updated_at": AT,
    })
}

pub(crate) fn said() -> Vec<Operation> {
    vec![
        get(
            PATH,
            "readMetadata",
            "Read what is said about a secret",
            native::metadata::read,
        )
        .describe("Needs `list`.")
        .guarded()
        .finds()
        .shows::<Described>(StatusCode::OK, "Its metadata.")
        .example("metadata", StatusCode::OK, &[DATABASE])
        .shown(described(None)),
        put(
            PATH,
            "replaceMetadata",
            "Say something else about a secret",
            native::metadata::replace,
        )
        .describe("What is left out is emptied. Needs `update`, or `create` where there is no secret yet.")
        .guarded()
        .finds()
        .changes()
        .takes::<Describe>()
        .shows::<Described>(StatusCode::OK, "Its metadata.")
        .example("metadata", StatusCode::OK, &[DATABASE])
        .sent(json!({
            "description": "The ledger's database", "type": "database", "owner": "team-payments",
            "tags": { "tier": "1" }, "max_versions": 20,
        }))
        .shown(described(Some("team-payments"))),
        patch(
            PATH,
            "patchMetadata",
            "Change some of what is said about a secret",
            native::metadata::patch,
        )
        .describe("A JSON merge patch (RFC 7396): what is left out stays, `null` empties. Needs `patch`.")
        .guarded()
        .finds()
        .changes()
        .takes::<Patch>()
        .shows::<Described>(StatusCode::OK, "Its metadata.")
        .example("nobody's", StatusCode::OK, &[DATABASE])
        .sent(json!({ "owner": null }))
        .shown(described(None)),
    ]
}

pub(crate) fn ends() -> Vec<Operation> {
    vec![
        delete(
            PATH,
            "deleteMetadata",
            "Delete a secret with its history",
            native::metadata::delete,
        )
        .describe("It can be restored for a while (`delete`), or goes at once with `purge` (`destroy`), not both.")
        .guarded()
        .finds()
        .changes()
        .query::<DeleteQuery>()
        .shows::<Retired>(StatusCode::OK, "It is pending deletion.")
        .ends("It is gone.")
        .example("retired", StatusCode::OK, &[KEY, ("recovery_days", "7")])
        .shown(json!({ "path": "payments/prod/api-key", "pending_until": LATER }))
        .example("purged", StatusCode::NO_CONTENT, &[KEY, ("purge", "true")]),
        post(
            PATH,
            "restoreSecret",
            "Take back a pending deletion",
            native::metadata::change,
        )
        .describe("Needs `update`.")
        .guarded()
        .finds()
        .changes()
        .takes::<ChangeSecret>()
        .ends("It is as it was.")
        .example("restored", StatusCode::NO_CONTENT, &[KEY])
        .sent(json!({ "action": "restore" })),
    ]
}

pub(crate) fn labels() -> Vec<Operation> {
    vec![
        put(LABELS, "moveLabel", "Put a label on a version", native::labels::put)
            .describe("From where it was, if it was anywhere. Needs `update`.")
            .guarded()
            .finds()
            .changes()
            .takes::<MoveLabel>()
            .shows::<Moved>(StatusCode::OK, "Where it is.")
            .example("canary", StatusCode::OK, &[DATABASE])
            .sent(json!({ "label": "canary", "version": 2 }))
            .shown(json!({ "path": "payments/prod/database", "label": "canary", "version": 2 })),
        delete(LABELS, "removeLabel", "Remove a label", native::labels::delete)
            .describe("`current` can be moved, not removed. Needs `update`.")
            .guarded()
            .finds()
            .changes()
            .query::<RemoveQuery>()
            .ends("It is nowhere.")
            .example("canary", StatusCode::NO_CONTENT, &[DATABASE, ("label", "canary")]),
    ]
}
