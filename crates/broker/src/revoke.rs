//! Ending tokens before their time: one, or all that were issued to a principal or for a client, a role or a method.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::{Generational, MAX_ACCESS_TOKEN_TTL, Revocation, Token};
use strongroom_domain::method::{BUILT_IN, Method};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Error, Kind, Name, ObjectId, PrincipalId, Record, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::record::{Attempt, Effect};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};
use crate::tokens::TokenRef;

/// Which tokens end.
#[derive(Debug, Clone)]
pub enum Revoke {
    /// One, with all that came of it.
    Token(TokenRef),
    /// All of a principal's.
    Principal(PrincipalId),
    /// All that a client was given.
    Client(ObjectId),
    /// All that were issued for a role.
    Role(Name),
    /// All that a login method gave.
    Method(Name),
}

impl Broker {
    /// Who holds a token may end it; anything else needs `delete` on it, or on all tokens.
    pub async fn revoke(&self, request: &Request, what: &Revoke) -> Result<()> {
        let asked = match what {
            Revoke::Token(which) => self.about_token(request, Action::TokenRevoke, which)?,
            all => Asked {
                action: Action::TokenRevoke,
                path: named(all),
                locks: Vec::new(),
                id: self.change_id(request),
                fingerprint: Canon::new(Action::TokenRevoke.name()).text(&named(all)).done().into(),
                needs: vec![vec![Access::Tokens(Capability::Delete)]],
            },
        };
        self.change(request, asked, |attempt| async move {
            match what {
                Revoke::Token(which) => self.revoke_one(&attempt, which).await,
                Revoke::Principal(id) => {
                    let found = self.load_principal(*id).await?.value;
                    self.next_generation(&attempt, what, found)
                }
                Revoke::Client(id) => {
                    let found = self.load_client(*id).await?.value;
                    self.next_generation(&attempt, what, found)
                }
                Revoke::Role(name) => {
                    let found = self.load_role(name).await?.value;
                    self.next_generation(&attempt, what, found)
                }
                Revoke::Method(name) => {
                    let found = self.load::<Method>(Kind::Method, name.as_str()).await?.value;
                    if found.is_none() && BUILT_IN.contains(&name.as_str()) {
                        return Err(Error::new(
                            Code::BuiltIn,
                            format!("What '{name}' gave ends by principal, by client or by role."),
                        ));
                    }
                    self.next_generation(&attempt, what, found)
                }
            }
        })
        .await
    }

    async fn revoke_one(&self, attempt: &Attempt, which: &TokenRef) -> Result<Decided<()>> {
        let jti = match which {
            TokenRef::Own if attempt.session.token.is_none() => Some(attempt.session.accessor.to_string()),
            TokenRef::Text(text) => self.jti_of(text, attempt.now),
            // An access token's accessor is its `jti`: whether one was issued stands nowhere.
            TokenRef::Accessor(id) if self.load_by_id::<Token>(Kind::Token, *id).await?.value.is_none() => {
                attempt.authorise(Access::Token(&id.to_string(), Capability::Delete))?;
                Some(id.to_string())
            }
            _ => None,
        };
        if let Some(jti) = jti {
            return self.revoke_access_token(attempt, &jti).await;
        }
        let gone = self.meant(attempt, which, Capability::Delete).await?.record;
        Ok(ended(vec![remove(&gone)], &gone, &gone.id.to_string()))
    }

    /// The `jti` of an access token of ours that holds still.
    fn jti_of(&self, token: &SecretString, now: Time) -> Option<String> {
        let keys = self.0.ring.keys.load();
        let (claims, _) = keys.verify(token.expose_secret(), &self.0.settings.issuer, now).ok()?;
        (claims.namespace == self.namespace()).then_some(claims.jti)
    }

    /// Kept until no token of that name can hold any more.
    async fn revoke_access_token(&self, attempt: &Attempt, jti: &str) -> Result<Decided<()>> {
        if self.load::<Revocation>(Kind::Revocation, jti).await?.value.is_some() {
            return Ok(Decided::Nothing(()));
        }
        let due = attempt.now + Duration::from_secs(u64::from(MAX_ACCESS_TOKEN_TTL) + 60);
        let body = Revocation {
            revoked_at: attempt.now,
        };
        let record = self.new_record(Kind::Revocation, self.new_id(), jti, Some(due), &body)?;
        Ok(ended(vec![Write::Insert(Row::Record(record.clone()))], &record, jti))
    }

    fn next_generation<T: Serialize + Generational>(
        &self,
        attempt: &Attempt,
        what: &Revoke,
        found: Option<Checked<T>>,
    ) -> Result<Decided<()>> {
        attempt.authorise(Access::Tokens(Capability::Delete))?;
        let old = found.ok_or_else(|| Error::new(Code::NotFound, "There is nobody of this name."))?;
        let mut body = old.body;
        let generation = body.generation();
        *generation = generation.next(attempt.now);
        let record = self.next_record(&old.record, &body)?;
        let write = Write::Replace(old.record.rev, Row::Record(record.clone()));
        Ok(ended(vec![write], &record, &named(what)))
    }
}

/// What an entry says of who lost all tokens.
fn named(what: &Revoke) -> String {
    match what {
        Revoke::Token(_) => String::new(),
        Revoke::Principal(id) => id.to_string(),
        Revoke::Client(id) => id.to_string(),
        Revoke::Role(name) | Revoke::Method(name) => name.to_string(),
    }
}

fn ended(writes: Vec<Write>, of: &Record, about: &str) -> Decided<()> {
    Decided::Write(Decision {
        fresh: Vec::new(),
        writes,
        touches: vec![touch(of.key(), Action::TokenRevoke, None)],
        effects: vec![Effect::new(Action::TokenRevoke, about)],
        answer: (),
    })
}
