//! Systems outside whose credentials are kept here, as the broker asks them.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use secrecy::SecretString;
use strongroom_domain::Time;
use strongroom_domain::target::{Engine, Tls};
use thiserror::Error;

pub type Reaching<'a, T> = Pin<Box<dyn Future<Output = Result<T, TargetError>> + Send + 'a>>;

/// A server, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Server {
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    /// Which database is connected to; none: the engine's usual one.
    pub database: Option<String>,
    pub tls: Tls,
    /// The certificates that the server's own must come from; none: those that this machine trusts.
    pub ca_pem: Option<String>,
}

/// What somebody logs in with.
#[derive(Clone)]
pub struct Login {
    pub username: String,
    pub password: SecretString,
}

/// The password stays untold.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

/// What a server is told instead of a password, so that none stands in its log: PostgreSQL's SCRAM verifier, MySQL's
/// `mysql_native_password` hash, Redis's SHA-256.
#[derive(Clone)]
pub struct Verifier(pub SecretString);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// By whom and under which bounds a server is changed.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    pub server: &'a Server,
    pub admin: &'a Login,
    /// From the first packet to the last. Where the server can, it holds it too, so that nothing happens later.
    pub within: Duration,
    /// Numbers that only grow; where the server can keep one, an order with a smaller one changes nothing.
    pub fence: i64,
}

/// A user that is made for one lease.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    pub username: &'a str,
    pub verifier: &'a Verifier,
    /// The role whose rights it has.
    pub template: &'a str,
    /// Its server lets it in no longer than this, where it can tell.
    pub until: Time,
}

/// Why a target did not do what it was told. No variant repeats what the target said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    #[error("{0} is not a public address, and 'outbound.allow' does not name it")]
    Forbidden(IpAddr),
    #[error("the name does not resolve")]
    Unresolved,
    #[error("the certificates to trust cannot be read")]
    Certificates,
    #[error("the target cannot be reached, or its certificate does not hold")]
    Unreachable,
    #[error("the target did not answer in time")]
    TimedOut,
    #[error("the target takes no more connections now")]
    Busy,
    #[error("the target refuses the login")]
    LoginRefused,
    #[error("the administrator may not do this at the target")]
    NotPermitted,
    #[error("the target has no such user")]
    NoUser,
    #[error("the target has no such role")]
    NoTemplate,
    #[error("a newer order was carried out already")]
    Overtaken,
    #[error("the target does not take this name: {0}")]
    Name(&'static str),
    #[error("the target refuses: {0}")]
    Refused(&'static str),
    #[error("this engine cannot do this")]
    Unsupported,
}

impl TargetError {
    /// Whether asking again cannot help until somebody changes something.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Unresolved | Self::Unreachable | Self::TimedOut | Self::Busy => false,
            Self::Forbidden(_)
            | Self::Certificates
            | Self::LoginRefused
            | Self::NotPermitted
            | Self::NoUser
            | Self::NoTemplate
            | Self::Overtaken
            | Self::Name(_)
            | Self::Refused(_)
            | Self::Unsupported => true,
        }
    }
}

/// Gives users that last new passwords. Whoever implements it decides what may be called, and resolves a name once.
pub trait Rotator: Send + Sync {
    /// Makes the password that `verifier` stands for the one of `username`. One that is not there is made where `like` names
    /// another, to act as that one does. Doing it twice is doing it once.
    fn set<'a>(
        &'a self,
        order: Order<'a>,
        username: &'a str,
        like: Option<&'a str>,
        verifier: &'a Verifier,
    ) -> Reaching<'a, ()>;

    /// Logs in, and does nothing. [`TargetError::LoginRefused`] is the server's no; anything else is no answer.
    fn test<'a>(&'a self, server: &'a Server, login: &'a Login, within: Duration) -> Reaching<'a, ()>;
}

/// Makes users that last as long as a lease.
pub trait Issuer: Send + Sync {
    /// Whether users can be made by this template, before any is.
    fn check_template<'a>(&'a self, order: Order<'a>, template: &'a str) -> Reaching<'a, ()>;

    fn issue<'a>(&'a self, order: Order<'a>, user: NewUser<'a>) -> Reaching<'a, ()>;

    /// Lets a user in for longer.
    fn extend<'a>(&'a self, order: Order<'a>, username: &'a str, until: Time) -> Reaching<'a, ()>;

    /// Ends its sessions, gives what it owns to the template, and removes it. Nobody there is done already.
    fn revoke<'a>(&'a self, order: Order<'a>, username: &'a str, template: &'a str) -> Reaching<'a, ()>;

    /// Users whose name starts with `prefix` and is greater than `after`, in byte order.
    fn users<'a>(
        &'a self,
        order: Order<'a>,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Reaching<'a, Vec<String>>;
}
