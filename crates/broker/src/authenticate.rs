//! From a bearer token to a session. Verified tokens are cached by their hash, with all they rest on; expiry is decided
//! each time.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use strongroom_crypto::Claims;
use strongroom_domain::grant::{
    Client, Generation, Operator, OperatorLogin, PersonLogin, Principal, PrincipalKind, Revocation, Role, Token,
    VouchedLogin,
};
use strongroom_domain::policy::PolicySet;
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Revision, Time};

use crate::Broker;
use crate::flags::BROWSER_KEY_PREFIX;
use crate::grants::oldest;
use crate::login::is_for_clients;
use crate::methods;
use crate::request::{Request, SYSTEM, token_hash};
use crate::room::nowhere;
use crate::rows::Checked;
use crate::session::{Grants, Home, Proven, Session, Whose};
use crate::stats::count;
use crate::tokens::SERVICE_TOKEN_PREFIX;

pub(crate) fn refused() -> Error {
    Error::from(Code::Unauthenticated)
}

fn job_name(job: &str) -> String {
    format!("{SYSTEM}{job}")
}

/// A background job is a principal too, `system:<job>`: its id is made of its name.
pub(crate) fn job_principal(job: &str) -> Result<PrincipalId> {
    let digest: [u8; 32] = Sha256::digest(job_name(job).as_bytes()).into();
    let id = digest.first_chunk().ok_or_else(|| Error::from(Code::Internal))?;
    Ok(PrincipalId(*id))
}

impl Broker {
    pub(crate) async fn authenticate(&self, request: &Request) -> Result<Arc<Session>> {
        let session = self.session_of(request).await?;
        if request.job.is_none() {
            self.within_rate(session.principal)?;
        }
        Ok(session)
    }

    /// Who asks, without it counting as a call.
    pub(crate) async fn session_of(&self, request: &Request) -> Result<Arc<Session>> {
        if let Some(job) = request.job {
            return self.job_session(job).map(Arc::new);
        }
        let bearing = request.token.as_ref().ok_or_else(refused)?;
        let now = self.0.clock.now();
        // One that has expired may have been renewed, on another node too.
        let cached = self.0.node.session(&bearing.hash);
        let session = match cached.filter(|session| !session.expired(now)) {
            Some(session) => {
                count(&self.0.stats.session_hits);
                session
            }
            None => {
                count(&self.0.stats.session_misses);
                // Boxed, as all that is rare on a read's way: the future of a hit stays small.
                let (session, read_at) = Box::pin(self.verify(&bearing.token, now)).await?;
                if session.expired(now) {
                    return Err(refused());
                }
                let session = Arc::new(session);
                if !session.is_counted() {
                    self.0.node.keep_session(bearing.hash, session.clone(), read_at);
                }
                session
            }
        };
        if session.home.id != self.namespace() {
            return Err(refused());
        }
        session.admits(request)?;
        Ok(session)
    }

    /// Whether this node has verified the token already; whether it still holds is decided when it is used.
    pub fn knows(&self, token: &SecretString) -> bool {
        let now = self.0.clock.now();
        let session = self.0.node.session(&token_hash(token));
        session.is_some_and(|session| !session.expired(now))
    }

    /// Each principal has a rate of its own, for what it asks and for its logins.
    pub(crate) fn within_rate(&self, principal: PrincipalId) -> Result<()> {
        let Some(rate) = self.0.settings.per_identity else {
            return Ok(());
        };
        self.0.asked.take(&principal, rate, self.0.clock.now()).map_err(|wait| {
            count(&self.0.stats.identities_limited);
            Error::new(Code::RateLimited, "Whoever has this token asks too often.").after(wait)
        })
    }

    fn job_session(&self, job: &str) -> Result<Session> {
        let name = job_name(job);
        let whose = Whose {
            kind: PrincipalKind::Operator,
            name: Some(name.clone()),
            proven: Proven::Token,
            policies: Vec::new(),
        };
        // Our own work goes on in a namespace that is being deleted.
        let home = Home {
            id: self.namespace(),
            is_root: self.namespace() == self.0.root,
            ..nowhere()
        };
        Ok(Session {
            grants: Grants::Root,
            rests_on: vec![self.ring_key()],
            ..Session::new(job_principal(job)?, home, name, Digest::ZERO, whose)
        })
    }

    pub(crate) async fn verify(&self, token: &SecretString, now: Time) -> Result<(Session, Revision)> {
        let (home, home_key, home_at) = self.home().await?.ok_or_else(refused)?;
        let text = token.expose_secret();
        let (mut session, read_at) = if text.starts_with(SERVICE_TOKEN_PREFIX) {
            self.verify_service_token(token, now).await?
        } else if text.starts_with(BROWSER_KEY_PREFIX) {
            self.verify_browser_key(token, now).await?
        } else {
            self.verify_access_token(token, now).await?
        };
        session.home = home;
        session.rests_on.extend(home_key);
        session.rests_on.push(self.ring_key());
        Ok((session, oldest([read_at, home_at])))
    }

    async fn verify_service_token(&self, token: &SecretString, now: Time) -> Result<(Session, Revision)> {
        let found = self.load_keys::<Token>(&self.token_keys(token)?).await?;
        let token = found.value.into_iter().next().ok_or_else(refused)?;
        let parents = self.parents(&token.body).await?;
        let (principal, mut read_at) = self.who(token.body.principal, token.body.generation).await?;
        read_at = oldest([found.revision, parents.revision, read_at]);
        let mut rests_on = vec![token.record.key(), principal.record.key()];
        let mut expires_at = token.body.expires_at;
        for parent in &parents.value {
            if parent.body.expires_at.is_some_and(|at| at <= now) {
                return Err(refused());
            }
            expires_at = [expires_at, parent.body.expires_at].into_iter().flatten().min();
            rests_on.push(parent.record.key());
        }
        // What a login above rests on counts for all that came of it.
        let (mut proven, mut names) = (Proven::Token, token.body.policies.clone());
        for above in parents.value.iter().chain([&token]) {
            let standing = match &above.body.login {
                None => continue,
                Some(PersonLogin::Operator(login)) => self.person(token.body.principal, *login).await?,
                Some(PersonLogin::Vouched(login)) => self.vouched_person(login).await?,
            };
            rests_on.extend(standing.rests_on);
            read_at = oldest([read_at, standing.read_at]);
            if above.record.id == token.record.id {
                (proven, names) = (standing.proven, standing.policies);
            } else {
                // What a person loses, its tokens lose.
                names.retain(|name| standing.policies.contains(name));
            }
        }
        let policies = self
            .load_policies_of(token.body.principal, &principal.body, &names)
            .await?;
        rests_on.extend(policies.rests_on);
        let whose = Whose {
            kind: principal.body.kind,
            name: principal.body.name,
            proven,
            policies: policies.policies.iter().map(|(name, _)| name.clone()).collect(),
        };
        let grants = if token.body.root {
            Grants::Root
        } else {
            Grants::Policies(PolicySet::compile(policies.policies.iter().map(|(_, policy)| policy)))
        };
        let accessor = token.record.id.to_string();
        let session = Session {
            expires_at,
            grants,
            rests_on,
            ..Session::new(token.body.principal, nowhere(), accessor, principal.body.salt, whose)
        };
        let bound = parents
            .value
            .iter()
            .chain([&token])
            .map(|above| above.body.networks.clone());
        let session = Session {
            networks: bound.filter(|networks| !networks.is_empty()).collect(),
            token: Some(Box::new(token)),
            ..session
        };
        Ok((session, oldest([read_at, policies.read_at])))
    }

    async fn verify_access_token(&self, token: &SecretString, now: Time) -> Result<(Session, Revision)> {
        let keys = self.0.ring.keys.load_full();
        let (claims, _) = keys
            .verify(token.expose_secret(), &self.0.settings.issuer, now)
            .map_err(|_| refused())?;
        if claims.namespace != self.namespace() {
            return Err(refused());
        }
        let revocation = self.load::<Revocation>(Kind::Revocation, &claims.jti).await?;
        if revocation.value.is_some() {
            return Err(refused());
        }
        let standing = match claims.credential {
            Some(credential) => self.workload(&claims, credential).await?,
            None => self.vouched_workload(&claims).await?,
        };
        let (principal, read_at) = self.who(claims.sub, claims.generations.principal).await?;
        let policies = self.load_policies_of(claims.sub, &principal.body, &standing.policies);
        let policies = policies.await?;
        let mut rests_on = standing.rests_on;
        rests_on.extend([self.key(Kind::Revocation, claims.jti.as_str()), principal.record.key()]);
        rests_on.extend(policies.rests_on);
        let whose = Whose {
            kind: principal.body.kind,
            name: principal.body.name,
            proven: standing.proven,
            policies: policies.policies.iter().map(|(name, _)| name.clone()).collect(),
        };
        let session = Session {
            expires_at: Some(Time(claims.exp.saturating_mul(1_000_000))),
            grants: Grants::Policies(PolicySet::compile(policies.policies.iter().map(|(_, policy)| policy))),
            rests_on,
            ..Session::new(claims.sub, nowhere(), claims.jti, principal.body.salt, whose)
        };
        let read_at = oldest([standing.read_at, read_at, policies.read_at, revocation.revision]);
        Ok((session, read_at))
    }

    /// The principal, whose tokens of that generation still hold.
    async fn who(&self, id: PrincipalId, generation: Generation) -> Result<(Checked<Principal>, Revision)> {
        let found = self.load_principal(id).await?;
        let who = found.value.filter(|who| who.body.generation == generation);
        Ok((who.ok_or_else(refused)?, found.revision))
    }

    /// What a client's token was issued for must still be what the client is.
    async fn workload(&self, claims: &Claims, credential: ObjectId) -> Result<Standing> {
        let id = ObjectId::parse(&claims.client_id).ok_or_else(refused)?;
        let client = self.load_client(id).await?;
        let same = |found: &Checked<Client>| {
            let (body, named) = (&found.body, claims.generations.client);
            body.principal == claims.sub
                && body.role.as_str() == claims.role
                && named == Some(body.generation)
                && body.secrets.iter().any(|secret| secret.id == credential)
        };
        let found = client.value.filter(same).ok_or_else(refused)?;
        let role = self.load_role(&found.body.role).await?;
        let same = |role: &Checked<Role>| role.body.generation == claims.generations.role && is_for_clients(&role.body);
        let role_found = role.value.filter(same).ok_or_else(refused)?;
        Ok(Standing {
            rests_on: vec![found.record.key(), role_found.record.key()],
            proven: Proven::Client {
                id,
                role: found.body.role,
            },
            policies: role_found.body.policies,
            read_at: oldest([client.revision, role.revision]),
        })
    }

    /// What others vouched for must still be believed, and the role still be had by that method.
    async fn vouched_workload(&self, claims: &Claims) -> Result<Standing> {
        let name = |text: &str| Name::parse(text).map_err(|_| refused());
        let (method_name, role_name) = (name(&claims.method)?, name(&claims.role)?);
        let method = self.load_method(&method_name).await?;
        let same = |method: &methods::Standing| method.body.generation == claims.generations.method;
        let method_found = method.value.filter(same).ok_or_else(refused)?;
        let role = self.load_role(&role_name).await?;
        let same = |role: &Checked<Role>| {
            let bound = role.body.bounds.as_ref();
            role.body.generation == claims.generations.role && bound.is_some_and(|bounds| bounds.method == method_name)
        };
        let role_found = role.value.filter(same).ok_or_else(refused)?;
        Ok(Standing {
            rests_on: vec![method_found.key, role_found.record.key()],
            proven: Proven::Vouched {
                method: method_name,
                role: Some(role_name),
                groups: Vec::new(),
            },
            policies: role_found.body.policies,
            read_at: oldest([method.revision, role.revision]),
        })
    }

    /// A person for whom others vouched has what its groups have.
    async fn vouched_person(&self, login: &VouchedLogin) -> Result<Standing> {
        let method = self.load_method(&login.method).await?;
        let same = |method: &methods::Standing| method.body.generation == login.generation;
        let found = method.value.filter(same).ok_or_else(refused)?;
        let (policies, read_at) = self.policies_of(Vec::new(), &login.groups).await?;
        let mut rests_on = self.keys_of(Kind::Group, &login.groups);
        rests_on.push(found.key);
        Ok(Standing {
            rests_on,
            proven: Proven::Vouched {
                method: login.method.clone(),
                role: None,
                groups: login.groups.clone(),
            },
            policies,
            read_at: oldest([method.revision, read_at]),
        })
    }

    /// One's own and those of the groups, each once.
    async fn policies_of(&self, own: Vec<Name>, groups: &[Name]) -> Result<(Vec<Name>, Revision)> {
        let groups = self.load_groups(groups).await?;
        let mut policies = own;
        policies.extend(groups.value.iter().flat_map(|group| group.body.policies.clone()));
        policies.sort();
        policies.dedup();
        Ok((policies, groups.revision))
    }

    /// An operator's token ends with the password that it was had for.
    async fn person(&self, principal: PrincipalId, login: OperatorLogin) -> Result<Standing> {
        let operator = self.load_by_id::<Operator>(Kind::Operator, login.operator).await?;
        let same = |found: &Checked<Operator>| {
            let set = found.body.password.as_ref();
            found.body.principal == principal && set.is_some_and(|set| set.id == login.credential)
        };
        let found = operator.value.filter(same).ok_or_else(refused)?;
        let (policies, read_at) = self.policies_of(found.body.policies, &found.body.groups).await?;
        // A group counts whether it exists or not, as a policy does.
        let mut rests_on = self.keys_of(Kind::Group, &found.body.groups);
        rests_on.push(found.record.key());
        Ok(Standing {
            rests_on,
            proven: Proven::Operator {
                id: login.operator,
                groups: found.body.groups,
            },
            policies,
            read_at: oldest([operator.revision, read_at]),
        })
    }
}

/// What a token's bearer is now.
struct Standing {
    proven: Proven,
    /// The names of its policies.
    policies: Vec<Name>,
    /// Beside principal, policies and ring.
    rests_on: Vec<Key>,
    read_at: Revision,
}
