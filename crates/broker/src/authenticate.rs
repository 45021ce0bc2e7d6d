//! From a bearer token to a session. Verified tokens are cached by their hash, with all they rest on; expiry is decided
//! each time.

use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use strongroom_domain::grant::Token;
use strongroom_domain::policy::PolicySet;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Revision, Time};

use crate::Broker;
use crate::grants::oldest;
use crate::request::Request;
use crate::session::{Grants, Session};
use crate::stats::count;

/// What opaque service tokens start with; everything else is an access token or nothing.
pub(crate) const SERVICE_TOKEN_PREFIX: &str = "srs_";

fn refused() -> Error {
    Error::from(Code::Unauthenticated)
}

fn job_name(job: &str) -> String {
    format!("system:{job}")
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
        Ok(Session {
            principal: job_principal(job)?,
            namespace: self.0.namespace,
            accessor: job_name(job).into(),
            expires_at: None,
            grants: Grants::Root,
            salt: Digest::ZERO,
            rests_on: vec![self.ring_key()],
            identity: OnceLock::new(),
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
        let session = Session {
            principal: token.body.principal,
            namespace: self.0.namespace,
            accessor: token.record.id.to_string().into(),
            expires_at: token.body.expires_at,
            grants,
            salt: who.body.salt,
            rests_on: vec![token.record.key(), who.record.key(), self.ring_key()],
            identity: OnceLock::new(),
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
        let id = ObjectId::parse(&claims.client_id).ok_or_else(refused)?;
        let client = self.load_client(id).await?;
        let Some(found) = client.value else {
            return Err(refused());
        };
        // What the token was issued for must still be what the client is.
        if found.body.principal != claims.sub || found.body.role.as_str() != claims.role {
            return Err(refused());
        }
        let role_name = Name::parse(&claims.role).map_err(|_| refused())?;
        let role = self.load_role(&role_name).await?;
        let Some(role_found) = role.value else {
            return Err(refused());
        };
        let principal = self.load_principal(claims.sub).await?;
        let Some(who) = principal.value else {
            return Err(refused());
        };
        let policies = self.load_policies(&role_found.body.policies).await?;
        let mut rests_on = vec![
            found.record.key(),
            role_found.record.key(),
            who.record.key(),
            self.ring_key(),
        ];
        // Named policies count whether they exist or not: one made later must be seen.
        rests_on.extend(
            role_found
                .body
                .policies
                .iter()
                .map(|name| self.key(Kind::Policy, name.as_str())),
        );
        let session = Session {
            principal: claims.sub,
            namespace: self.0.namespace,
            accessor: claims.jti.into(),
            expires_at: Some(Time(claims.exp.saturating_mul(1_000_000))),
            grants: Grants::Policies(PolicySet::compile(policies.value.iter().map(|policy| &policy.body))),
            salt: who.body.salt,
            rests_on,
            identity: OnceLock::new(),
        };
        let read_at = oldest([client.revision, role.revision, principal.revision, policies.revision]);
        Ok((session, read_at))
    }
}
