//! One operation: its handler and its description in one value, so that neither exists without the other. The router
//! and the API's description are both made from these.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::App;

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route asks of who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    Anybody,
    /// A token that holds; capabilities only where it is about somebody else.
    Token,
    /// A token, and a capability on what is asked for.
    Capability,
}

pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: MethodRouter<App>,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) door: Door,
    /// Takes `Idempotency-Key`.
    pub(crate) changes: bool,
    pub(crate) query: Option<SchemaOf>,
    pub(crate) body: Option<SchemaOf>,
    pub(crate) answers: Vec<Shown>,
    pub(crate) refusals: Vec<StatusCode>,
    pub(crate) examples: Vec<Example>,
}

/// What is answered when all is well.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) what: &'static str,
    /// Media types and their schemas; none: an empty body.
    pub(crate) content: Vec<(&'static str, SchemaOf)>,
}

/// A request and its answer, as a test sends it and finds it.
pub(crate) struct Example {
    pub(crate) name: &'static str,
    pub(crate) with: Vec<(&'static str, &'static str)>,
    pub(crate) body: Option<Value>,
    pub(crate) status: StatusCode,
    pub(crate) answer: Option<Value>,
}

pub(crate) const JSON: &str = "application/json";

fn component<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// In place: a query's fields are parameters, one by one.
fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

macro_rules! methods {
    ($($name:ident, $method:ident;)*) => { $(
        pub(crate) fn $name<H, T>(path: &'static str, id: &'static str, summary: &'static str, handler: H) -> Operation
        where
            H: Handler<T, App>,
            T: 'static,
        {
            Operation::new(Method::$method, path, id, summary, on(MethodFilter::$method, handler))
        }
    )* };
}

methods! { get, GET; put, PUT; post, POST; patch, PATCH; delete, DELETE; }

impl Operation {
    fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        Self {
            method,
            path,
            handler,
            id,
            summary,
            description: "",
            door: Door::Capability,
            changes: false,
            query: None,
            body: None,
            answers: Vec::new(),
            refusals: vec![
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::SERVICE_UNAVAILABLE,
            ],
            examples: Vec::new(),
        }
    }

    pub(crate) fn describe(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// Of the API, for whoever has a token and may.
    pub(crate) fn guarded(self) -> Self {
        self.refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN])
    }

    /// For anybody.
    pub(crate) fn open(self) -> Self {
        Self {
            door: Door::Anybody,
            ..self
        }
    }

    /// For whoever has a token, about oneself or what one holds.
    pub(crate) fn oneself(self) -> Self {
        Self {
            door: Door::Token,
            ..self
        }
    }

    /// By no limit.
    pub(crate) fn unlimited(mut self) -> Self {
        self.refusals.retain(|status| *status != StatusCode::TOO_MANY_REQUESTS);
        self
    }

    pub(crate) fn changes(self) -> Self {
        Self { changes: true, ..self }.refuses(&[StatusCode::CONFLICT])
    }

    /// What it is about may not be there.
    pub(crate) fn finds(self) -> Self {
        self.refuses(&[StatusCode::NOT_FOUND])
    }

    pub(crate) fn query<T: JsonSchema>(self) -> Self {
        Self {
            query: Some(inline::<T>),
            ..self
        }
    }

    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        Self {
            body: Some(component::<T>),
            ..self
        }
        .refuses(&[
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ])
    }

    pub(crate) fn shows<T: JsonSchema>(self, status: StatusCode, what: &'static str) -> Self {
        self.answers(status, what, Some((JSON, component::<T>)))
    }

    pub(crate) fn ends(self, what: &'static str) -> Self {
        self.answers(StatusCode::NO_CONTENT, what, None)
    }

    pub(crate) fn answers(
        mut self,
        status: StatusCode,
        what: &'static str,
        content: Option<(&'static str, SchemaOf)>,
    ) -> Self {
        let content = content.into_iter().collect();
        self.answers.push(Shown { status, what, content });
        self
    }

    /// The last answer in another form.
    pub(crate) fn or_as(mut self, media: &'static str, schema: SchemaOf) -> Self {
        if let Some(shown) = self.answers.last_mut() {
            shown.content.push((media, schema));
        }
        self
    }

    pub(crate) fn refuses(mut self, statuses: &[StatusCode]) -> Self {
        self.refusals.extend_from_slice(statuses);
        self
    }

    /// What follows says more of it.
    pub(crate) fn example(
        mut self,
        name: &'static str,
        status: StatusCode,
        with: &[(&'static str, &'static str)],
    ) -> Self {
        self.examples.push(Example {
            name,
            with: with.to_vec(),
            body: None,
            status,
            answer: None,
        });
        self
    }

    /// The last example's body.
    pub(crate) fn sent(mut self, body: Value) -> Self {
        if let Some(example) = self.examples.last_mut() {
            example.body = Some(body);
        }
        self
    }

    /// The last example's answer.
    pub(crate) fn shown(mut self, answer: Value) -> Self {
        if let Some(example) = self.examples.last_mut() {
            example.answer = Some(answer);
        }
        self
    }

    /// Its path as OpenAPI writes it.
    pub(crate) fn template(&self) -> String {
        self.path.replace("{*", "{")
    }

    /// The names in its path.
    pub(crate) fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.path.split('{').skip(1);
        parts.filter_map(|part| part.split('}').next().map(|name| name.trim_start_matches('*')))
    }
}
