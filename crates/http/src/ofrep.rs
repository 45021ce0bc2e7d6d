//! `OpenFeature`'s remote evaluation protocol, OFREP 0.3 (open-feature/protocol, service/openapi.yaml), under
//! `/flags/{project}/{environment}`.

use axum::extract::FromRequestParts;
use axum::response::IntoResponse as _;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use secrecy::SecretString;
use serde_json::{Map, Value};
use strongroom_api::ofrep::{Evaluate, Evaluated, Evaluations, Refused};
use strongroom_domain::audit::Dialect;
use strongroom_domain::flag::{FlagKey, FlagSetName};
use strongroom_domain::{Error, Name};
use strongroom_flags::{Context, Evaluation};

use crate::App;
use crate::answer::{Answer, Failure, json};
use crate::body::Json;
use crate::call::{Call, MAX_TOKEN, bearer};
use crate::native::flags::{has, tag};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A call about a set of flags, with a token in either of two headers.
pub(crate) struct OfSet {
    call: Call,
    set: FlagSetName,
}

fn token(headers: &HeaderMap) -> Option<SecretString> {
    let key = || headers.get(API_KEY)?.to_str().ok();
    let fits = |key: &&str| (1..=MAX_TOKEN).contains(&key.len());
    bearer(headers).or_else(|| key().filter(fits).map(SecretString::from))
}

/// Where a flag's key stands: `/flags/{project}/{environment}/ofrep/v1/evaluate/flags/{key}`.
const KEY_AT: usize = 8;

impl FromRequestParts<App> for OfSet {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let mut names = parts.uri.path().split('/').skip(2);
        let mut name = || Name::parse(names.next().unwrap_or_default());
        let set = FlagSetName {
            project: name()?,
            environment: name()?,
        };
        let call = Call::of(parts, app, Dialect::Ofrep, token(&parts.headers)).await?;
        Ok(Self { call, set })
    }
}

/// The flag's key as it was sent.
pub(crate) struct Keyed(String);

impl<S: Send + Sync> FromRequestParts<S> for Keyed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let key = parts.uri.path().split('/').nth(KEY_AT);
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

/// Who asks and whom to evaluate for, or what to answer instead.
fn asked(
    key: Option<&str>,
    of: Result<OfSet, Failure>,
    body: Result<Json<Evaluate>, Failure>,
) -> Result<(OfSet, Context), Answer> {
    let refuse = |failure: Failure| match crate::answer::status(failure.0.code) {
        status @ StatusCode::BAD_REQUEST => refused(status, key, "PARSE_ERROR", failure.0.detail),
        _ => Err(failure),
    };
    let of = of.map_err(refuse)?;
    let Json(sent) = body.map_err(refuse)?;
    let sent = sent.context.unwrap_or_else(|| Value::Object(Map::new()));
    let context = Context::parse(sent).map_err(|mistake| {
        let details = mistake.to_string();
        refused(StatusCode::BAD_REQUEST, key, "INVALID_CONTEXT", details)
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
        Err(answer) => return answer,
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
    headers: HeaderMap,
    body: Result<Json<Evaluate>, Failure>,
) -> Answer {
    let (OfSet { call, set }, context) = match asked(None, of, body) {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let found = call.broker.evaluate_all(&call.request, &set, &context).await?;
    let flags = found.flags.into_iter().map(|(key, evaluation)| {
        let item = shown(key, evaluation);
        item.map_or_else(serde_json::to_value, serde_json::to_value)
    });
    let body = Evaluations {
        flags: flags.collect::<Result<_, _>>().map_err(Error::internal)?,
        metadata: (*found.metadata).clone(),
    };
    let tag = tag(&serde_json::to_vec(&body).map_err(Error::internal)?);
    let mut response = if has(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, &body)
    };
    let tag = HeaderValue::try_from(tag).map_err(Error::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}
