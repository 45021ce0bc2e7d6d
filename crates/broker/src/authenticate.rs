//! From a bearer token to a session. Verified tokens are cached by their hash, with all they rest on; expiry is decided
//! each time.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use strongroom_crypto::Bearer;
use strongroom_domain::grant::{Client, Operator, PrincipalKind, Token};
use strongroom_domain::policy::PolicySet;
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Revision, Time};

use crate::Broker;
use crate::grants::oldest;
use crate::request::{Request, SYSTEM};
use crate::rows::Checked;
use crate::session::{Grants, Proven, Session, Whose};
use crate::stats::count;

/// What opaque service tokens start with; everything else is an access token or nothing.
pub(crate) const SERVICE_TOKEN_PREFIX: &str = "srs_";

fn refused() -> Error {
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
        if let Some(job) = request.job {
            return self.job_session(job).map(Arc::new);
        }
        let token = request.token.as_ref().ok_or_else(refused)?;
        let hash: [u8; 32] = Sha256::digest(token.expose_secret().as_bytes()).into();
        let now = self.0.clock.now();
        if let Some(session) = self.0.node.session(&hash) {
            count(&self.0.stats.session_hits);
            return if session.expired(now) {
                Err(refused())
            } else {
                Ok(session)
            };
        }
        count(&self.0.stats.session_misses);
        // Boxed, as all that is rare on a read's way: the future of a hit stays small.
        let (session, read_at) = Box::pin(self.verify(token, now)).await?;
        if session.expired(now) {
            return Err(refused());
        }
        let session = Arc::new(session);
        self.0.node.keep_session(hash, session.clone(), read_at);
        Ok(session)
    }

    fn job_session(&self, job: &str) -> Result<Session> {
        let name = job_name(job);
        let whose = Whose {
            kind: PrincipalKind::Operator,
            name: Some(name.clone()),
            proven: Proven::Token,
            policies: Vec::new(),
        };
        Ok(Session {
            grants: Grants::Root,
            rests_on: vec![self.ring_key()],
            ..Session::new(job_principal(job)?, self.0.namespace, name, Digest::ZERO, whose)
        })
    }

    async fn verify(&self, token: &SecretString, now: Time) -> Result<(Session, Revision)> {
        if token.expose_secret().starts_with(SERVICE_TOKEN_PREFIX) {
            self.verify_service_token(token).await
        } else {
            self.verify_access_token(token, now).await
        }
    }

    async fn verify_service_token(&self, token: &SecretString) -> Result<(Session, Revision)> {
        let hashes = self
            .0
            .ring
            .keys
            .load()
            .token_hashes(token.expose_secret())
            .map_err(Error::internal)?;
        let keys: Vec<_> = hashes
            .iter()
            .map(|hash| self.key(Kind::Token, hash.to_string()))
            .collect();
        let found = self.load_keys::<Token>(&keys).await?;
        let token = found.value.into_iter().next().ok_or_else(refused)?;
        let principal = self.load_principal(token.body.principal).await?;
        let who = principal.value.ok_or_else(refused)?;
        // A service token's own policies come with `tokens`; until then only the root token exists.
        let grants = if token.body.root {
            Grants::Root
        } else {
            Grants::Policies(PolicySet::default())
        };
        let whose = Whose {
            kind: who.body.kind,
            name: who.body.name,
            proven: Proven::Token,
            policies: Vec::new(),
        };
        let accessor = token.record.id.to_string();
        let session = Session {
            expires_at: token.body.expires_at,
            grants,
            rests_on: vec![token.record.key(), who.record.key(), self.ring_key()],
            ..Session::new(token.body.principal, self.0.namespace, accessor, who.body.salt, whose)
        };
        Ok((session, oldest([found.revision, principal.revision])))
    }

    async fn verify_access_token(&self, token: &SecretString, now: Time) -> Result<(Session, Revision)> {
        let keys = self.0.ring.keys.load_full();
        let (claims, _) = keys
            .verify(token.expose_secret(), &self.0.settings.issuer, now)
            .map_err(|_| refused())?;
        if claims.namespace != self.0.namespace {
            return Err(refused());
        }
        let standing = match &claims.bearer {
            Bearer::Workload { client_id, role } => self.workload(claims.sub, client_id, role).await?,
            Bearer::Operator { operator, credential } => self.person(claims.sub, *operator, *credential).await?,
        };
        let principal = self.load_principal(claims.sub).await?;
        let who = principal.value.filter(|who| who.body.kind == standing.kind);
        let who = who.ok_or_else(refused)?;
        let policies = self.load_policies(&standing.policies).await?;
        let mut rests_on = standing.rests_on;
        rests_on.extend([who.record.key(), self.ring_key()]);
        // Named policies count whether they exist or not: one made later must be seen.
        rests_on.extend(self.keys_of(Kind::Policy, &standing.policies));
        let whose = Whose {
            kind: standing.kind,
            name: who.body.name,
            proven: standing.proven,
            policies: policies.value.iter().map(|(name, _)| name.clone()).collect(),
        };
        let session = Session {
            expires_at: Some(Time(claims.exp.saturating_mul(1_000_000))),
            grants: Grants::Policies(PolicySet::compile(policies.value.iter().map(|(_, policy)| policy))),
            rests_on,
            ..Session::new(claims.sub, self.0.namespace, claims.jti, who.body.salt, whose)
        };
        let read_at = oldest([standing.read_at, principal.revision, policies.revision]);
        Ok((session, read_at))
    }

    /// What a client's token was issued for must still be what the client is.
    async fn workload(&self, principal: PrincipalId, client_id: &str, role: &str) -> Result<Standing> {
        let id = ObjectId::parse(client_id).ok_or_else(refused)?;
        let client = self.load_client(id).await?;
        let same = |found: &Checked<Client>| found.body.principal == principal && found.body.role.as_str() == role;
        let found = client.value.filter(same).ok_or_else(refused)?;
        let role = self.load_role(&found.body.role).await?;
        let role_found = role.value.ok_or_else(refused)?;
        Ok(Standing {
            kind: PrincipalKind::Workload,
            rests_on: vec![found.record.key(), role_found.record.key()],
            proven: Proven::Client {
                id,
                role: found.body.role,
            },
            policies: role_found.body.policies,
            read_at: oldest([client.revision, role.revision]),
        })
    }

    /// An operator's token ends with the password that it was had for.
    async fn person(&self, principal: PrincipalId, id: ObjectId, credential: ObjectId) -> Result<Standing> {
        let operator = self.load_by_id::<Operator>(Kind::Operator, id).await?;
        let same = |found: &Checked<Operator>| {
            let set = found.body.password.as_ref();
            found.body.principal == principal && set.is_some_and(|set| set.id == credential)
        };
        let found = operator.value.filter(same).ok_or_else(refused)?;
        let groups = self.load_groups(&found.body.groups).await?;
        let mut policies = found.body.policies;
        policies.extend(groups.value.iter().flat_map(|group| group.body.policies.clone()));
        policies.sort();
        policies.dedup();
        // A group counts whether it exists or not, as a policy does.
        let mut rests_on = self.keys_of(Kind::Group, &found.body.groups);
        rests_on.push(found.record.key());
        Ok(Standing {
            kind: PrincipalKind::Operator,
            rests_on,
            proven: Proven::Operator {
                id,
                groups: found.body.groups,
            },
            policies,
            read_at: oldest([operator.revision, groups.revision]),
        })
    }
}

/// What a token's bearer is now.
struct Standing {
    kind: PrincipalKind,
    proven: Proven,
    /// The names of its policies.
    policies: Vec<Name>,
    /// Beside principal, policies and ring.
    rests_on: Vec<Key>,
    read_at: Revision,
}
