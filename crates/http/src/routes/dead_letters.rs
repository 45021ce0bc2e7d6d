//! Notices that were given up.

use http::StatusCode;
use serde_json::json;
use strongroom_api::dead_letters::{DeadLetter, TellDeadLetter, UntoldNotice};
use strongroom_api::{Page, PageQuery};

use crate::native;
use crate::operation::{Operation, get, post};

pub(crate) fn dead_letters() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/dead-letters",
            "listDeadLetters",
            "List the notices that no webhook took",
            native::dead_letters::list,
        )
        .describe(
            "Of targets that the caller may read (`read` on `target/NAME`), the oldest first. At most 1,000 of a namespace are kept, \
             for 30 days.",
        )
        .guarded()
        .query::<PageQuery>()
        .shows::<Page<DeadLetter>>(StatusCode::OK, "A page.")
        .example("all", StatusCode::OK, &[("limit", "100")])
        .shown(json!({ "items": [] })),
        post(
            "/api/v1/dead-letters/{id}",
            "tellDeadLetter",
            "Send a dead letter again, or discard it",
            native::dead_letters::tell,
        )
        .describe(
            "It is sent under the id that it had, signed anew; ten seconds are waited for what comes of that. Needs `update` on \
             `target/NAME` of its target.",
        )
        .guarded()
        .finds()
        .changes()
        .takes::<TellDeadLetter>()
        .shows::<UntoldNotice>(StatusCode::ACCEPTED, "It is not taken yet, and is tried again as any notice.")
        .ends("It is taken, or forgotten."),
    ]
}
