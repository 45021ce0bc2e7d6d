//! What every verb is told of its request.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use strongroom_domain::NamespaceName;
use strongroom_domain::audit::Dialect;
use strongroom_domain::ids::RequestId;

/// What the principals of our own work are called: `system:` and one of these.
pub(crate) const SYSTEM: &str = "system:";
pub(crate) const JOBS: [&str; 9] = [
    OPERATOR,
    crate::leases::JOB,
    crate::manifest::JOB,
    "namespaces",
    crate::notices::JOB,
    crate::expiring::JOB,
    crate::purge::JOB,
    "reseal",
    crate::rotation::JOB,
];
const OPERATOR: &str = "operator";

/// By which a verified token is found.
pub(crate) fn token_hash(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret().as_bytes()).into()
}

/// A token, and its hash, which finds what it was verified as.
#[derive(Debug, Clone)]
pub(crate) struct Bearing {
    pub(crate) token: SecretString,
    pub(crate) hash: [u8; 32],
}

/// What a client showed in its TLS handshake, as DER: its own certificate, then those that lead from it to a CA of the
/// edge's. The handshake proved that the client has the key and that the chain held at that moment; whom it stands for,
/// and whether it still holds, is a login method's to decide.
pub struct ClientCertificate {
    pub own: Vec<u8>,
    pub intermediates: Vec<Vec<u8>>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({} behind it)", self.intermediates.len())
    }
}

#[derive(Debug, Clone)]
pub struct Request {
    pub id: RequestId,
    pub dialect: Dialect,
    /// The address the request came from.
    pub source: Arc<str>,
    /// The namespace that the request names; none: the token's own.
    pub namespace: Option<NamespaceName>,
    /// What its connection's client showed, where the edge speaks TLS and asks for it.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The client's change id, which makes a change that has no version id idempotent.
    pub change_id: Option<String>,
    /// Work of our own, or of the machine's operator, which needs no token. No request from outside can say so.
    pub(crate) job: Option<&'static str>,
    /// The bearer token, if one was sent.
    pub(crate) token: Option<Bearing>,
}

impl Request {
    pub fn new(id: RequestId, dialect: Dialect, source: Arc<str>) -> Self {
        Self {
            id,
            dialect,
            source,
            namespace: None,
            certificate: None,
            change_id: None,
            job: None,
            token: None,
        }
    }

    pub fn with_token(mut self, token: Option<SecretString>) -> Self {
        self.token = token.map(|token| Bearing {
            hash: token_hash(&token),
            token,
        });
        self
    }

    /// Asked at the machine itself, by whoever may read its key and its store: needs no token, may do everything, and is
    /// recorded as `system:operator`.
    pub fn of_operator(self) -> Self {
        Self {
            job: Some(OPERATOR),
            ..self
        }
    }

    pub(crate) fn of_job(job: &'static str, id: RequestId) -> Self {
        Self {
            job: Some(job),
            ..Self::new(id, Dialect::Internal, "".into())
        }
    }
}
