//! Bodies: bounded in size, time and depth before anything is made of them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::header;
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
