//! Changes as they happen.

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;
use strongroom_api::watch::{WatchQuery, WatchedChange, WatchedChanges, WatchedUpTo};

use crate::native::watch::{EVENT_STREAM, watch};
use crate::operation::{JSON, Operation, get};

/// What the data of an event is.
struct Event;

impl JsonSchema for Event {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WatchEvent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (change, other) = (
            generator.subschema_for::<WatchedChange<'_>>(),
            generator.subschema_for::<WatchedUpTo>(),
        );
        schemars::json_schema!({ "anyOf": [change, other] })
    }
}

pub(crate) fn watching() -> Vec<Operation> {
    let events = |generator: &mut SchemaGenerator| generator.subschema_for::<Event>();
    let page = |generator: &mut SchemaGenerator| generator.subschema_for::<WatchedChanges<'_>>();
    vec![
        get("/api/v1/watch", "watch", "Watch what changes", watch)
            .describe(
                "Which names changed and how, and never to what; only names that a listing shows to the caller, decided \
                 anew as policies change. A stream of events (SSE) whose `id` is the revision: `start` says from where on, \
                 `change` what changed, `reset` that changes were missed which are not kept any more (7 days): list anew, \
                 it goes on from there. It ends with `expired` when its token expires or its right is taken away, and with \
                 `lagged` when its client does not take what it is sent; `Last-Event-ID` goes on where it ended. With \
                 `wait` it is one answer, and what is not kept any more is 410 `revision_too_old`.",
            )
            .guarded()
            .refuses(&[StatusCode::GONE])
            .query::<WatchQuery>()
            .answers(
                StatusCode::OK,
                "Events, or with `wait` one page of changes.",
                Some((EVENT_STREAM, events)),
            )
            .or_as(JSON, page)
            .example("now", StatusCode::OK, &[("wait", "1")])
            .shown(json!({ "revision": 27, "changes": [] }))
            .example(
                "since",
                StatusCode::OK,
                &[("since", "1"), ("prefix", "payments/prod"), ("wait", "30")],
            )
            .shown(json!({ "revision": 27, "changes": [{
                "revision": 26, "kind": "secret", "path": "payments/prod/database", "version": 1, "action": "secret.write",
            }] })),
    ]
}
