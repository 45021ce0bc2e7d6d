//! Token introspection (RFC 7662): whether a token holds, told to who may ask about tokens.

use secrecy::SecretString;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Name, PrincipalId, Result, Time};

use crate::Broker;
use crate::record::Served;
use crate::request::Request;
use crate::room::namespace_claimed;
use crate::session::Proven;

/// What is told of a token that holds.
#[derive(Debug, Clone)]
pub struct Introspected {
    pub principal: PrincipalId,
    pub name: Option<String>,
    pub accessor: String,
    pub client_id: Option<String>,
    pub policies: Vec<Name>,
    pub expires_at: Option<Time>,
    /// A service token's.
    pub created_at: Option<Time>,
}

impl Broker {
    /// None: it does not hold, is of another namespace or no token at all; which, nobody is told.
    pub async fn introspect(&self, request: &Request, token: &SecretString) -> Result<Option<Introspected>> {
        self.serve(request, Action::TokenRead, "", |attempt| async move {
            attempt.authorise(Access::Tokens(Capability::Read))?;
            if namespace_claimed(token).unwrap_or(self.0.root) != self.namespace() {
                return Ok(Served::fresh(None));
            }
            let session = match self.verify(token, attempt.now).await {
                Ok((session, _)) if !session.expired(attempt.now) => session,
                Ok(_) => return Ok(Served::fresh(None)),
                Err(error) if error.code == Code::Unauthenticated => return Ok(Served::fresh(None)),
                Err(error) => return Err(error),
            };
            let client_id = match &session.whose.proven {
                Proven::Client { id, .. } => Some(id.to_string()),
                Proven::Operator { .. } | Proven::Vouched { .. } | Proven::Token => None,
            };
            Ok(Served {
                about: Some(session.accessor.to_string()),
                ..Served::fresh(Some(Introspected {
                    principal: session.principal,
                    name: session.whose.name.clone(),
                    accessor: session.accessor.to_string(),
                    client_id,
                    policies: session.whose.policies.clone(),
                    expires_at: session.expires_at,
                    created_at: session.token.as_ref().map(|token| token.body.created_at),
                }))
            })
        })
        .await
    }
}
