//! Bodies: bounded in size, time and depth before anything is made of them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use http::{Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use strongroom_domain::{Code, Error, payload};

use crate::App;
use crate::answer::Failure;

const MAX_BYTES: usize = 1 << 20;

async fn read(request: Request, time: Duration) -> Result<Vec<u8>, Failure> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::from(Code::UnsupportedEncoding).into());
    }
    let declared = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(Error::from(Code::BodyTooLarge).into());
    }
    collect(body, time).await
}

async fn collect(body: Body, time: Duration) -> Result<Vec<u8>, Failure> {
    match tokio::time::timeout(time, Limited::new(body, MAX_BYTES).collect()).await {
        Err(_) => Err(Error::from(Code::BodyTimeout).into()),
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::from(Code::BodyTooLarge).into()),
        Ok(Err(_)) => Err(Error::invalid("The body could not be read.").into()),
    }
}

/// A JSON body, whatever its content type says.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        // Half of the request's time, so that what is left answers it.
        let bytes = read(request, app.request_deadline / 2).await?;
        payload::check_depth(&bytes)?;
        Ok(Self(strongroom_api::parse(&bytes)?))
    }
}

/// The same, or a form: what protocols of others send (RFC 7662 §2.1).
pub(crate) struct FormOrJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for FormOrJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let bytes = read(request, app.request_deadline / 2).await?;
        if bytes.trim_ascii_start().starts_with(b"{") {
            payload::check_depth(&bytes)?;
            return Ok(Self(strongroom_api::parse(&bytes)?));
        }
        // A form has the syntax of a query string.
        let form = std::str::from_utf8(&bytes).ok();
        let uri = form.and_then(|form| format!("/?{form}").parse::<Uri>().ok());
        let read = uri.and_then(|uri| Query::<T>::try_from_uri(&uri).ok());
        match read {
            Some(Query(read)) => Ok(Self(read)),
            None => Err(
                Error::invalid("The body is neither a JSON object nor a form with the fields that it needs.").into(),
            ),
        }
    }
}
