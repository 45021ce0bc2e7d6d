//! Rotation, and the targets it is done at.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::rotation::{CalendarQuery, Planned, Rotation, Tell};
use strongroom_api::targets::Target;
use strongroom_api::{Page, PageQuery};
use strongroom_domain::rotation::RotationFields;
use strongroom_domain::target::TargetConfig;

use super::{AT, LATER};
use crate::native;
use crate::operation::{Operation, delete, get, post, put};

const PATH: &str = "/api/v1/rotation/{*path}";
const TARGET: &str = "/api/v1/targets/{name}";
const DATABASE: (&str, &str) = ("name", "ledger");
const KEY: (&str, &str) = ("path", "payments/prod/session-key");

fn rotation(version: i64) -> Value {
    let fresh = json!({
        "path": "payments/prod/session-key", "version": version, "rotator": "generate", "interval": "30d",
        "window": "02:00-04:00", "recipe": { "length": 40, "classes": ["lower", "upper", "digits"] }, "paused": false,
        "overdue": false, "next_at": LATER,
    });
    let rotated = (version > 0).then(|| ("rotated_at".to_owned(), json!(AT)));
    Value::Object(
        fresh
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .chain(rotated)
            .collect(),
    )
}

fn target() -> Value {
    json!({
        "name": "ledger", "engine": "postgres", "address": "ledger.internal:5432",
        "credential": "infra/ledger-admin", "created_at": AT, "updated_at": AT,
    })
}

pub(crate) fn targets() -> Vec<Operation> {
    vec![
        get("/api/v1/targets", "listTargets", "List targets", native::targets::list)
            .describe("Needs `list` on `target`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Target>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [target()] })),
        get(TARGET, "readTarget", "Read a target", native::targets::read)
            .describe("Needs `read` on `target/NAME`.")
            .guarded()
            .finds()
            .shows::<Target>(StatusCode::OK, "The target.")
            .example("database", StatusCode::OK, &[DATABASE])
            .shown(target()),
        put(TARGET, "writeTarget", "Write a target", native::targets::write)
            .describe(
                "A server or a webhook, and the secret by which it is administered. All of it is replaced. Needs `create` or \
                 `update` on `target/NAME`, and `read` on that secret.",
            )
            .guarded()
            .changes()
            .takes::<TargetConfig>()
            .shows::<Target>(StatusCode::OK, "The target.")
            .example("database", StatusCode::OK, &[DATABASE])
            .sent(json!({
                "engine": "postgres", "address": "ledger.internal:5432", "credential": "infra/ledger-admin",
            }))
            .shown(target()),
        delete(TARGET, "deleteTarget", "Delete a target", native::targets::delete)
            .describe("Rotations that name it stop until they name another. Needs `delete` on `target/NAME`.")
            .guarded()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("database", StatusCode::NO_CONTENT, &[DATABASE]),
    ]
}

pub(crate) fn rotations() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/rotation",
            "listRotations",
            "List rotations, and when they are planned",
            native::rotation::list,
        )
        .describe("Of secrets that the caller may list, by path.")
        .guarded()
        .query::<CalendarQuery>()
        .shows::<Page<Planned>>(StatusCode::OK, "A page, by path.")
        .example("all", StatusCode::OK, &[("limit", "100")])
        .shown(json!({ "items": [rotation(1)] })),
        get(PATH, "readRotation", "Read how a secret is rotated", native::rotation::read)
            .describe("Needs `list` on the secret.")
            .guarded()
            .finds()
            .shows::<Rotation>(StatusCode::OK, "The rotation.")
            .example("key", StatusCode::OK, &[KEY])
            .shown(rotation(1)),
        put(PATH, "writeRotation", "Say how a secret is rotated", native::rotation::write)
            .describe(
                "All of it is replaced. What is under way goes on unless it would be made or set otherwise. Needs `manage` on \
                 the secret, and where it names a target `read` on it too and `rotate` on `target/NAME`.",
            )
            .guarded()
            .changes()
            .takes::<RotationFields>()
            .shows::<Rotation>(StatusCode::OK, "The rotation.")
            .example("key", StatusCode::OK, &[KEY])
            .sent(json!({
                "rotator": "generate", "interval": "30d", "window": "02:00-04:00", "recipe": { "length": 40 },
            }))
            .shown(rotation(0)),
        post(PATH, "tellRotation", "Rotate, roll back, pause or resume", native::rotation::tell)
            .describe("Waits ten seconds for what it leads to. Needs `rotate` on the secret.")
            .guarded()
            .finds()
            .changes()
            .takes::<Tell>()
            .shows::<Rotation>(StatusCode::OK, "It is done.")
            .shows::<Rotation>(StatusCode::ACCEPTED, "It is under way.")
            .example("now", StatusCode::OK, &[KEY])
            .sent(json!({ "action": "rotate" }))
            .shown(rotation(1)),
        delete(PATH, "deleteRotation", "Rotate a secret no more", native::rotation::delete)
            .describe("The secret stays as it is. Needs `manage` on it.")
            .guarded()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("key", StatusCode::NO_CONTENT, &[KEY]),
    ]
}
