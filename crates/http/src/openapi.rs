//! The API's description (OpenAPI 3.1), made from the router's own operations and the types they read and write.

mod components;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::header;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::native::watch::EVENT_STREAM;
use crate::operation::{Door, Example, JSON, Operation, Shown};
use crate::router::operations;

const DESCRIPTION: &str = "\
Versioned, encrypted secrets, and who may read them. Every request with a token is recorded before its answer leaves.

A path's segments are each percent-encoded by themselves and joined by a plain `/`; an encoded `/` is refused. A body \
is JSON whatever its `Content-Type` says, of at most 1 MiB, without `Content-Encoding`. A field or a query parameter \
that is not known is refused. Lengths are counted in bytes of UTF-8.

A refusal is `application/problem+json` (RFC 9457); its `code` is stable. A route answers 405 and the header `Allow` \
to methods it does not have, and an unknown route 404. The HTTP library refuses a malformed head by itself, with an \
empty body and 400, 414 or 431.";

/// Two directions: what may be left out in a request may be always there in an answer.
struct Schemas {
    asked: SchemaGenerator,
    shown: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let generator = |contract: Contract| {
            SchemaSettings::draft2020_12()
                .with(|settings| {
                    settings.definitions_path = "/components/schemas".into();
                    settings.meta_schema = None;
                    settings.contract = contract;
                })
                .into_generator()
        };
        Self {
            asked: generator(Contract::Deserialize),
            shown: generator(Contract::Serialize),
        }
    }

    fn take(mut self) -> Map<String, Value> {
        let mut all = self.asked.take_definitions(true);
        let mut shown = self.shown.take_definitions(true);
        shown.values_mut().for_each(never_null);
        all.extend(shown);
        all
    }
}

/// What an answer may leave out it never says as `null`: one way to say nothing.
fn never_null(schema: &mut Value) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| {
        let names = required.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().any(|one| one == name)
    };
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        without_null(property);
    }
}

fn without_null(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            fields.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.retain(|one| one != &json!({ "type": "null" }));
        if let [Value::Object(one)] = choices.as_slice() {
            let one = one.clone();
            fields.remove("anyOf");
            fields.extend(one);
        }
    }
}

/// The whole description.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = described(&operation, &mut schemas);
        paths.entry(operation.template()).or_default().insert(method, described);
    }
    let problem = schemas.shown.subschema_for::<strongroom_api::Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }],
        "tags": components::tags(),
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token of a login, or a service token.",
            } },
            "parameters": components::parameters(),
            "headers": components::headers(),
            "responses": components::responses(&problem),
            "schemas": schemas.take(),
        },
    })
}

/// As it is served and committed.
pub fn text() -> String {
    format!("{:#}\n", document())
}

pub(crate) async fn serve() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| Bytes::from(text())).clone();
    ([(header::CONTENT_TYPE, JSON)], text).into_response()
}

fn described(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for shown in &operation.answers {
        responses.insert(shown.status.as_str().to_owned(), answer(operation, shown, schemas));
    }
    for status in &operation.refusals {
        let name = components::response_name(*status);
        // What a health check says with 503 is its own answer.
        responses
            .entry(status.as_str().to_owned())
            .or_insert_with(|| json!({ "$ref": format!("#/components/responses/{name}") }));
    }
    let mut fields = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [components::tag(operation.path)],
        "responses": responses,
    });
    let parameters = parameters(operation, schemas);
    if !parameters.is_empty() {
        set(&mut fields, "parameters", parameters.into());
    }
    if !operation.description.is_empty() {
        set(&mut fields, "description", operation.description.into());
    }
    if operation.door == Door::Anybody {
        set(&mut fields, "security", json!([]));
    }
    if let Some(body) = operation.body {
        let examples = examples(operation, |example| example.body.as_ref());
        let schema = body(&mut schemas.asked);
        let content = json!({ JSON: content(&schema, examples) });
        set(
            &mut fields,
            "requestBody",
            json!({ "required": true, "content": content }),
        );
    }
    fields
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}

fn examples<'a>(operation: &'a Operation, of: impl Fn(&'a Example) -> Option<&'a Value>) -> Map<String, Value> {
    let named = operation
        .examples
        .iter()
        .filter_map(|example| Some((example.name, of(example)?)));
    named
        .map(|(name, value)| (name.to_owned(), json!({ "value": value })))
        .collect()
}

fn content(schema: &Schema, examples: Map<String, Value>) -> Value {
    let mut content = json!({ "schema": schema });
    if !examples.is_empty() {
        set(&mut content, "examples", examples.into());
    }
    content
}

fn answer(operation: &Operation, shown: &Shown, schemas: &mut Schemas) -> Value {
    let mut fields = json!({
        "description": shown.what,
        "headers": { "X-Request-Id": { "$ref": "#/components/headers/RequestId" } },
    });
    let mut forms = Map::new();
    for (media, schema) in &shown.content {
        // An example's answer is JSON.
        let of = |example: &'_ Example| example.status == shown.status && *media != EVENT_STREAM;
        let examples = examples(operation, |example| example.answer.as_ref().filter(|_| of(example)));
        forms.insert((*media).to_owned(), content(&schema(&mut schemas.shown), examples));
    }
    if !forms.is_empty() {
        set(&mut fields, "content", forms.into());
    }
    fields
}

/// A parameter, with what each example gives it.
fn parameter(operation: &Operation, mut parameter: Value, name: &str) -> Value {
    let given = operation.examples.iter().filter_map(|example| {
        let (_, text) = example.with.iter().find(|(one, _)| *one == name)?;
        // A number or a yes is itself, not its text.
        let value = serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| value.is_boolean() || value.is_i64());
        let value = value.unwrap_or_else(|| Value::from(*text));
        Some((example.name.to_owned(), json!({ "value": value })))
    });
    let given: Map<String, Value> = given.collect();
    if !given.is_empty() {
        set(&mut parameter, "examples", given.into());
    }
    parameter
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let in_path = operation.path_parameters().map(|name| {
        let (description, schema) = components::path_parameter(name);
        let fields =
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema });
        parameter(operation, fields, name)
    });
    let mut all: Vec<Value> = in_path.collect();
    if let Some(query) = operation.query {
        let whole = query(&mut schemas.asked).to_value();
        let required = whole
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let properties = whole
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for (name, mut schema) in properties {
            without_null(&mut schema);
            let description = schema.as_object_mut().and_then(|fields| fields.remove("description"));
            let mut fields = json!({ "name": name, "in": "query", "schema": schema });
            set(
                &mut fields,
                "required",
                required.contains(&Value::from(name.as_str())).into(),
            );
            if let Some(description) = description {
                set(&mut fields, "description", description);
            }
            all.push(parameter(operation, fields, &name));
        }
    }
    if operation.changes {
        all.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What differs by direction has two names, and no two types have one: schemars would number the second.
    #[test]
    fn a_name_has_one_schema() {
        let mut schemas = Schemas::new();
        for operation in operations() {
            described(&operation, &mut schemas);
        }
        let (asked, shown) = (
            schemas.asked.take_definitions(true),
            schemas.shown.take_definitions(true),
        );
        for (name, one) in asked.iter().chain(&shown) {
            assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}");
            assert_eq!(shown.get(name).unwrap_or(one), one, "{name}");
        }
        assert!(asked.len() > 10 && shown.len() > 20);
    }

    #[test]
    fn what_is_recorded_stands_under_its_noun() {
        let recorded = crate::router::every_route().into_iter().filter(|route| !route.exempt);
        let misplaced: Vec<_> = recorded.filter(|route| components::tag(route.path) == "node").collect();
        assert_eq!(misplaced, []);
    }
}
