//! `OpenFeature`'s remote evaluation protocol, OFREP 0.3 (open-feature/protocol, service/openapi.yaml), under
//! `/flags/{project}/{environment}`; and under the bare origin for browser keys, which say themselves whose flags they evaluate.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::response::IntoResponse as _;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use secrecy::SecretString;
use serde_json::{Map, Value};
use strongroom_api::ofrep::{
    Evaluate, Evaluated, Evaluations, EventStream, RefetchQuery, Refused, StreamEndpoint, StreamQuery,
};
use strongroom_broker::{AskedSet, Request};
use strongroom_domain::audit::Dialect;
use strongroom_domain::flag::{FlagKey, FlagSetName};
use strongroom_domain::{Error, Name};
use strongroom_flags::{Context, Evaluation};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::App;
use crate::answer::{Answer, Failure, json};
use crate::body::Json;
use crate::call::{Asked, Call, MAX_TOKEN, bearer, request_of};
use crate::native::flags::{known, tag, with_tag};
use crate::native::watch::{Form, LAST_EVENT_ID, again, streaming};

/// What the path of a named set starts with.
pub(crate) const ROOT: &str = "/flags/";
/// What names the set in a route.
const NAMED: &str = "/flags/{project}/{environment}";
/// How long a browser remembers what it may send.
const PREFLIGHT: Duration = Duration::from_mins(10);
/// Seconds after which a browser that shows nothing may let its stream go.
const INACTIVITY: u32 = 120;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Which pages may ask. No cookie is ever looked at, so what counts is the token: on the listener of flags any page may ask, and
/// a browser key is refused to those that it is not bound to.
pub(crate) fn cors(app: &App) -> CorsLayer {
    let (any, named) = (app.of_browsers, app.flag_origins.clone());
    let allowed = move |origin: &HeaderValue, _: &Parts| {
        any || named.iter().any(|named| named.as_str().as_bytes() == origin.as_bytes())
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::IF_NONE_MATCH,
            API_KEY,
            HeaderName::from_static(LAST_EVENT_ID),
        ])
        .expose_headers([header::ETAG, header::RETRY_AFTER])
        .max_age(PREFLIGHT)
}

/// A call about a set of flags, with a token in either of two headers.
pub(crate) struct OfSet {
    call: Call,
    set: AskedSet,
}

/// The same route without the set's name.
pub(crate) fn unnamed(route: &str) -> Option<&str> {
    route.strip_prefix(NAMED)
}

fn token(headers: &HeaderMap) -> Option<SecretString> {
    let key = || headers.get(API_KEY)?.to_str().ok();
    let fits = |key: &&str| (1..=MAX_TOKEN).contains(&key.len());
    bearer(headers).or_else(|| key().filter(fits).map(SecretString::from))
}

fn set_of(parts: &Parts) -> Result<AskedSet, Error> {
    let Some(rest) = parts.uri.path().strip_prefix(ROOT) else {
        return Ok(AskedSet::Bound);
    };
    let mut names = rest.split('/');
    let mut name = || Name::parse(names.next().unwrap_or_default());
    Ok(AskedSet::Named(FlagSetName {
        project: name()?,
        environment: name()?,
    }))
}

impl FromRequestParts<App> for OfSet {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let set = set_of(parts)?;
        let call = Call::of(parts, app, Dialect::Ofrep, token(&parts.headers)).await?;
        Ok(Self { call, set })
    }
}

/// The flag's key as it was sent, at the end.
pub(crate) struct Keyed(String);

impl<S: Send + Sync> FromRequestParts<S> for Keyed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let key = parts.uri.path().rsplit('/').next();
        Ok(Self(key.unwrap_or_default().to_owned()))
    }
}

fn refused(status: StatusCode, key: Option<&str>, code: &str, details: impl Into<String>) -> Answer {
    let body = Refused {
        key: key.map(str::to_owned),
        error_code: code.to_owned(),
        error_details: details.into(),
        metadata: Map::new(),
    };
    Ok(json(status, &body))
}

fn unread(key: Option<&str>, failure: Failure) -> Answer {
    match crate::answer::status(failure.0.code) {
        status @ StatusCode::BAD_REQUEST => refused(status, key, "PARSE_ERROR", failure.0.detail),
        _ => Err(failure),
    }
}

/// Who asks and whom to evaluate for, or what to answer instead.
fn asked(
    key: Option<&str>,
    of: Result<OfSet, Failure>,
    body: Result<Json<Evaluate>, Failure>,
) -> Result<(OfSet, Context), Box<Answer>> {
    let refuse = |failure: Failure| Box::new(unread(key, failure));
    let of = of.map_err(refuse)?;
    let Json(sent) = body.map_err(refuse)?;
    let sent = sent.context.unwrap_or_else(|| Value::Object(Map::new()));
    let context = Context::parse(sent).map_err(|mistake| {
        let details = mistake.to_string();
        Box::new(refused(StatusCode::BAD_REQUEST, key, "INVALID_CONTEXT", details))
    })?;
    Ok((of, context))
}

/// Some clients look for a variant where there is none: an empty one.
fn shown(key: String, evaluation: Evaluation) -> Result<Evaluated, Refused> {
    let metadata = (*evaluation.metadata).clone();
    match evaluation.outcome {
        Ok(evaluated) => Ok(Evaluated {
            key,
            value: evaluated.value.map(|value| (*value).clone()),
            variant: evaluated
                .variant
                .map_or_else(String::new, |variant| variant.to_string()),
            reason: evaluated.reason.name().to_owned(),
            metadata,
        }),
        Err(failure) => Err(Refused {
            key: Some(key),
            error_code: failure.code.name().to_owned(),
            error_details: failure.details,
            metadata,
        }),
    }
}

pub(crate) async fn one(
    of: Result<OfSet, Failure>,
    Keyed(key): Keyed,
    body: Result<Json<Evaluate>, Failure>,
) -> Answer {
    let (OfSet { call, set }, context) = match asked(Some(&key), of, body) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    // What can be no key is a flag that is not there, to whoever may ask.
    let absent = || {
        refused(
            StatusCode::NOT_FOUND,
            Some(&key),
            "FLAG_NOT_FOUND",
            "There is no such flag.",
        )
    };
    let flag = FlagKey::parse(&key).or_else(|_| FlagKey::parse("0"))?;
    let found = call.broker.evaluate(&call.request, &set, &flag, &context).await?;
    match found.filter(|_| flag.as_str() == key) {
        None => absent(),
        Some(evaluation) => match shown(key.clone(), evaluation) {
            Ok(evaluated) => Ok(json(StatusCode::OK, &evaluated)),
            Err(refused) => Ok(json(StatusCode::BAD_REQUEST, &refused)),
        },
    }
}

pub(crate) async fn all(
    of: Result<OfSet, Failure>,
    hint: Result<Asked<RefetchQuery>, Failure>,
    headers: HeaderMap,
    body: Result<Json<Evaluate>, Failure>,
) -> Answer {
    let (OfSet { call, set }, context) = match asked(None, of, body) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    let Asked(hint) = match hint {
        Ok(hint) => hint,
        Err(failure) => return unread(None, failure),
    };
    let found = call.broker.evaluate_all(&call.request, &set, &context).await?;
    let flags = found.flags.into_iter().map(|(key, evaluation)| {
        let item = shown(key, evaluation);
        item.map_or_else(serde_json::to_value, serde_json::to_value)
    });
    let mut body = Evaluations {
        flags: flags.collect::<Result<_, _>>().map_err(Error::internal)?,
        metadata: (*found.metadata).clone(),
        event_streams: Vec::new(),
    };
    let tag = tag(&serde_json::to_vec(&body).map_err(Error::internal)?);
    // Who asks because a stream said so has one. Any other browser may have lost its own, and is given another.
    let told = hint.flag_config_etag.is_some() || hint.flag_config_last_modified.is_some();
    if (told || call.request.page.is_none()) && known(&headers).any(|known| known == tag) {
        return with_tag(StatusCode::NOT_MODIFIED.into_response(), &tag);
    }
    let ticket = call.broker.flag_ticket(&call.request, &found.set)?;
    let at = match &set {
        AskedSet::Named(set) => format!("{ROOT}{set}"),
        AskedSet::Bound => String::new(),
    };
    body.event_streams = vec![EventStream {
        kind: "sse".into(),
        endpoint: StreamEndpoint {
            request_uri: format!("{at}/ofrep/v1/stream?ticket={ticket}"),
        },
        inactivity_delay_sec: INACTIVITY,
    }];
    with_tag(json(StatusCode::OK, &body), &tag)
}

/// Notices that flags of the set are to be evaluated anew, never what they give.
pub(crate) async fn stream(
    State(app): State<App>,
    headers: HeaderMap,
    Ticketed(request, set, ticket): Ticketed,
) -> Answer {
    let broker = app.broker.room_of_ticket(&ticket)?;
    let stream = broker.flag_stream(request, &set, &ticket, again(&headers)).await?;
    Ok(streaming(app, stream.watching, Form::Refetch(stream.again)))
}

/// What an `EventSource` sends: a ticket in the address, and no header of ours.
pub(crate) struct Ticketed(Request, AskedSet, String);

impl FromRequestParts<App> for Ticketed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Asked(query) = Asked::<StreamQuery>::from_request_parts(parts, app).await?;
        let request = request_of(parts, app, Dialect::Ofrep)?;
        Ok(Self(request, set_of(parts)?, query.ticket))
    }
}
