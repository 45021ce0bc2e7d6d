//! What every verb is told of its request.

use std::sync::Arc;

use secrecy::SecretString;
use strongroom_domain::audit::Dialect;
use strongroom_domain::ids::RequestId;

#[derive(Debug, Clone)]
pub struct Request {
    pub id: RequestId,
    pub dialect: Dialect,
    /// The address the request came from.
    pub source: Arc<str>,
    /// The bearer token, if one was sent.
    pub token: Option<SecretString>,
    /// The client's change id, which makes a change that has no version id idempotent.
    pub change_id: Option<String>,
}
