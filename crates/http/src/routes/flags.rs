//! Feature flags: their administration, and their evaluation by OFREP.

use http::StatusCode;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use strongroom_api::flags::{
    BrowserKeys, ChangeFlag, CopyFlags, CountsQuery, CreatedBrowserKey, EvaluationCount, Flag, FlagHistory,
    FlagSetNamed, FlagdDocument, FlagsWritten, NewBrowserKey, SharedRules, WriteFlag, WriteSharedRules,
};
use strongroom_api::ofrep::{Evaluate, Evaluated, Evaluations, RefetchQuery, Refused, StreamQuery};
use strongroom_api::{Page, PageQuery};

use super::{AT, LATER, PRINCIPAL, SECRET_ID};
use crate::native::watch::EVENT_STREAM;
use crate::operation::{Operation, delete, get, post, put};
use crate::{native, ofrep};

const FLAGS: &str = "/api/v1/flags/{project}/{environment}";
const FLAG: &str = "/api/v1/flags/{project}/{environment}/{key}";
const VERSIONS: &str = "/api/v1/flag-versions/{project}/{environment}/{key}";
const SHARED: &str = "/api/v1/flag-sets/{project}/{environment}/evaluators";
const DOCUMENT: &str = "/api/v1/flag-sets/{project}/{environment}/flagd.json";
const COPY: &str = "/api/v1/flag-sets/{project}/{environment}/copy";

const SET: [(&str, &str); 2] = [("project", "shop"), ("environment", "prod")];
const CHECKOUT: [(&str, &str); 3] = [SET[0], SET[1], ("key", "new-checkout")];

fn definition(default: &str) -> Value {
    json!({
        "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": default,
        "targeting": { "if": [{ "ends_with": [{ "var": "email" }, "@example.com"] }, "on", null] },
    })
}

fn flag(version: i64, default: &str) -> Value {
    json!({
        "key": "new-checkout", "definition": definition(default), "bucketing_version": 2, "owner": "shop-team",
        "kind": "release", "version": version, "principal": PRINCIPAL, "created_at": AT, "updated_at": AT,
    })
}

pub(crate) fn flags() -> Vec<Operation> {
    vec![
        get(FLAGS, "listFlags", "List flags", native::flags::list)
            .describe("Those that the caller may read. Needs `list` on `flag/PROJECT/ENVIRONMENT/`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Flag>>(StatusCode::OK, "A page, by key.")
            .example("all", StatusCode::OK, &[SET[0], SET[1], ("limit", "100")])
            .shown(json!({ "items": [flag(1, "off")] })),
        get(FLAG, "readFlag", "Read a flag", native::flags::read)
            .describe("Its definition, and what is said about it. Needs `read` on `flag/PROJECT/ENVIRONMENT/KEY`.")
            .guarded()
            .finds()
            .shows::<Flag>(StatusCode::OK, "The flag.")
            .example("flag", StatusCode::OK, &CHECKOUT)
            .shown(flag(1, "off")),
        put(FLAG, "writeFlag", "Write a flag", native::flags::write)
            .describe(
                "All of it is replaced; the same again is no other version. Needs `create` or `update` on \
                 `flag/PROJECT/ENVIRONMENT/KEY`.",
            )
            .guarded()
            .changes()
            .takes::<WriteFlag>()
            .shows::<Flag>(StatusCode::OK, "The flag.")
            .example("flag", StatusCode::OK, &CHECKOUT)
            .sent(json!({ "definition": definition("off"), "owner": "shop-team", "cas": 0 }))
            .shown(flag(1, "off"))
            .example("on", StatusCode::OK, &CHECKOUT)
            .sent(json!({ "definition": definition("on"), "owner": "shop-team" }))
            .shown(flag(2, "on")),
        delete(
            FLAG,
            "deleteFlag",
            "Delete a flag and its versions",
            native::flags::delete,
        )
        .describe("Programs use their own default from then on. Needs `delete` on `flag/PROJECT/ENVIRONMENT/KEY`.")
        .guarded()
        .finds()
        .changes()
        .ends("It is gone.")
        .example("flag", StatusCode::NO_CONTENT, &CHECKOUT),
        get(
            VERSIONS,
            "readFlagHistory",
            "Read what a flag has been",
            native::flags::history,
        )
        .describe("Its newest 100 versions. Needs `read` on `flag/PROJECT/ENVIRONMENT/KEY`.")
        .guarded()
        .finds()
        .shows::<FlagHistory>(StatusCode::OK, "Its versions, newest first.")
        .example("flag", StatusCode::OK, &CHECKOUT)
        .shown(json!({ "items": [flag(2, "on"), flag(1, "off")] })),
        counts(),
        post(VERSIONS, "changeFlag", "Go back to a version", native::flags::change)
            .describe("What it said becomes a new version. Needs `update` on `flag/PROJECT/ENVIRONMENT/KEY`.")
            .guarded()
            .finds()
            .changes()
            .takes::<ChangeFlag>()
            .shows::<Flag>(StatusCode::OK, "The flag.")
            .example("rollback", StatusCode::OK, &CHECKOUT)
            .sent(json!({ "action": "rollback", "version": 1 }))
            .shown(flag(3, "off")),
    ]
}

fn counts() -> Operation {
    get(
            "/api/v1/flag-evaluations/{project}/{environment}/{key}",
            "readFlagCounts",
            "Read how often a flag was evaluated",
            native::flags::counts,
        )
        .describe(
            "By minute and variant, oldest first, of the newest 7 days; each node writes what it counted once a minute. What failed is \
             not among it. Needs `read` on `flag/PROJECT/ENVIRONMENT/KEY`.",
        )
        .guarded()
        .finds()
        .query::<CountsQuery>()
        .shows::<Page<EvaluationCount>>(StatusCode::OK, "A page.")
        .example("hour", StatusCode::OK, &[CHECKOUT[0], CHECKOUT[1], CHECKOUT[2], ("limit", "100")])
        .shown(json!({ "items": [{ "minute": AT, "variant": "on", "evaluations": 1290, "in_bulk": 12 }] }))
}

pub(crate) fn sets() -> Vec<Operation> {
    let rules = json!({ "staff": { "ends_with": [{ "var": "email" }, "@example.com"] } });
    let shared = json!({ "evaluators": rules, "version": 1, "updated_at": AT });
    vec![
        get(
            "/api/v1/flag-sets",
            "listFlagSets",
            "List projects' environments that have flags",
            native::flags::sets,
        )
        .describe("Those of which the caller may see a name. Where there are none: needs `list` on `flag`.")
        .guarded()
        .query::<PageQuery>()
        .shows::<Page<FlagSetNamed>>(StatusCode::OK, "A page, by name.")
        .example("all", StatusCode::OK, &[("limit", "100")])
        .shown(json!({ "items": [{ "project": "shop", "environment": "prod", "created_at": AT }] })),
        get(
            SHARED,
            "readSharedRules",
            "Read what the flags of a set share",
            native::flags::read_rules,
        )
        .describe("Needs `read` on `flag/PROJECT/ENVIRONMENT/`.")
        .guarded()
        .finds()
        .shows::<SharedRules>(StatusCode::OK, "Rules and metadata.")
        .example("rules", StatusCode::OK, &SET)
        .shown(shared.clone()),
        put(
            SHARED,
            "writeSharedRules",
            "Write what the flags of a set share",
            native::flags::write_rules,
        )
        .describe(
            "All of it is replaced. Refused where a flag could not be read with it. Needs `update` on \
                 `flag/PROJECT/ENVIRONMENT/`.",
        )
        .guarded()
        .changes()
        .takes::<WriteSharedRules>()
        .shows::<SharedRules>(StatusCode::OK, "Rules and metadata.")
        .example("rules", StatusCode::OK, &SET)
        .sent(json!({ "evaluators": rules }))
        .shown(shared),
        document(),
        import(),
        post(COPY, "copyFlags", "Copy flags of another set", native::flags::copy)
            .describe(
                "All or none. Needs `read` on the flags that are copied, `update` on `flag/PROJECT/ENVIRONMENT/`, and `create` or \
                 `update` on each that is written.",
            )
            .guarded()
            .finds()
            .changes()
            .takes::<CopyFlags>()
            .shows::<FlagsWritten>(StatusCode::OK, "Which flags got a new version.")
            .example(
                "staging",
                StatusCode::OK,
                &[("project", "shop"), ("environment", "staging")],
            )
            .sent(json!({ "from": { "project": "shop", "environment": "prod" }, "keys": ["new-checkout"] }))
            .shown(json!({ "changed": ["new-checkout"] })),
    ]
}

fn document() -> Operation {
    get(DOCUMENT, "readFlagdDocument", "Read a set as flagd's document", native::flags::flagd)
        .describe(
            "The flags that the caller may read. flagd can sync from it: it has an `ETag`, and `If-None-Match` is answered with \
             304. Needs `read` on what it holds.",
        )
        .guarded()
        .finds()
        .shows::<FlagdDocument>(StatusCode::OK, "The document.")
        .answers(StatusCode::NOT_MODIFIED, "It is the one that the caller has.", None)
        .example("set", StatusCode::OK, &SET)
        .shown(json!({
            "$schema": "https://flagd.dev/schema/v0/flags.json", "flags": { "new-checkout": definition("off") },
            "$evaluators": { "staff": { "ends_with": [{ "var": "email" }, "@example.com"] } },
        }))
}

fn import() -> Operation {
    put(
        DOCUMENT,
        "importFlags",
        "Write the flags of flagd's document",
        native::flags::import,
    )
    .describe(
        "All or none, 500 at most. Flags that it does not name stay as they are. Needs `update` on \
             `flag/PROJECT/ENVIRONMENT/`, and `create` or `update` on each that is written.",
    )
    .guarded()
    .changes()
    .takes::<FlagdDocument>()
    .shows::<FlagsWritten>(StatusCode::OK, "Which flags got a new version.")
    .example(
        "banner",
        StatusCode::OK,
        &[("project", "shop"), ("environment", "staging")],
    )
    .sent(json!({ "flags": { "banner": {
            "state": "ENABLED", "variants": { "winter": "snow", "summer": "sun" }, "defaultVariant": "winter",
        } } }))
    .shown(json!({ "changed": ["banner"] }))
}

pub(crate) fn evaluations() -> Vec<Operation> {
    let evaluated = |key: &str| {
        json!({
            "key": key, "value": true, "variant": "on", "reason": "TARGETING_MATCH", "metadata": {},
        })
    };
    let asks = json!({ "context": { "targetingKey": "user-1", "email": "ann@example.com" } });
    vec![
        post(
            "/flags/{project}/{environment}/ofrep/v1/evaluate/flags/{key}",
            "evaluateFlag",
            "Evaluate a flag",
            ofrep::one,
        )
        .describe(
            "OFREP 0.3, with `/flags/PROJECT/ENVIRONMENT` as the provider's base URL; the token may stand in `X-API-Key`. On the \
             listener of flags a browser key is enough to say whose flags are meant: the base URL may be the bare origin there, \
             `/ofrep/v1/evaluate/flags/KEY`. Counted, not recorded. Needs `read` on `flag/PROJECT/ENVIRONMENT/KEY`.",
        )
        .guarded()
        .takes::<Evaluate>()
        .shows::<Evaluated>(StatusCode::OK, "What it gives. Without `value`: the caller's own default.")
        .shows::<Refused>(StatusCode::BAD_REQUEST, "It cannot be evaluated.")
        .shows::<Refused>(StatusCode::NOT_FOUND, "There is no such flag.")
        .example("staff", StatusCode::OK, &CHECKOUT)
        .sent(asks.clone())
        .shown(evaluated("new-checkout")),
        post(
            "/flags/{project}/{environment}/ofrep/v1/evaluate/flags",
            "evaluateFlags",
            "Evaluate all flags of a set",
            ofrep::all,
        )
        .describe(
            "Those that the caller may read. `If-None-Match` is answered with 304 where all would be the same; to a page only where \
             a stream's notice made it ask, since any other may need the address of a stream.",
        )
        .guarded()
        .query::<RefetchQuery>()
        .takes::<Evaluate>()
        .shows::<Evaluations>(StatusCode::OK, "What each gives.")
        .shows::<Refused>(StatusCode::BAD_REQUEST, "They cannot be evaluated.")
        .answers(StatusCode::NOT_MODIFIED, "Nothing is other than what the caller has.", None)
        .example("staff", StatusCode::OK, &SET)
        .sent(asks)
        .shown(json!({
            "flags": [evaluated("new-checkout")], "metadata": {}, "eventStreams": [{
                "type": "sse", "endpoint": { "requestUri": "/flags/shop/prod/ofrep/v1/stream?ticket=0a1b" },
                "inactivityDelaySec": 120,
            }],
        })),
        get(
            "/flags/{project}/{environment}/ofrep/v1/stream",
            "followFlags",
            "Be told when flags of a set change",
            ofrep::stream,
        )
        .describe(
            "Events `message` with `{\"type\":\"refetchEvaluation\"}`, one at first and one for each change; a comment every 15 \
             seconds. The address comes of an evaluation of all flags, and opens one stream within a minute, which goes on by \
             `Last-Event-ID` where it broke off. It ends with the token that asked for it.",
        )
        .open()
        .refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED])
        .query::<StreamQuery>()
        .answers(StatusCode::OK, "Notices, until somebody ends it.", Some((EVENT_STREAM, text))),
    ]
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

const KEYS: &str = "/api/v1/flag-sets/{project}/{environment}/browser-keys";

pub(crate) fn browser_keys() -> Vec<Operation> {
    let key = |secret: Option<&str>| {
        let about = json!({
            "key_id": SECRET_ID, "origins": ["https://shop.example.com"], "description": "The shop's pages.",
            "principal": PRINCIPAL, "created_at": AT, "expires_at": LATER,
        });
        let fields = about.as_object().cloned().unwrap_or_default().into_iter();
        Value::Object(
            fields
                .chain(secret.map(|secret| ("key".to_owned(), json!(secret))))
                .collect(),
        )
    };
    vec![
        get(KEYS, "listBrowserKeys", "List browser keys", native::browser_keys::list)
            .describe("Needs `manage` on `flag/PROJECT/ENVIRONMENT/`.")
            .guarded()
            .shows::<BrowserKeys>(StatusCode::OK, "Those that hold, oldest first.")
            .example("all", StatusCode::OK, &SET)
            .shown(json!({ "items": [key(None)] })),
        post(KEYS, "createBrowserKey", "Make a browser key", native::browser_keys::create)
            .describe(
                "It evaluates the flags of this set, on the listener of flags (`flags_listen`) and by the pages that it is bound to; \
                 everybody who loads them has it. Shown this once. Needs `manage` on `flag/PROJECT/ENVIRONMENT/`.",
            )
            .guarded()
            .changes()
            .takes::<NewBrowserKey>()
            .shows::<CreatedBrowserKey>(StatusCode::CREATED, "The key.")
            .example("shop", StatusCode::CREATED, &SET)
            .sent(json!({
                "origins": ["https://shop.example.com"], "description": "The shop's pages.", "ttl": 604_800,
            }))
            .shown(key(Some("srb_example"))),
        delete(
            "/api/v1/flag-sets/{project}/{environment}/browser-keys/{key_id}",
            "deleteBrowserKey",
            "End a browser key",
            native::browser_keys::delete,
        )
        .describe("It is refused from then on, and its streams end. Needs `manage` on `flag/PROJECT/ENVIRONMENT/`.")
        .guarded()
        .finds()
        .changes()
        .ends("It is gone.")
        .example("shop", StatusCode::NO_CONTENT, &[SET[0], SET[1], ("key_id", SECRET_ID)]),
    ]
}
