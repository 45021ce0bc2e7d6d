//! Logging in: the one place that issues tokens.

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use strongroom_crypto::{Bearer, Claims};
use strongroom_domain::audit::{Action, Lane};
use strongroom_domain::grant::{ClientSecret, OPERATOR_TOKEN_TTL, Operator};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Time};

use crate::Broker;
use crate::lanes::{Ground, Recorded};
use crate::record::{Effect, is_recorded};
use crate::request::Request;
use crate::session::{Proven, Session, Whose};
use crate::stats::count;

const ATTEMPTS: usize = 3;

pub struct LoggedIn {
    pub access_token: SecretString,
    /// Seconds.
    pub expires_in: u32,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoggedIn(for {} s)", self.expires_in)
    }
}

/// Who proved to be whom, and what that yields.
struct Proved {
    principal: PrincipalId,
    bearer: Bearer,
    /// Seconds.
    ttl: u32,
    salt: Digest,
    whose: Whose,
    /// What a change to would void the proof.
    rests_on: Vec<Key>,
}

fn refused() -> Error {
    Error::from(Code::LoginFailed)
}

impl Broker {
    /// Logs a workload in by client id and secret.
    pub async fn login_client(&self, request: &Request, id: &str, secret: &SecretString) -> Result<LoggedIn> {
        self.log_in(request, || self.prove_client(id, secret)).await
    }

    /// Logs an operator in by username and password.
    pub async fn login_password(&self, request: &Request, username: &str, password: &SecretString) -> Result<LoggedIn> {
        self.log_in(request, || self.prove_operator(username, password)).await
    }

    async fn log_in<F>(&self, request: &Request, prove: impl Fn() -> F) -> Result<LoggedIn>
    where
        F: Future<Output = Result<Proved>> + Send,
    {
        for _ in 0..ATTEMPTS {
            self.refresh_ring().await?;
            let decided_at = self.0.node.revision();
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
                    if matches!(recorded, Recorded::Entered(_)) {
                        count(&self.0.stats.logins_refused);
                        return Err(error);
                    }
                }
                Ok(mut proved) => {
                    let rests_on = std::mem::take(&mut proved.rests_on);
                    let (token, session) = self.issue_token(proved)?;
                    let effect = Effect::new(Action::Login, "");
                    let note = self.note(request, Some(&session), effect, None)?;
                    // Everything was read from the store after the request came: only what comes now could void it.
                    let ground = Ground {
                        decided_at,
                        session: None,
                        objects: rests_on,
                        until: None,
                    };
                    let recorded = self.0.lanes.record(Lane::Events, note, ground).await?;
                    if matches!(recorded, Recorded::Entered(_)) {
                        count(&self.0.stats.logins);
                        return Ok(token);
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
        let mut proven = false;
        for stored in secrets {
            let key = if stored.key == 0 {
                self.any_hash_key()?
            } else {
                stored.key
            };
            proven |= keys.check_client_secret(secret.expose_secret(), key, &stored.hash);
        }
        let client = found.filter(|_| proven).ok_or_else(refused)?;
        let role = self.load_role(&client.body.role).await?.value.ok_or_else(refused)?;
        let proven = Proven::Client {
            id: client.record.id,
            role: client.body.role.clone(),
        };
        let (salt, whose) = self.whose(client.body.principal, proven).await?;
        Ok(Proved {
            salt,
            whose,
            principal: client.body.principal,
            ttl: role.body.access_token_ttl,
            rests_on: vec![client.record.key(), role.record.key(), self.ring_key()],
            bearer: Bearer::Workload {
                client_id: client.record.id.to_string(),
                role: client.body.role.to_string(),
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
    async fn prove_operator(&self, username: &str, password: &SecretString) -> Result<Proved> {
        let name = Name::parse(username).ok();
        // No operator has the empty name.
        let name = name.as_ref().map_or("", Name::as_str);
        let found = self.load::<Operator>(Kind::Operator, name).await?.value;
        let proven = self.is_password(found.as_ref(), password).await?;
        let operator = found.filter(|_| proven).ok_or_else(refused)?;
        let stored = operator.body.password.as_ref().ok_or_else(refused)?;
        let proven = Proven::Operator {
            id: operator.record.id,
            groups: operator.body.groups.clone(),
        };
        let (salt, whose) = self.whose(operator.body.principal, proven).await?;
        Ok(Proved {
            salt,
            whose,
            principal: operator.body.principal,
            ttl: OPERATOR_TOKEN_TTL,
            rests_on: vec![operator.record.key(), self.ring_key()],
            bearer: Bearer::Operator {
                operator: operator.record.id,
                credential: stored.id,
            },
        })
    }

    /// The principal's salt, and who it is: with no policy yet, since a login acts by none.
    async fn whose(&self, principal: PrincipalId, proven: Proven) -> Result<(Digest, Whose)> {
        let found = self.load_principal(principal).await?.value.ok_or_else(refused)?;
        let whose = Whose {
            kind: found.body.kind,
            name: found.body.name,
            proven,
            policies: Vec::new(),
        };
        Ok((found.body.salt, whose))
    }

    /// The access token, and the session it stands for.
    fn issue_token(&self, proved: Proved) -> Result<(LoggedIn, Session)> {
        let now = self.0.clock.now();
        let expires_in = proved.ttl;
        let jti = HEXLOWER.encode(&self.0.entropy.bytes::<16>());
        let claims = Claims {
            iss: self.0.settings.issuer.issuer.clone(),
            aud: self.0.settings.issuer.audience.clone(),
            sub: proved.principal,
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: now.seconds().saturating_add(expires_in.into()),
            jti: jti.clone(),
            namespace: self.0.namespace,
            bearer: proved.bearer,
        };
        let token = self.0.ring.keys.load().sign(&claims).map_err(Error::internal)?;
        let session = Session::new(claims.sub, claims.namespace, jti, proved.salt, proved.whose);
        Ok((
            LoggedIn {
                access_token: token.into(),
                expires_in,
            },
            session,
        ))
    }
}
