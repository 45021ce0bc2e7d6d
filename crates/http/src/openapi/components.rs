//! What operations share: tags, parameters, headers, and the refusals by status.

use http::StatusCode;
use schemars::Schema;
use serde_json::{Map, Value, json};
use strongroom_api::problem::CONTENT_TYPE;
use strongroom_api::{BASE, Problem, schema};
use strongroom_domain::schema::ID_PATTERN;
use strongroom_domain::{Code, Error};

use crate::status;

const TAGS: &[(&str, &str)] = &[
    ("secrets", "Values, one version at a time."),
    ("versions", "A secret's history."),
    ("metadata", "What is said about a secret, and its end."),
    ("labels", "Names for versions."),
    ("list", "Folders and search."),
    ("batch", "Many secrets in one call."),
    ("reports", "What nobody uses, and what nobody changes."),
    ("watch", "What changes, as it changes."),
    ("rotation", "New values on schedule and on demand."),
    ("targets", "Servers and webhooks where secrets are used."),
    ("lease-roles", "What a credential made on demand gives."),
    ("leases", "Credentials made on demand."),
    ("dead-letters", "Notices that no webhook took."),
    ("flags", "Feature flags, and what they evaluate to."),
    ("flag-versions", "A flag's history."),
    ("flag-evaluations", "How often a flag gave what."),
    (
        "flag-sets",
        "What flags of a project's environment share, and flagd's documents.",
    ),
    ("auth", "Logins."),
    ("tokens", "Service tokens."),
    ("methods", "How somebody logs in whom others vouch for."),
    ("policies", "What may be done where."),
    ("policy-versions", "A policy's history."),
    ("explain", "Why something is denied."),
    ("who-can", "Who may do something."),
    ("roles", "What a login yields."),
    ("clients", "Workloads, and the secrets they log in with."),
    ("operators", "People who work on the installation."),
    ("groups", "Policies under one name."),
    ("principals", "Who acts."),
    ("namespaces", "Tenants."),
    ("keys", "The keys that values are sealed under."),
    ("audit", "Who did what."),
    (
        "node",
        "Health, metrics and descriptions: for anybody, and not recorded.",
    ),
];

pub(super) fn tags() -> Value {
    let tag = |(name, description): &(&str, &str)| json!({ "name": name, "description": description });
    TAGS.iter().map(tag).collect()
}

/// The noun behind the base; outside of it, where flags are evaluated.
pub(super) fn tag(path: &str) -> &'static str {
    let rest = path.strip_prefix(BASE).unwrap_or(path);
    let noun = rest.split('/').nth(1).unwrap_or_default();
    TAGS.iter()
        .find(|(name, _)| *name == noun)
        .map_or("node", |(name, _)| name)
}

/// By the name it has in routes.
pub(super) fn path_parameter(name: &str) -> (&'static str, Value) {
    let path = json!({ "type": "string", "minLength": 1, "maxLength": 512 });
    match name {
        "path" => (
            "The secret's path: 1 to 32 segments. The `/` between them is sent as it is, not as `%2F`.",
            path,
        ),
        "prefix" => (
            "A folder. The `/` between its segments is sent as it is, not as `%2F`.",
            path,
        ),
        "name" => ("A name.", json!({ "$ref": "#/components/schemas/Name" })),
        _ => ("An id.", json!({ "type": "string", "pattern": ID_PATTERN })),
    }
}

pub(super) fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The change's id: repeated with the same request within 24 hours, it is applied once.",
            "schema": { "type": "string", "pattern": schema::CHANGE_ID },
        },
    })
}

pub(super) fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "Stands in the audit log too.",
            "schema": { "type": "string", "pattern": ID_PATTERN },
        },
        "RetryAfter": { "description": "Seconds.", "schema": { "type": "integer" } },
        "WwwAuthenticate": { "schema": { "const": "Bearer" } },
    })
}

/// `NotFound` for 404.
pub(super) fn response_name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("Other").replace(' ', "")
}

/// One for each status that a code has.
pub(super) fn responses(problem: &Schema) -> Value {
    let mut all = Map::new();
    let mut codes = Code::ALL.to_vec();
    codes.sort_by_key(|code| code.number());
    for code in &codes {
        let status = status(*code);
        let same: Vec<&Code> = codes.iter().filter(|other| self::status(**other) == status).collect();
        all.entry(response_name(status))
            .or_insert_with(|| refusal(status, &same, problem));
    }
    all.into()
}

fn refusal(status: StatusCode, codes: &[&Code], problem: &Schema) -> Value {
    let said: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.name(), code.title()))
        .collect();
    let example = |code: &&Code| {
        let shown = Problem::new(
            &Error::from(**code),
            status.as_u16(),
            "5f0c1d2e3a4b59687f6e5d4c3b2a1908",
        );
        (code.name().to_owned(), json!({ "value": shown }))
    };
    let examples: Map<String, Value> = codes.iter().map(example).collect();
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
    if let (Value::Object(headers), Some((name, component))) = (&mut headers, own_header(status)) {
        headers.insert(
            name.to_owned(),
            json!({ "$ref": format!("#/components/headers/{component}") }),
        );
    }
    json!({
        "description": said.join(" "),
        "headers": headers,
        "content": { CONTENT_TYPE: { "schema": problem, "examples": examples } },
    })
}

fn own_header(status: StatusCode) -> Option<(&'static str, &'static str)> {
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some(("Retry-After", "RetryAfter")),
        StatusCode::UNAUTHORIZED => Some(("WWW-Authenticate", "WwwAuthenticate")),
        _ => None,
    }
}
