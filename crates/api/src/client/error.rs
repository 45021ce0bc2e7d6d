use std::error::Error as StdError;

use reqwest::Url;

use crate::Problem;

/// How a call fails. No variant quotes what was sent or received, but for the server's own words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("'{0}' is not an address; write http://HOST:PORT or https://HOST:PORT.")]
    Address(String),
    #[error("The token holds characters that no header can carry.")]
    Token,
    /// Ours, or the CA's by which we believe the server's.
    #[error("{0}")]
    Certificate(String),
    #[error("{0}")]
    Network(String),
    /// The server refused.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Something answered, and not as the API does.
    #[error("{0}")]
    Unexpected(String),
    /// The client sends nothing; this is what it was asked to send.
    #[error("Nothing was sent.")]
    Unsent(Box<reqwest::Request>),
}

impl Error {
    /// Whether trying again may help with nothing else changed.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Problem(problem) => matches!(problem.status, 429 | 502..=504),
            Self::Address(_) | Self::Token | Self::Certificate(_) | Self::Unexpected(_) | Self::Unsent(_) => false,
        }
    }
}

/// What went wrong on the way to `base`, with its innermost cause: reqwest's own text stops before that.
pub(super) fn sentence(base: &Url, error: &reqwest::Error) -> String {
    let addr = base.as_str().trim_end_matches('/');
    if error.is_timeout() {
        return format!("No answer from {addr} in time.");
    }
    let mut cause: &dyn StdError = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let doing = if error.is_connect() {
        "Cannot connect to"
    } else {
        "The connection failed to"
    };
    // The outermost error's text would repeat the URL, query and all.
    if error.source().is_none() {
        format!("{doing} {addr}.")
    } else {
        format!("{doing} {addr}: {cause}.")
    }
}
