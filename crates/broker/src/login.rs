//! Logging in: the one place that issues tokens.

use std::time::Duration;

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use strongroom_crypto::{Claims, Generations};
use strongroom_domain::audit::{Action, Lane};
use strongroom_domain::grant::{
    ClientSecret, Generation, LOGIN_TOKEN_MAX, LOGIN_TOKEN_TTL, Operator, OperatorLogin, PersonLogin, Renewal, Role,
    Token,
};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Row, Time, Write};

use crate::Broker;
use crate::lanes::{Ground, Recorded};
use crate::record::{Effect, is_recorded};
use crate::request::Request;
use crate::room::nowhere;
use crate::session::{Home, Proven, Session, Whose};
use crate::stats::count;

const ATTEMPTS: usize = 3;
/// The login method of clients.
pub(crate) const CLIENT: &str = "client";

pub struct LoggedIn {
    pub token: SecretString,
    /// What names it in the log, and where it is revoked.
    pub accessor: String,
    /// Seconds.
    pub expires_in: u32,
    /// Until when it can be renewed; none: it cannot.
    pub renewable_until: Option<Time>,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoggedIn({} for {} s)", self.accessor, self.expires_in)
    }
}

/// Who proved to be whom, and what that yields.
pub(crate) struct Proved {
    pub(crate) principal: PrincipalId,
    pub(crate) generation: Generation,
    pub(crate) yields: Yields,
    pub(crate) salt: Digest,
    pub(crate) whose: Whose,
    /// What a change to would void the proof.
    pub(crate) rests_on: Vec<Key>,
    /// What the proof uses up, or makes when it is the first: written with the token, or the login is tried again.
    pub(crate) writes: Vec<Write>,
}

/// What is issued.
pub(crate) enum Yields {
    /// An access token, for a workload.
    Access {
        /// Seconds.
        ttl: u32,
        client_id: String,
        method: String,
        role: Name,
        credential: Option<ObjectId>,
        generations: Generations,
    },
    /// A service token, for a person.
    Service(PersonLogin),
}

/// What a login gives, once it is recorded.
struct Issued {
    token: LoggedIn,
    session: Session,
    writes: Vec<Write>,
}

fn refused() -> Error {
    Error::from(Code::LoginFailed)
}

/// A role that asks for a method is for nobody else.
pub(crate) fn is_for_clients(role: &Role) -> bool {
    role.bounds
        .as_ref()
        .is_none_or(|bounds| bounds.method.as_str() == CLIENT)
}

impl Broker {
    /// Logs a workload in by client id and secret.
    pub async fn login_client(&self, request: &Request, id: &str, secret: &SecretString) -> Result<LoggedIn> {
        let login = self.log_in(request, || self.prove_client(id, secret));
        self.delayed(request, CLIENT, id, login).await
    }

    /// Logs an operator in by username and password, and a one-time code where it has them.
    pub async fn login_password(
        &self,
        request: &Request,
        username: &str,
        password: &SecretString,
        code: Option<&str>,
    ) -> Result<LoggedIn> {
        let login = self.log_in(request, || self.prove_operator(username, password, code));
        self.delayed(request, "password", username, login).await
    }

    pub(crate) async fn log_in<F>(&self, request: &Request, prove: impl Fn() -> F) -> Result<LoggedIn>
    where
        F: Future<Output = Result<Proved>> + Send,
    {
        for _ in 0..ATTEMPTS {
            self.stand().await?;
            let decided_at = self.0.node.revision();
            // In no namespace there is nobody: that is found by the same work.
            let found = self.home().await?;
            let (home, home_key) = found.map_or_else(|| (nowhere(), None), |(home, key, _)| (home, key));
            match prove().await {
                Err(error) if !is_recorded(error.code) => {
                    if error.code == Code::Overloaded {
                        count(&self.0.stats.logins_overloaded);
                    }
                    return Err(error);
                }
                Err(error) => {
                    let effect = Effect::new(Action::Login, "");
                    let recorded = self
                        .record_event(request, None, decided_at, effect, Some(&error))
                        .await?;
                    if matches!(recorded, Recorded::Committed(_)) {
                        if !matches!(error.code, Code::AuthorizationPending | Code::SlowDown) {
                            count(&self.0.stats.logins_refused);
                        }
                        return Err(error);
                    }
                }
                Ok(mut proved) => {
                    self.within_rate(proved.principal)?;
                    let rests_on = std::mem::take(&mut proved.rests_on);
                    let issued = self.issue_token(home.clone(), proved)?;
                    let note = self.note(request, Some(&issued.session), Effect::new(Action::Login, ""), None)?;
                    // Everything was read from the store after the request came: only what comes now could void it.
                    let ground = Ground {
                        decided_at,
                        session: None,
                        objects: rests_on.into_iter().chain(home_key).collect(),
                        until: None,
                        manifest: None,
                    };
                    let recorded = self.record_with(Lane::Events, note, issued.writes, ground).await?;
                    if matches!(recorded, Recorded::Committed(_)) {
                        count(&self.0.stats.logins);
                        return Ok(issued.token);
                    }
                }
            }
        }
        Err(Error::from(Code::Unsettled))
    }

    /// An unknown client costs the same work as a known one: a look-up, and a hash compared with something.
    async fn prove_client(&self, id: &str, secret: &SecretString) -> Result<Proved> {
        let wanted = ObjectId::parse(id).unwrap_or(ObjectId([0; 16]));
        let found = self.load_client(wanted).await?.value;
        let nobody = [ClientSecret {
            id: wanted,
            key: 0,
            hash: Digest::ZERO,
            created_at: Time(0),
        }];
        let secrets = match &found {
            Some(client) if !client.body.secrets.is_empty() => client.body.secrets.as_slice(),
            _ => &nobody,
        };
        let keys = self.0.ring.keys.load_full();
        let mut credential = None;
        for stored in secrets {
            let key = if stored.key == 0 {
                self.any_hash_key()?
            } else {
                stored.key
            };
            if keys.check_client_secret(secret.expose_secret(), key, &stored.hash) {
                credential = Some(stored.id);
            }
        }
        let client = found.filter(|_| credential.is_some()).ok_or_else(refused)?;
        let role = self.load_role(&client.body.role).await?.value;
        let role = role.filter(|role| is_for_clients(&role.body)).ok_or_else(refused)?;
        let proven = Proven::Client {
            id: client.record.id,
            role: client.body.role.clone(),
        };
        let (generation, salt, whose) = self.whose(client.body.principal, proven).await?;
        Ok(Proved {
            salt,
            whose,
            generation,
            principal: client.body.principal,
            rests_on: vec![client.record.key(), role.record.key(), self.ring_key()],
            writes: Vec::new(),
            yields: Yields::Access {
                ttl: role.body.access_token_ttl,
                client_id: client.record.id.to_string(),
                method: CLIENT.into(),
                role: client.body.role,
                credential,
                generations: Generations {
                    principal: generation,
                    client: Some(client.body.generation),
                    role: role.body.generation,
                    method: Generation::default(),
                },
            },
        })
    }

    fn any_hash_key(&self) -> Result<i64> {
        self.0
            .ring
            .keys
            .load()
            .hash_client_secret("")
            .map(|(key, _)| key)
            .map_err(Error::internal)
    }

    /// An unknown operator costs the same work as a known one: a look-up, and a password stretched.
    async fn prove_operator(&self, username: &str, password: &SecretString, code: Option<&str>) -> Result<Proved> {
        let name = Name::parse(username).ok();
        // No operator has the empty name.
        let name = name.as_ref().map_or("", Name::as_str);
        let found = self.load::<Operator>(Kind::Operator, name).await?.value;
        if found.is_none() {
            self.check_nobody()?;
        }
        let proven = self.is_password(found.as_ref(), password).await?;
        let operator = found.filter(|_| proven).ok_or_else(refused)?;
        let stored = operator.body.password.as_ref().ok_or_else(refused)?;
        let used = self
            .second_factor(&operator, code, self.0.clock.now())
            .await?
            .ok_or_else(refused)?;
        let proven = Proven::Operator {
            id: operator.record.id,
            groups: operator.body.groups.clone(),
        };
        let (generation, salt, whose) = self.whose(operator.body.principal, proven).await?;
        Ok(Proved {
            salt,
            whose,
            generation,
            principal: operator.body.principal,
            rests_on: vec![operator.record.key(), self.ring_key()],
            writes: used,
            yields: Yields::Service(PersonLogin::Operator(OperatorLogin {
                operator: operator.record.id,
                credential: stored.id,
            })),
        })
    }

    /// The principal's generation and salt, and who it is: with no policy yet, since a login acts by none.
    pub(crate) async fn whose(&self, principal: PrincipalId, proven: Proven) -> Result<(Generation, Digest, Whose)> {
        let found = self.load_principal(principal).await?.value.ok_or_else(refused)?;
        let whose = Whose {
            kind: found.body.kind,
            name: found.body.name,
            proven,
            policies: Vec::new(),
        };
        Ok((found.body.generation, found.body.salt, whose))
    }

    /// The token, and the session it stands for.
    fn issue_token(&self, home: Home, mut proved: Proved) -> Result<Issued> {
        let now = self.0.clock.now();
        let mut writes = std::mem::take(&mut proved.writes);
        let token = match proved.yields {
            Yields::Access {
                ttl,
                client_id,
                method,
                role,
                credential,
                generations,
            } => {
                let claims = Claims {
                    iss: self.0.settings.issuer.issuer.clone(),
                    aud: self.0.settings.issuer.audience.clone(),
                    sub: proved.principal,
                    client_id,
                    iat: now.seconds(),
                    nbf: now.seconds(),
                    exp: now.seconds().saturating_add(ttl.into()),
                    jti: HEXLOWER.encode(&self.0.entropy.bytes::<16>()),
                    namespace: self.namespace(),
                    method,
                    role: role.to_string(),
                    credential,
                    generations,
                };
                let token = self.0.ring.keys.load().sign(&claims, now).map_err(Error::internal)?;
                LoggedIn {
                    token: token.into(),
                    accessor: claims.jti,
                    expires_in: ttl,
                    renewable_until: None,
                }
            }
            Yields::Service(login) => {
                let token = Token::blank(proved.principal, proved.generation, now);
                let login = Some(login);
                self.login_token(Token { login, ..token }, &mut writes)?
            }
        };
        let session = Session::new(
            proved.principal,
            home,
            token.accessor.as_str(),
            proved.salt,
            proved.whose,
        );
        Ok(Issued { token, session, writes })
    }

    /// What a person is given: renewable, and not for ever.
    fn login_token(&self, token: Token, writes: &mut Vec<Write>) -> Result<LoggedIn> {
        let until = token.created_at + Duration::from_secs(LOGIN_TOKEN_MAX.into());
        let renewal = Some(Renewal {
            ttl: LOGIN_TOKEN_TTL,
            until: Some(until),
        });
        let (token, record) = self.make_token(Token { renewal, ..token })?;
        let accessor = record.id.to_string();
        writes.push(Write::Insert(Row::Record(record)));
        Ok(LoggedIn {
            token,
            accessor,
            expires_in: LOGIN_TOKEN_TTL,
            renewable_until: Some(until),
        })
    }
}
