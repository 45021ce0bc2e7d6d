//! The HTTPS client behind the guard. A name is resolved once, every address of it is checked, and what was checked is
//! what is called: the client underneath cannot resolve anything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Method, Request, Response, Url};
use secrecy::ExposeSecret;
use strongroom_ports::{Call, CallBody, Fetch, FetchError, Fetched, Fetching};
use zeroize::Zeroizing;

use crate::Allowed;
use crate::guard::Guard;

const CONNECT: Duration = Duration::from_secs(2);
/// From the first question to the last byte.
const WHOLE: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What the client underneath asks when it would resolve a name by itself.
struct NoResolver;

impl reqwest::dns::Resolve for NoResolver {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(std::future::ready(Err("no name is resolved here".into())))
    }
}

/// The one way out of a node over HTTP.
#[derive(Debug)]
pub struct Outbound {
    guard: Guard,
}

impl Outbound {
    pub fn new(allowed: Allowed, home: bool) -> Self {
        Self {
            guard: Guard::new(allowed, home),
        }
    }

    async fn call(&self, call: Call<'_>) -> Result<Fetched, FetchError> {
        let url = Url::parse(call.url).map_err(|_| FetchError::Url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let plain = !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
        if host.is_empty() || plain || !matches!(url.scheme(), "https" | "http") {
            return Err(FetchError::Url);
        }
        let addresses = self.guard.addresses(&host).await?;
        // What travels in clear stays within this machine.
        if url.scheme() == "http" && !addresses.iter().all(|address| address.to_canonical().is_loopback()) {
            return Err(FetchError::Url);
        }
        let client = client(&host, &addresses, call.ca_pem)?;
        let answer = client.execute(request(url, call)?).await;
        let answer = answer.map_err(|error| fault(&error))?;
        if answer.status().is_redirection() {
            return Err(FetchError::Redirected);
        }
        taken(answer).await
    }
}

impl Fetch for Outbound {
    fn fetch<'a>(&'a self, call: Call<'a>) -> Fetching<'a> {
        Box::pin(async move {
            let answer = tokio::time::timeout(WHOLE, self.call(call)).await;
            answer.unwrap_or(Err(FetchError::TimedOut))
        })
    }
}

/// One for each call: nothing of one call, no connection either, is there for the next.
fn client(host: &str, addresses: &[IpAddr], ca_pem: Option<&str>) -> Result<Client, FetchError> {
    let addresses: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(NoResolver))
        .resolve_to_addrs(host, &addresses);
    let builder = match ca_pem {
        None => builder,
        Some(pem) => {
            let trusted = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if trusted.is_empty() {
                return Err(FetchError::Certificates);
            }
            builder.tls_certs_only(trusted)
        }
    };
    builder.build().map_err(|_| FetchError::Certificates)
}

fn request(url: Url, call: Call<'_>) -> Result<Request, FetchError> {
    let method = if call.body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::new(method, url);
    let headers = request.headers_mut();
    headers.insert(ACCEPT, JSON);
    for (name, value) in &call.headers {
        headers.insert(*name, HeaderValue::from_str(value).map_err(|_| FetchError::Url)?);
    }
    if let Some(token) = call.bearer {
        let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| FetchError::Url)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(body) = call.body {
        let (form, bytes) = match body {
            CallBody::Json(bytes) => (JSON, bytes),
            CallBody::Form(bytes) => (FORM, bytes),
        };
        headers.insert(CONTENT_TYPE, form);
        *request.body_mut() = Some(bytes.to_vec().into());
    }
    Ok(request)
}

async fn taken(mut answer: Response) -> Result<Fetched, FetchError> {
    let (status, max_age) = (answer.status().as_u16(), max_age(answer.headers()));
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| fault(&error))? {
        if body.len() + part.len() > MAX_BYTES {
            return Err(FetchError::TooLarge(MAX_BYTES));
        }
        body.extend_from_slice(&part);
    }
    Ok(Fetched { status, max_age, body })
}

fn fault(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::TimedOut
    } else {
        FetchError::Unreachable
    }
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let mut parts = said.split(',').map(str::trim);
    if parts
        .clone()
        .any(|part| part.eq_ignore_ascii_case("no-store") || part.eq_ignore_ascii_case("no-cache"))
    {
        return Some(Duration::ZERO);
    }
    let seconds = parts.find_map(|part| part.to_ascii_lowercase().strip_prefix("max-age=")?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
