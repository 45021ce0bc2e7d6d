//! Logins of those whom others vouch for. What others say is asked for and verified first, once; then it is decided on
//! what method and role are now, as often as that takes.

mod certificate;
mod device;
mod fault;
mod kubernetes;
mod oidc;
mod state;
mod tokens;
mod told;

pub use device::DeviceStarted;
pub use oidc::Started;

use quick_cache::sync::Cache;
use secrecy::SecretString;
use strongroom_crypto::Generations;
use strongroom_domain::grant::{Generation, PersonLogin, Principal, PrincipalKind, VouchedLogin};
use strongroom_domain::method::{Denied, Facts, MethodConfig, ServiceAccount, UsedState};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Kind, Name, PrincipalId, Result, Row, Time, Write};

use crate::Broker;
use crate::issuers::Issuers;
use crate::login::{LoggedIn, Proved, Yields};
use crate::methods::Standing;
use crate::request::Request;
use crate::session::{Proven, Whose};

use fault::{Fault, Refusal};
use state::StateRecord;
use told::Told;

/// Answers of clusters that are kept at one time.
const MAX_REVIEWS: usize = 10_000;

/// What this node remembers of others.
pub(crate) struct Outside {
    issuers: Issuers,
    /// Until when a token holds without asking its cluster again.
    reviews: Cache<[u8; 32], Time>,
    told: Told,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            issuers: Issuers::default(),
            reviews: Cache::new(MAX_REVIEWS),
            told: Told::default(),
        }
    }
}

/// What is shown at a login.
pub enum Proof {
    /// A token of others, for a role.
    Token { role: String, jwt: SecretString },
    /// The certificate that the connection's client showed, for a role.
    Certificate { role: String },
    /// What a person's browser brought back.
    Code { state: String, code: SecretString },
    /// What a person confirms on another device.
    Device { code: SecretString },
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof")
    }
}

/// What others said, verified.
struct Vouched {
    issuer: String,
    subject: String,
    /// What a person is called.
    called: Option<String>,
    audiences: Vec<String>,
    claims: serde_json::Map<String, serde_json::Value>,
    service_account: Option<ServiceAccount>,
    spiffe_id: Option<String>,
    dns_names: Vec<String>,
    common_name: Option<String>,
    wants: Wants,
    /// Of a login's state: it is used by this.
    state: Option<StateRecord>,
}

enum Wants {
    Role(Name),
    /// A person's groups among ours.
    Groups(Vec<Name>),
}

/// Who was vouched for by which method, as that was then.
struct Claimed {
    name: Name,
    method: Standing,
    vouched: Vouched,
}

fn refused() -> Error {
    Error::from(Code::LoginFailed)
}

/// Either it is known why, or the store failed.
type Outcome<T> = Result<Result<T, Fault>>;

impl Broker {
    /// Logs somebody in by a method of others.
    pub async fn login(&self, request: &Request, method: &str, proof: &Proof) -> Result<LoggedIn> {
        let claimed = self.claim(request, method, proof).await?;
        let claimed = claimed.map_err(|fault| self.tell(method, &fault));
        self.log_in(request, || self.prove_vouched(&claimed)).await
    }

    async fn claim(&self, request: &Request, method: &str, proof: &Proof) -> Outcome<Claimed> {
        let Ok(name) = Name::parse(method) else {
            return Ok(Err(Fault::NoMethod));
        };
        let Some(method) = self.load_method(&name).await?.value else {
            return Ok(Err(Fault::NoMethod));
        };
        let vouched = match (&method.body.config, proof) {
            (MethodConfig::Jwt(config), Proof::Token { role, jwt }) => self.vouch_jwt(config, role, jwt).await,
            (MethodConfig::SpiffeJwt(config), Proof::Token { role, jwt }) => self.vouch_svid(config, role, jwt).await,
            (MethodConfig::Cert(config), Proof::Certificate { role }) => {
                self.vouch_certificate(config, role, request.certificate.as_deref())
            }
            (MethodConfig::Kubernetes(config), Proof::Token { role, jwt }) => {
                let reviewer = self.method_secret(&method.body)?;
                self.vouch_account(&method, config, reviewer.as_ref(), role, jwt).await
            }
            (MethodConfig::Oidc(config), Proof::Code { state, code }) => {
                let secret = self.method_secret(&method.body)?;
                self.vouch_browser(&method, config, secret.as_ref(), state, code)
                    .await?
            }
            (MethodConfig::Oidc(config), Proof::Device { code }) => {
                let secret = self.method_secret(&method.body)?;
                self.vouch_device(&method, config, secret.as_ref(), code).await?
            }
            _ => Err(Fault::OtherProof),
        };
        Ok(vouched.map(|vouched| Claimed { name, method, vouched }))
    }

    async fn prove_vouched(&self, claimed: &Result<Claimed, Refusal>) -> Result<Proved> {
        let claimed = claimed.as_ref().map_err(|refusal| Error::from(*refusal))?;
        if let Some(state) = &claimed.vouched.state
            && self
                .load::<UsedState>(Kind::UsedState, &state.name)
                .await?
                .value
                .is_some()
        {
            return Err(Error::from(
                self.tell(claimed.name.as_str(), &Fault::State("state_used")),
            ));
        }
        let (name, vouched) = (&claimed.name, &claimed.vouched);
        // As it was asked by, or it is asked by another.
        let method = self
            .load_method(name)
            .await?
            .value
            .filter(|now| now.rev == claimed.method.rev);
        let method = method.ok_or_else(refused)?;
        let (yields, proven, role_key) = self.yields(name, &method, vouched).await?;
        let proved = self.who_is_vouched(name, &method, vouched, yields, proven).await?;
        let rests_on = [method.key, self.ring_key()].into_iter().chain(role_key);
        Ok(Proved {
            rests_on: proved.rests_on.into_iter().chain(rests_on).collect(),
            ..proved
        })
    }

    /// What the method gives for what it vouched for, as a role or groups say, and the role's key.
    async fn yields(&self, name: &Name, method: &Standing, vouched: &Vouched) -> Result<(Yields, Proven, Option<Key>)> {
        match &vouched.wants {
            Wants::Role(role) => {
                let found = self.load_role(role).await?.value;
                let Some(found) = found else {
                    self.tell(name.as_str(), &Fault::NoRole);
                    return Err(refused());
                };
                let bounds = found.body.bounds.as_ref().filter(|bounds| bounds.method == *name);
                let admitted = bounds
                    .ok_or(Denied::OtherMethod)
                    .and_then(|bounds| bounds.admits(&method.body.config, &vouched.facts()));
                if let Err(denied) = admitted {
                    self.tell(name.as_str(), &Fault::Denied(denied));
                    return Err(refused());
                }
                let yields = Yields::Access {
                    ttl: found.body.access_token_ttl,
                    client_id: String::new(),
                    method: name.to_string(),
                    role: role.clone(),
                    credential: None,
                    generations: Generations {
                        principal: Generation::default(),
                        client: None,
                        role: found.body.generation,
                        method: method.body.generation,
                    },
                };
                let proven = Proven::Vouched {
                    method: name.clone(),
                    role: Some(role.clone()),
                    groups: Vec::new(),
                };
                Ok((yields, proven, Some(found.record.key())))
            }
            Wants::Groups(groups) => {
                let login = VouchedLogin {
                    method: name.clone(),
                    generation: method.body.generation,
                    groups: groups.clone(),
                };
                let proven = Proven::Vouched {
                    method: name.clone(),
                    role: None,
                    groups: groups.clone(),
                };
                Ok((Yields::Service(PersonLogin::Vouched(login)), proven, None))
            }
        }
    }

    /// The principal that the subject has, or is given with its first login.
    async fn who_is_vouched(
        &self,
        name: &Name,
        method: &Standing,
        vouched: &Vouched,
        yields: Yields,
        proven: Proven,
    ) -> Result<Proved> {
        let keys = self.0.ring.keys.load_full();
        let ids = keys.outside_principals(method.body.id, &vouched.issuer, &vouched.subject);
        let ids = ids.map_err(Error::internal)?;
        let named: Vec<_> = ids.iter().map(|id| self.key(Kind::Principal, id.to_string())).collect();
        let mut found = self.load_keys::<Principal>(&named).await?.value;
        // The newest key's first.
        found.sort_by_key(|one| named.iter().position(|key| key.name == one.record.name));
        let (now, mut writes) = (self.0.clock.now(), Vec::new());
        let (id, key, who) = match found.into_iter().next() {
            Some(one) => {
                let id = PrincipalId::parse(&one.record.name).ok_or_else(refused)?;
                (id, one.record.key(), one.body)
            }
            None => {
                let id = *ids.first().ok_or_else(refused)?;
                let who = Principal {
                    kind: match yields {
                        Yields::Service(_) => PrincipalKind::Operator,
                        Yields::Access { .. } => PrincipalKind::Workload,
                    },
                    // No name that is given here looks like it.
                    name: Some(format!(
                        "{}@{name}",
                        vouched.called.as_ref().unwrap_or(&vouched.subject)
                    )),
                    salt: Digest(self.0.entropy.bytes()),
                    generation: Generation::first(now),
                    created_at: now,
                    erased_at: None,
                };
                let record = self.new_record(Kind::Principal, self.new_id(), &id.to_string(), None, &who)?;
                let key = record.key();
                writes.push(Write::Insert(Row::Record(record)));
                (id, key, who)
            }
        };
        if let Some(state) = &vouched.state {
            let body = UsedState { used_at: now };
            let record = self.new_record(Kind::UsedState, self.new_id(), &state.name, Some(state.due), &body)?;
            writes.push(Write::Insert(Row::Record(record)));
        }
        Ok(Proved {
            principal: id,
            generation: who.generation,
            yields: of_principal(yields, id, who.generation),
            salt: who.salt,
            whose: Whose {
                kind: who.kind,
                name: who.name,
                proven,
                policies: Vec::new(),
            },
            rests_on: vec![key],
            writes,
        })
    }
}

/// Who has no client's id is named by its own.
fn of_principal(yields: Yields, id: PrincipalId, generation: Generation) -> Yields {
    match yields {
        Yields::Access {
            ttl,
            method,
            role,
            credential,
            generations,
            ..
        } => Yields::Access {
            ttl,
            client_id: id.to_string(),
            method,
            role,
            credential,
            generations: Generations {
                principal: generation,
                ..generations
            },
        },
        other @ Yields::Service(_) => other,
    }
}

impl Vouched {
    fn facts(&self) -> Facts<'_> {
        Facts {
            audiences: &self.audiences,
            claims: Some(&self.claims),
            service_account: self.service_account.as_ref(),
            spiffe_id: self.spiffe_id.as_deref(),
            dns_names: &self.dns_names,
            common_name: self.common_name.as_deref(),
        }
    }
}
