//! A verified token, with everything it rests on.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use strongroom_crypto::audit_identity;
use strongroom_domain::access::Access;
use strongroom_domain::grant::PrincipalKind;
use strongroom_domain::policy::{Decision, PolicySet};
use strongroom_domain::row::Key;
use strongroom_domain::{Digest, Error, Name, NamespaceId, ObjectId, PrincipalId, Result, Time};

pub(crate) struct Session {
    pub(crate) principal: PrincipalId,
    pub(crate) namespace: NamespaceId,
    /// What names the token in the log: a service token's accessor, an access token's `jti`.
    pub(crate) accessor: Arc<str>,
    pub(crate) expires_at: Option<Time>,
    pub(crate) grants: Grants,
    /// The principal's, under which its audit identity is hashed.
    pub(crate) salt: Digest,
    /// A change to any of these voids the session.
    pub(crate) rests_on: Vec<Key>,
    pub(crate) whose: Whose,
    /// The identity for the first source the token came from: most come from one.
    pub(crate) identity: OnceLock<(Arc<str>, Digest)>,
}

/// Who asks, as it is told to itself.
pub(crate) struct Whose {
    pub(crate) kind: PrincipalKind,
    /// None: erased.
    pub(crate) name: Option<String>,
    pub(crate) proven: Proven,
    /// Those that exist.
    pub(crate) policies: Vec<Name>,
}

/// By what a caller proved itself.
pub(crate) enum Proven {
    /// An opaque token, or a job's own word.
    Token,
    Client {
        id: ObjectId,
        role: Name,
    },
    Operator {
        id: ObjectId,
        groups: Vec<Name>,
    },
}

pub(crate) enum Grants {
    /// The flag on the token made at `init`. No name gives it.
    Root,
    Policies(PolicySet),
}

impl Session {
    /// One that may do nothing and rests on nothing yet.
    pub(crate) fn new(
        principal: PrincipalId,
        namespace: NamespaceId,
        accessor: impl Into<Arc<str>>,
        salt: Digest,
        whose: Whose,
    ) -> Self {
        Self {
            principal,
            namespace,
            accessor: accessor.into(),
            expires_at: None,
            grants: Grants::Policies(PolicySet::default()),
            salt,
            rests_on: Vec::new(),
            whose,
            identity: OnceLock::new(),
        }
    }

    /// From where a request comes, where that matters to what it may do.
    pub(crate) fn whence(&self, source: &str) -> Option<IpAddr> {
        match &self.grants {
            Grants::Policies(policies) if policies.conditional() => source.parse().ok(),
            _ => None,
        }
    }

    /// Decides about a request from there; a denial says what was needed and nothing else.
    pub(crate) fn authorise(&self, access: Access<'_>, from: Option<IpAddr>) -> Result<()> {
        let path = access.path();
        let Grants::Policies(policies) = &self.grants else {
            return Ok(());
        };
        match policies.decide(&access.needs(&path), from) {
            // Where it matters, a request from nowhere would get around what denies.
            Decision::Allow if from.is_some() || !policies.conditional() => Ok(()),
            Decision::Allow | Decision::Deny | Decision::NoGrant => Err(Error::not_granted(access.capability(), &path)),
        }
    }

    /// Whether a listing shows this name.
    pub(crate) fn shows(&self, folder: &str, path: &str, from: Option<IpAddr>) -> bool {
        match &self.grants {
            Grants::Root => true,
            Grants::Policies(policies) => {
                (from.is_some() || !policies.conditional()) && policies.shows(folder, path, from)
            }
        }
    }

    pub(crate) fn expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Accessor and source as one HMAC under the principal's salt.
    pub(crate) fn who(&self, source: &Arc<str>) -> Result<Digest> {
        if let Some((first, digest)) = self.identity.get()
            && first == source
        {
            return Ok(*digest);
        }
        let digest = audit_identity(&self.salt, &self.accessor, source).map_err(Error::internal)?;
        // Another request may have set it first; then this one's is simply not kept.
        let _ = self.identity.set((source.clone(), digest));
        Ok(digest)
    }
}
