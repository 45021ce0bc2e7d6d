//! Why somebody is not let in: what the log is told, and what the caller.

use std::time::Duration;

use strongroom_crypto::{CertificateFault, TokenFault};
use strongroom_domain::method::Denied;
use strongroom_domain::{Code, Error};

use crate::Broker;
use crate::issuers::IssuerFault;

/// Why somebody is not let in: for the log, by name alone.
#[derive(Debug)]
pub(crate) enum Fault {
    NoMethod,
    OtherProof,
    NoRole,
    Denied(Denied),
    Token(TokenFault),
    NoCertificate,
    Certificate(CertificateFault),
    /// A token of the cluster that says less, or something else, than a bound one.
    Cluster(&'static str),
    State(&'static str),
    /// Nobody has confirmed it yet.
    Pending,
    /// It is asked for too often; after so long it may be again.
    TooOften(Duration),
    /// Those who vouch cannot be asked.
    Issuer(IssuerFault),
}

impl Fault {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::NoMethod => "no_such_method",
            Self::OtherProof => "proof_of_another_type",
            Self::NoRole => "no_such_role",
            Self::Denied(denied) => denied.name(),
            Self::Token(fault) => fault.name(),
            Self::NoCertificate => "no_certificate",
            Self::Certificate(fault) => fault.name(),
            Self::Cluster(what) | Self::State(what) => what,
            Self::Pending => Code::AuthorizationPending.name(),
            Self::TooOften(_) => Code::SlowDown.name(),
            Self::Issuer(_) => "issuer_unavailable",
        }
    }
}

impl From<TokenFault> for Fault {
    fn from(fault: TokenFault) -> Self {
        Self::Token(fault)
    }
}

impl From<IssuerFault> for Fault {
    fn from(fault: IssuerFault) -> Self {
        Self::Issuer(fault)
    }
}

/// What is answered.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    code: Code,
    after: Option<Duration>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self {
            retry_after: refusal.after,
            ..Self::from(refusal.code)
        }
    }
}

impl Broker {
    /// To the log, seldom, and what is answered: one word for all, but where trying again may help.
    pub(super) fn tell(&self, method: &str, fault: &Fault) -> Refusal {
        let (code, after) = match fault {
            Fault::Issuer(_) => (Code::IssuerUnavailable, None),
            Fault::Pending => (Code::AuthorizationPending, None),
            Fault::TooOften(wait) => (Code::SlowDown, Some(*wait)),
            _ => (Code::LoginFailed, None),
        };
        self.log_fault(method, fault);
        Refusal { code, after }
    }

    fn log_fault(&self, method: &str, fault: &Fault) {
        // Somebody may still confirm it.
        if matches!(fault, Fault::Pending | Fault::TooOften(_)) {
            return;
        }
        let reason = fault.name();
        // Of a method that is not there the name is the caller's own text.
        let method = if matches!(fault, Fault::NoMethod) { "" } else { method };
        if self.0.outside.told.is_due(method, reason, self.0.clock.now()) {
            match fault {
                Fault::Issuer(error) => tracing::warn!(method, reason, %error, "a login was refused"),
                _ => tracing::info!(method, reason, "a login was refused"),
            }
        }
    }
}
