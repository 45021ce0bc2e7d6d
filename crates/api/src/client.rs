//! The typed client that the command line and the tests use.

mod dead_letters;
mod error;
mod flags;
mod leases;
mod methods;
mod rotation;
mod routes;
mod tls;
mod tokens;
mod watch;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_domain::NamespaceName;
use zeroize::Zeroizing;

pub use error::Error;
pub use reqwest;
pub use tls::Tls;
pub use watch::{SILENCE, WatchEvent, Watching};

use crate::{BASE, Problem};

type Result<T> = std::result::Result<T, Error>;

const TIMEOUT: Duration = Duration::from_secs(30);
/// For as long as whole stores take.
const DOWNLOAD: Duration = Duration::from_hours(24);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One server and one token. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    bearer: Option<HeaderValue>,
    namespace: Option<NamespaceName>,
    sends: bool,
}

impl Client {
    /// `addr` is `http://host:port` or `https://host:port`, with nothing behind it.
    pub fn new(addr: &str, token: Option<SecretString>) -> Result<Self> {
        Self::with(addr, token, &Tls::default())
    }

    /// The same, where more is to be said of how HTTPS is spoken there.
    pub fn with(addr: &str, token: Option<SecretString>, tls: &Tls) -> Result<Self> {
        let refuse = || Error::Address(addr_without_user(addr));
        let base = Url::parse(addr).map_err(|_| refuse())?;
        let host_only = matches!(base.scheme(), "http" | "https")
            && base.path() == "/"
            && base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        if !host_only {
            return Err(refuse());
        }
        let http = built(&base, |builder| tls.applied(builder))?;
        Ok(Self {
            http,
            base,
            bearer: token.map(|token| bearer(&token)).transpose()?,
            namespace: None,
            sends: true,
        })
    }

    /// A server's control socket on this machine: its file says who may.
    pub fn on_socket(path: &Path) -> Result<Self> {
        let base = Url::parse("http://control").map_err(|_| Error::Address("control".into()))?;
        Ok(Self {
            http: built(&base, |builder| builder.unix_socket(path))?,
            base,
            bearer: None,
            namespace: None,
            sends: true,
        })
    }

    /// The same within a namespace, which each request names.
    #[must_use]
    pub fn within(self, namespace: Option<NamespaceName>) -> Self {
        Self { namespace, ..self }
    }

    /// The same, but every call ends in [`Error::Unsent`] with the request that would have gone out.
    #[must_use]
    pub fn unsending(self) -> Self {
        Self { sends: false, ..self }
    }

    /// Whether calls reach the server.
    pub fn sends(&self) -> bool {
        self.sends
    }

    /// What a scrape shows.
    pub async fn metrics(&self) -> Result<String> {
        let none: Option<&()> = None;
        let (status, body) = self.send(Method::GET, "/metrics", &(), none).await?;
        if status.is_success() {
            Ok(String::from_utf8_lossy(body.as_ref()).into_owned())
        } else {
            Err(refusal(status, body.as_ref()))
        }
    }

    /// One request. `path` is what follows `/api/v1/`, already encoded; an answer without a body reads as `()`.
    pub async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &(impl Serialize + ?Sized),
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<A> {
        let path = format!("{BASE}/{path}");
        let (status, body) = self.send(method, &path, query, body).await?;
        if status.is_success() {
            answer(status, body.as_ref())
        } else {
            Err(refusal(status, body.as_ref()))
        }
    }

    /// A POST whose answer is no JSON and has no end in sight: it is taken part by part.
    pub async fn download(&self, path: &str) -> Result<Download> {
        let (path, none) = (format!("{BASE}/{path}"), None::<&()>);
        let response = self.open(Method::POST, &path, &(), none, Some(DOWNLOAD)).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Download {
                base: self.base.clone(),
                response,
            });
        }
        let body = response.bytes().await.map_err(|error| network(&self.base, &error))?;
        Err(refusal(status, &body))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &(impl Serialize + ?Sized),
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<(StatusCode, impl AsRef<[u8]>)> {
        let response = self.open(method, path, query, body, None).await?;
        let status = response.status();
        let body = response.bytes().await;
        Ok((status, body.map_err(|error| network(&self.base, &error))?))
    }

    /// Up to the answer's head.
    async fn open(
        &self,
        method: Method,
        path: &str,
        query: &(impl Serialize + ?Sized),
        body: Option<&(impl Serialize + ?Sized)>,
        timeout: Option<Duration>,
    ) -> Result<reqwest::Response> {
        let url = self
            .base
            .join(path)
            .map_err(|_| Error::Unexpected("The path makes no URL.".into()))?;
        let mut request = self.http.request(method, url).query(query);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Strongroom-Namespace", namespace.as_str());
        }
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|_| Error::Unexpected("The request makes no JSON.".into()))?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let request = request.build().map_err(|error| network(&self.base, &error))?;
        if !self.sends {
            return Err(Error::Unsent(Box::new(request)));
        }
        let response = self.http.execute(request).await;
        response.map_err(|error| network(&self.base, &error))
    }
}

fn network(base: &Url, error: &reqwest::Error) -> Error {
    Error::Network(error::sentence(base, error))
}

/// An answer that is taken part by part.
#[derive(Debug)]
pub struct Download {
    base: Url,
    response: reqwest::Response,
}

impl Download {
    /// `None` at its end; one that is broken off is an error.
    pub async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>> {
        let part = self.response.chunk().await;
        part.map_err(|error| network(&self.base, &error))
    }
}

fn built(base: &Url, with: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<reqwest::Client> {
    let http = match with(builder(base)).build() {
        // The machine has no certificates to check others by, and plain HTTP needs none.
        Err(_) if base.scheme() == "http" => with(builder(base)).tls_certs_only([]).build(),
        built => built,
    };
    http.map_err(|error| network(base, &error))
}

fn builder(base: &Url) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        // A redirect would carry the token, or a value, to where nobody sent it.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
    if is_loopback(base) { builder.no_proxy() } else { builder }
}

fn answer<A: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<A> {
    let body = if status == StatusCode::NO_CONTENT {
        b"null"
    } else {
        body
    };
    // The parser's own message may quote a value.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::Unexpected(format!(
            "The server's answer is not what this client expects (line {line} column {column})."
        ))
    })
}

fn refusal(status: StatusCode, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) if status.is_redirection() => Error::Unexpected(format!(
            "The server redirects ({status}); name the address it redirects to."
        )),
        Err(_) => Error::Unexpected(format!("The answer is {status}, and not from Strongroom.")),
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| Error::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or_else(
        |_| host == "localhost" || host.ends_with(".localhost"),
        |ip| ip.is_loopback(),
    )
}

/// An address that was refused may hold a password.
fn addr_without_user(addr: &str) -> String {
    addr.rsplit_once('@')
        .map_or_else(|| addr.to_owned(), |(_, host)| format!("…@{host}"))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["http://127.0.0.1:8200", "https://vault.example/", "http://[::1]:1"] {
            assert!(Client::new(good, None).is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost:8200",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://user:hunter2@a",
            "http://a#b",
        ] {
            let message = Client::new(bad, None).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(matches!(
            Client::new("http://a", Some("a\nb".into())),
            Err(Error::Token)
        ));
        let loopback = |addr: &str| is_loopback(&Url::parse(addr).unwrap());
        assert!(loopback("http://127.1.2.3") && loopback("http://[::1]:9") && loopback("http://localhost"));
        assert!(!loopback("http://10.0.0.1") && !loopback("http://localhost.example"));
    }

    #[test]
    fn an_unsent_request_is_whole_and_shows_no_token() {
        let client = Client::new("http://127.0.0.1:1", Some("srs_hunter2".into())).unwrap();
        let call = client.unsending();
        let call = call.call::<()>(Method::PUT, "secrets/a%20b", &[("version", 1)], Some("body"));
        let mut waker = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(Err(error)) = std::pin::pin!(call).poll(&mut waker) else {
            panic!("it waits for something")
        };
        assert!(!format!("{error:?}").contains("hunter2"));
        let Error::Unsent(request) = error else {
            panic!("{error}")
        };
        assert_eq!(request.method(), Method::PUT);
        assert_eq!(
            request.url().as_str(),
            "http://127.0.0.1:1/api/v1/secrets/a%20b?version=1"
        );
        assert_eq!(request.body().unwrap().as_bytes(), Some(&b"\"body\""[..]));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_not_quoted() {
        let error = answer::<i64>(StatusCode::OK, br#""hunter2""#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        answer::<()>(StatusCode::NO_CONTENT, b"").unwrap();
    }
}
