//! What every handler reads of a request's head: who asks from where, the path, the query.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use strongroom_broker::{Broker, ClientCertificate, Request};
use strongroom_domain::audit::Dialect;
use strongroom_domain::flag::{FlagPath, FlagSetName};
use strongroom_domain::ids::RequestId;
use strongroom_domain::lease::LeaseId;
use strongroom_domain::{Error, Name, NamespaceName, ObjectId, Prefix, SecretPath};

use crate::App;
use crate::answer::Failure;

/// What the edge puts beside a request: its id, and the peer's address.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) id: RequestId,
    pub(crate) source: Arc<str>,
    /// It came by the control socket: its sender may read our key and our store.
    pub(crate) operator: bool,
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

/// The broker's view of a request, and the broker within the namespace that it is of.
pub(crate) struct Call {
    pub(crate) broker: Broker,
    pub(crate) request: Request,
}

pub(crate) const MAX_TOKEN: usize = 8192;

pub(crate) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && (1..=MAX_TOKEN).contains(&token.len());
    fits.then(|| SecretString::from(token))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Error> {
    let read = |value: &'h HeaderValue| {
        value
            .to_str()
            .map_err(|_| Error::invalid(format!("'{name}' is not text.")))
    };
    headers.get(name).map(read).transpose()
}

impl Call {
    /// As any protocol's: with the token where that has it.
    pub(crate) async fn of(
        parts: &Parts,
        app: &App,
        dialect: Dialect,
        token: Option<SecretString>,
    ) -> Result<Self, Failure> {
        let origin = parts
            .extensions
            .get::<Origin>()
            .ok_or_else(|| Error::internal("a request without an origin"))?;
        let change_id = text(&parts.headers, "Idempotency-Key")?;
        let namespace = text(&parts.headers, "X-Strongroom-Namespace")?;
        let mut request = Request::new(origin.id, dialect, origin.source.clone());
        if origin.operator {
            request = request.of_operator();
        }
        request.certificate.clone_from(&origin.certificate);
        request.change_id = change_id.map(str::to_owned);
        request.namespace = namespace.map(NamespaceName::parse).transpose()?;
        let request = request.with_token(token);
        let broker = app.broker.room(&request).await?;
        Ok(Self { broker, request })
    }
}

impl FromRequestParts<App> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        Self::of(parts, app, Dialect::Native, bearer(&parts.headers)).await
    }
}

/// The rest of the URL's path behind a route's fixed part, as it was sent.
fn tail(parts: &Parts) -> &str {
    // `/api/v1/<noun>/<rest>`: no fixed part holds more.
    parts.uri.path().splitn(5, '/').nth(4).unwrap_or_default()
}

/// A secret's path at the end of the URL.
pub(crate) struct Path(pub(crate) SecretPath);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(SecretPath::parse_encoded(tail(parts))?))
    }
}

/// A folder at the end of the URL.
pub(crate) struct Folder(pub(crate) Prefix);

impl<S: Send + Sync> FromRequestParts<S> for Folder {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(Prefix::parse_encoded(tail(parts))?))
    }
}

/// A name in the URL: behind the noun, and as many segments.
pub(crate) struct Named<const AT: usize = 0>(pub(crate) Name);

impl<S: Send + Sync, const AT: usize> FromRequestParts<S> for Named<AT> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let name = tail(parts).split('/').nth(AT).unwrap_or_default();
        Ok(Self(Name::parse(name)?))
    }
}

/// A project's environment behind the noun.
pub(crate) struct SetNamed(pub(crate) FlagSetName);

impl<S: Send + Sync> FromRequestParts<S> for SetNamed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut names = tail(parts).split('/');
        let mut name = || Name::parse(names.next().unwrap_or_default());
        Ok(Self(FlagSetName {
            project: name()?,
            environment: name()?,
        }))
    }
}

/// A flag behind the noun.
pub(crate) struct FlagNamed(pub(crate) FlagPath);

impl<S: Send + Sync> FromRequestParts<S> for FlagNamed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(FlagPath::parse(tail(parts))?))
    }
}

/// A lease's id behind the noun.
pub(crate) struct LeaseNamed(pub(crate) LeaseId);

impl<S: Send + Sync> FromRequestParts<S> for LeaseNamed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let text = tail(parts).split('/').next().unwrap_or_default();
        let refused = || Error::invalid("A lease's id is 'lease:' and 20 characters.");
        Ok(Self(LeaseId::parse(text).ok_or_else(refused)?))
    }
}

/// A namespace's name behind the noun.
pub(crate) struct NamedNamespace(pub(crate) NamespaceName);

impl<S: Send + Sync> FromRequestParts<S> for NamedNamespace {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let name = tail(parts).split('/').next().unwrap_or_default();
        Ok(Self(NamespaceName::parse(name)?))
    }
}

/// Ids in the URL, one behind each noun: `clients/{id}`, `clients/{id}/secrets/{secret_id}`.
pub(crate) struct Ids<const N: usize>(pub(crate) [String; N]);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Ids<N> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let ids: Vec<String> = tail(parts).split('/').step_by(2).take(N).map(str::to_owned).collect();
        match <[String; N]>::try_from(ids) {
            Ok(ids) if ids.iter().all(|id| ObjectId::parse(id).is_some()) => Ok(Self(ids)),
            _ => Err(Error::invalid("An id is 32 lower-case hexadecimal digits.").into()),
        }
    }
}

/// The query string, with nothing in it that is not known. No text that could be meant holds a NUL.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let nul = parts.uri.query().is_some_and(|query| query.contains("%00"));
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) if !nul => Ok(Self(query.0)),
            _ => Err(Error::invalid("The query string has an unknown, repeated or malformed parameter.").into()),
        }
    }
}

/// How many items a page has: 1 to 1,000, 100 when not said.
pub(crate) fn page_limit(limit: Option<u32>) -> Result<u16, Failure> {
    match limit {
        None => Ok(100),
        Some(limit @ 1..=1000) => Ok(u16::try_from(limit).unwrap_or(1000)),
        Some(_) => Err(Error::invalid("'limit' is 1 to 1,000.").into()),
    }
}
