//! The description as a client finds it: its operations, and the examples that its parts name alike.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::harness::Api;

pub(crate) struct Description(Value);

/// One request and its answer, gathered by its name.
pub(crate) struct Example {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
    /// None: an empty body.
    pub(crate) answer: Option<Value>,
    pub(crate) operation: Value,
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The examples of a body or an answer, whatever its media type.
fn examples(content: &Value) -> Map<String, Value> {
    object(content)
        .filter_map(|(_, media)| media["examples"].as_object().cloned())
        .flatten()
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Example {
    fn named(name: &str, method: &str, template: &str, operation: &Value) -> Self {
        let (mut path, mut query) = (template.to_owned(), Vec::new());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let value = &parameter["examples"][name]["value"];
            let field = parameter["name"].as_str().unwrap_or_default();
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{field}}}"), &text(value)),
                Some("query") if !value.is_null() => query.push(format!("{field}={}", text(value))),
                _ => {}
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let shown = object(&operation["responses"])
            .find_map(|(status, said)| Some((status, examples(&said["content"]).get(name)?["value"].clone())));
        // An answer without a body has no example of its own.
        let (status, answer) = match shown {
            Some((status, answer)) => (status.parse().unwrap(), Some(answer)),
            None => (204, None),
        };
        Self {
            method: method.to_uppercase(),
            path,
            body: examples(&operation["requestBody"]["content"])
                .get(name)
                .map(|one| one["value"].clone()),
            status,
            answer,
            operation: operation.clone(),
        }
    }
}

impl Description {
    pub(crate) async fn of(api: &Api) -> Self {
        let anybody = Api {
            token: None,
            ..api.clone()
        };
        let (status, description) = anybody.get("openapi.json").await;
        assert_eq!(status, 200);
        Self(description)
    }

    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        object(&self.0["paths"]).flat_map(|(path, methods)| {
            object(methods).map(|(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    pub(super) fn ids(&self) -> BTreeSet<&str> {
        self.operations()
            .map(|(_, _, operation)| operation["operationId"].as_str().unwrap())
            .collect()
    }

    pub(super) fn routes(&self) -> BTreeSet<(String, String)> {
        self.operations()
            .map(|(path, method, _)| (path.to_owned(), method.to_uppercase()))
            .collect()
    }

    /// `operation/example`
    pub(crate) fn examples(&self) -> BTreeMap<String, Example> {
        let mut all = BTreeMap::new();
        for (path, method, operation) in self.operations() {
            let mut names: BTreeSet<String> = examples(&operation["requestBody"]["content"])
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                names.extend(object(&parameter["examples"]).map(|(name, _)| name.clone()));
            }
            for (_, said) in object(&operation["responses"]) {
                names.extend(examples(&said["content"]).into_iter().map(|(name, _)| name));
            }
            for name in names {
                let key = format!("{}/{name}", operation["operationId"].as_str().unwrap());
                all.insert(key, Example::named(&name, method, path, operation));
            }
        }
        all
    }

    /// Every path, and one that it stands for.
    pub(super) fn paths(&self) -> BTreeMap<String, String> {
        let templates: BTreeMap<&str, &str> = self
            .operations()
            .map(|(path, _, operation)| (operation["operationId"].as_str().unwrap(), path))
            .collect();
        self.examples()
            .into_iter()
            .map(|(name, example)| {
                let id = name.split('/').next().unwrap();
                (templates[id].to_owned(), example.path)
            })
            .collect()
    }

    /// The names of what the example's body may have.
    pub(crate) fn fields(&self, example: &Example) -> Vec<String> {
        object(&example.operation["requestBody"]["content"])
            .flat_map(|(_, media)| object(&self.resolved(&media["schema"])["properties"]))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// What a `$ref` stands for.
    pub(super) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.map_or(value, |pointer| self.0.pointer(pointer).unwrap())
    }

    /// How a body does not fit the schema of its content.
    pub(super) fn misfit(&self, what: &str, content: &Value, body: &Value) -> Option<String> {
        let (_, media) = object(content).next()?;
        let mut schema = media["schema"].clone();
        schema["components"] = json!({ "schemas": self.0["components"]["schemas"] });
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        (!errors.is_empty()).then(|| format!("{what}: {}: {body}", errors.join("; ")))
    }
}

/// The status, and the answer as JSON (text that is none: a string) and as it came.
pub(super) async fn send(
    api: &Api,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<String>,
) -> (u16, Value, String) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = api.http.request(method, format!("{}{path}", api.address));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let shown = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()));
    (status, shown, text)
}
