//! Logging in: the one place that issues tokens.

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use strongroom_crypto::Claims;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::{Client, ClientSecret, Role};
use strongroom_domain::{Code, Digest, Error, ObjectId, Result, Time};

use crate::Broker;
use crate::lanes::{Ground, Recorded};
use crate::record::{Effect, is_recorded};
use crate::request::Request;
use crate::rows::Checked;
use crate::session::{Grants, Session};
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
struct Proven {
    client: Checked<Client>,
    role: Checked<Role>,
    salt: Digest,
}

impl Broker {
    /// Logs a workload in by client id and secret.
    pub async fn login_client(&self, request: &Request, id: &str, secret: &SecretString) -> Result<LoggedIn> {
        for _ in 0..ATTEMPTS {
            self.refresh_ring().await?;
            let decided_at = self.0.node.revision();
            match self.prove(id, secret).await {
                Err(error) if !is_recorded(error.code) => return Err(error),
                Err(error) => {
                    let effect = Effect::new(Action::Login, "");
                    if self
                        .record_event(request, None, decided_at, effect, Some(&error))
                        .await?
                        == Recorded::Committed
                    {
                        count(&self.0.stats.logins_refused);
                        return Err(error);
                    }
                }
                Ok(proven) => {
                    let (token, session) = self.issue_token(&proven)?;
                    let effect = Effect::new(Action::Login, "");
                    let note = self.note(request, Some(&session), effect, None)?;
                    // Everything was read from the store after the request came: only what comes now could void it.
                    let objects = vec![proven.client.record.key(), proven.role.record.key(), self.ring_key()];
                    let ground = Ground {
                        decided_at,
                        session: None,
                        objects,
                        until: None,
                    };
                    let lane = strongroom_domain::audit::Lane::Events;
                    if self.0.lanes.record(lane, note, ground).await? == Recorded::Committed {
                        count(&self.0.stats.logins);
                        return Ok(token);
                    }
                }
            }
        }
        Err(Error::from(Code::Unsettled))
    }

    /// An unknown client costs the same work as a known one: a look-up, and a hash compared with something.
    async fn prove(&self, id: &str, secret: &SecretString) -> Result<Proven> {
        let refused = || Error::from(Code::LoginFailed);
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
        let principal = self
            .load_principal(client.body.principal)
            .await?
            .value
            .ok_or_else(refused)?;
        Ok(Proven {
            salt: principal.body.salt,
            client,
            role,
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

    /// The access token, and the session it stands for.
    fn issue_token(&self, proven: &Proven) -> Result<(LoggedIn, Session)> {
        let now = self.0.clock.now();
        let expires_in = proven.role.body.access_token_ttl;
        let jti = HEXLOWER.encode(&self.0.entropy.bytes::<16>());
        let claims = Claims {
            iss: self.0.settings.issuer.issuer.clone(),
            aud: self.0.settings.issuer.audience.clone(),
            sub: proven.client.body.principal,
            client_id: proven.client.record.id.to_string(),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: now.seconds().saturating_add(expires_in.into()),
            jti: jti.clone(),
            namespace: self.0.namespace,
            role: proven.client.body.role.to_string(),
        };
        let token = self.0.ring.keys.load().sign(&claims).map_err(Error::internal)?;
        let session = Session {
            principal: claims.sub,
            namespace: claims.namespace,
            accessor: jti.into(),
            expires_at: None,
            grants: Grants::Policies(strongroom_domain::policy::PolicySet::default()),
            salt: proven.salt,
            rests_on: Vec::new(),
            identity: std::sync::OnceLock::new(),
        };
        Ok((
            LoggedIn {
                access_token: token.into(),
                expires_in,
            },
            session,
        ))
    }
}
