//! Principals, keys and the audit log.

use http::StatusCode;
use serde_json::json;
use strongroom_api::Page;
use strongroom_api::audit::{AuditQuery, Entry};
use strongroom_api::keys::{NewSlot, RotateSigningKey, Rotated, SlotAdded, Slots};
use strongroom_api::principals::Erased;

use super::{AT, PRINCIPAL, RECOVERY_KEY};
use crate::native;
use crate::operation::{Operation, delete, get, post};

pub(crate) fn system() -> Vec<Operation> {
    let erase = "/api/v1/principals/{id}/erase";
    vec![
        post(
            erase,
            "erasePrincipal",
            "Forget who a principal is",
            native::principals::erase,
        )
        .describe("Its name goes, and what links its entries with each other. Needs `sudo` on `sys/principals/ID`.")
        .guarded()
        .finds()
        .changes()
        .shows::<Erased>(StatusCode::OK, "When that was.")
        .example("workload", StatusCode::OK, &[("id", PRINCIPAL)])
        .shown(json!({ "principal": PRINCIPAL, "erased_at": AT })),
        post(
            "/api/v1/keys/data/rotate",
            "rotateDataKey",
            "Seal under a new key from now on",
            native::keys::rotate_data,
        )
        .describe("What is sealed already stays under its key. Needs `rotate` on `sys/keys/data`.")
        .guarded()
        .changes()
        .shows::<Rotated>(StatusCode::OK, "The new key's epoch.")
        .example("rotated", StatusCode::OK, &[])
        .shown(json!({ "epoch": 7 })),
        post(
            "/api/v1/keys/signing/rotate",
            "rotateSigningKey",
            "Sign access tokens with a new key",
            native::keys::rotate_signing,
        )
        .describe(
            "It is published at once and signs ten minutes later; the old one goes once what it signed has expired. Needs \
             `rotate` on `sys/keys/signing`, in `root`.",
        )
        .guarded()
        .changes()
        .takes::<RotateSigningKey>()
        .ends("It is published.")
        .example("rotated", StatusCode::NO_CONTENT, &[])
        .sent(json!({})),
    ]
}

pub(crate) fn slots() -> Vec<Operation> {
    let file = json!({ "name": "file", "method": "file", "created_at": AT });
    vec![
        get(
            "/api/v1/keys/slots",
            "listSlots",
            "List what opens this installation",
            native::keys::slots,
        )
        .describe("Needs `list` on `sys/keys/slots/`.")
        .guarded()
        .shows::<Slots>(StatusCode::OK, "All there are, at most 16.")
        .example("all", StatusCode::OK, &[])
        .shown(json!({ "items": [file] })),
        post(
            "/api/v1/keys/slots",
            "addSlot",
            "Let another key open this installation",
            native::keys::add_slot,
        )
        .describe(
            "A key that is made for it is shown here and never again; a repeat finds the name taken. Who has one and \
                 the database has every secret: needs `sudo` on `sys/keys/slots/NAME`.",
        )
        .guarded()
        .changes()
        .takes::<NewSlot>()
        .shows::<SlotAdded>(StatusCode::CREATED, "The slot, and the key that opens it.")
        .example("safe", StatusCode::CREATED, &[])
        .sent(json!({ "name": "safe", "method": "recovery" }))
        .shown(json!({ "name": "safe", "method": "recovery", "created_at": AT, "key": RECOVERY_KEY })),
        delete(
            "/api/v1/keys/slots/{name}",
            "removeSlot",
            "Take a slot away",
            native::keys::remove_slot,
        )
        .describe(
            "Running nodes go on; what opened the slot starts none any more. The last one stays. Needs `sudo` on \
                 `sys/keys/slots/NAME`.",
        )
        .guarded()
        .finds()
        .changes()
        .ends("It is gone.")
        .example("safe", StatusCode::NO_CONTENT, &[("name", "safe")]),
    ]
}

pub(crate) fn audit() -> Vec<Operation> {
    let entry = json!({
        "at": AT, "batch": "4294967297", "place": 0, "request_id": "5f0c1d2e3a4b59687f6e5d4c3b2a1908",
        "dialect": "native", "action": "secret.read", "outcome": "granted", "principal": PRINCIPAL,
        "principal_name": "root", "path": "payments/prod/database", "version": 1, "count": 1,
    });
    vec![
        get(
            "/api/v1/audit",
            "searchAudit",
            "Search the audit log",
            native::audit::search,
        )
        .describe("All conditions must hold. Needs `read` on `sys/audit`.")
        .guarded()
        .query::<AuditQuery>()
        .shows::<Page<Entry>>(StatusCode::OK, "A page, newest first.")
        .example(
            "reads",
            StatusCode::OK,
            &[
                ("path", "payments/prod/database"),
                ("action", "secret.read"),
                ("limit", "1"),
            ],
        )
        .shown(json!({ "items": [entry], "next_cursor": "1772366400000000.4294967297.0" })),
    ]
}
