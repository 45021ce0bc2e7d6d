//! Calls to systems outside, over HTTPS.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;
use zeroize::Zeroizing;

pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// One call. It carries what stands here and nothing else of ours.
pub struct Call<'a> {
    pub url: &'a str,
    /// None: a GET.
    pub body: Option<CallBody>,
    /// Shown to the other side as `Authorization: Bearer`.
    pub bearer: Option<&'a SecretString>,
    /// Besides those that every call has.
    pub headers: Vec<(&'static str, String)>,
    /// The certificates that the other side's must come from; none: those that this machine trusts.
    pub ca_pem: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub fn get(url: &'a str) -> Self {
        Self {
            url,
            body: None,
            bearer: None,
            headers: Vec::new(),
            ca_pem: None,
        }
    }

    pub fn post(url: &'a str, body: CallBody) -> Self {
        Self {
            body: Some(body),
            ..Self::get(url)
        }
    }

    #[must_use]
    pub fn trusting(self, ca_pem: Option<&'a str>) -> Self {
        Self { ca_pem, ..self }
    }

    #[must_use]
    pub fn with_headers(self, headers: Vec<(&'static str, String)>) -> Self {
        Self { headers, ..self }
    }

    #[must_use]
    pub fn bearing(self, bearer: Option<&'a SecretString>) -> Self {
        Self { bearer, ..self }
    }
}

/// Neither a body nor a token is shown, nor what stands behind the host: it may be what lets somebody in.
impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let host: Vec<&str> = self.url.splitn(4, '/').take(3).collect();
        write!(f, "{method} {}", host.join("/"))
    }
}

/// What is sent, in which form.
pub enum CallBody {
    Json(Zeroizing<Vec<u8>>),
    /// `application/x-www-form-urlencoded`.
    Form(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for CallBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallBody")
    }
}

/// What came back: at most as many bytes as the one who fetches takes.
#[derive(Clone)]
pub struct Fetched {
    pub status: u16,
    /// How long `Cache-Control` lets it be kept; none: it does not say.
    pub max_age: Option<Duration>,
    pub body: Vec<u8>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetched({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why nothing came back. No variant repeats what the other side said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    #[error("the address is no https URL without user, password and fragment")]
    Url,
    #[error("{0} is not a public address, and 'outbound.allow' does not name it")]
    Forbidden(std::net::IpAddr),
    #[error("the name does not resolve")]
    Unresolved,
    #[error("the certificates to trust cannot be read")]
    Certificates,
    #[error("the other side cannot be reached, or its certificate does not hold")]
    Unreachable,
    #[error("the other side did not answer in time")]
    TimedOut,
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer is a redirect, which is not followed")]
    Redirected,
}

/// The one way out. Whoever implements it decides what may be called, resolves a name once, follows no redirect, and
/// bounds both time and size.
pub trait Fetch: Send + Sync {
    fn fetch<'a>(&'a self, call: Call<'a>) -> Fetching<'a>;
}
