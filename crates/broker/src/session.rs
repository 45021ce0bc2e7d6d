//! A verified token, with everything it rests on.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use strongroom_crypto::audit_identity;
use strongroom_domain::access::Access;
use strongroom_domain::flag::{FlagSetName, WebOrigin};
use strongroom_domain::grant::{PrincipalKind, Token};
use strongroom_domain::network::plain;
use strongroom_domain::policy::{Decision, PolicySet};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Name, NamespaceId, Network, ObjectId, PrincipalId, Result, Time};

use crate::flags::AskedSet;
use crate::request::Request;
use crate::room::no_namespace;
use crate::rows::Checked;

pub(crate) struct Session {
    pub(crate) principal: PrincipalId,
    pub(crate) home: Home,
    /// What names the token in the log: a service token's accessor, an access token's `jti`.
    pub(crate) accessor: Arc<str>,
    pub(crate) expires_at: Option<Time>,
    pub(crate) grants: Grants,
    /// The principal's, under which its audit identity is hashed.
    pub(crate) salt: Digest,
    /// A change to any of these voids the session.
    pub(crate) rests_on: Vec<Key>,
    pub(crate) whose: Whose,
    /// Where its token, and each that this came of, can be used from.
    pub(crate) networks: Vec<Vec<Network>>,
    /// What a browser key is bound to; none: it is no such key.
    pub(crate) bound: Option<Bound>,
    /// The row of a service token, without what it is found by.
    pub(crate) token: Option<Box<Checked<Token>>>,
    /// The identity for the first source the token came from: most come from one.
    pub(crate) identity: OnceLock<(Arc<str>, Digest)>,
}

/// What a browser key is for.
pub(crate) struct Bound {
    pub(crate) set: FlagSetName,
    pub(crate) pages: Vec<WebOrigin>,
}

/// The namespace that a token is of.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) id: NamespaceId,
    pub(crate) name: Arc<str>,
    /// It is the one that the installation itself belongs to.
    pub(crate) is_root: bool,
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
    /// Others vouched: for a workload in a role, for a person with groups.
    Vouched {
        method: Name,
        role: Option<Name>,
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
        home: Home,
        accessor: impl Into<Arc<str>>,
        salt: Digest,
        whose: Whose,
    ) -> Self {
        Self {
            principal,
            home,
            accessor: accessor.into(),
            expires_at: None,
            grants: Grants::Policies(PolicySet::default()),
            salt,
            rests_on: Vec::new(),
            whose,
            networks: Vec::new(),
            bound: None,
            token: None,
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
        let decision = match &self.grants {
            _ if Access::is_installations(&path) && !self.home.is_root => Decision::NoGrant,
            Grants::Root => Decision::Allow,
            Grants::Policies(policies) => policies.decide(&access.needs(&path), from),
        };
        match decision {
            Decision::Allow => Ok(()),
            Decision::Deny | Decision::NoGrant => Err(Error::not_granted(access.capability(), &path)),
        }
    }

    /// Whether the request may be made with this token: from where it comes, and in the namespace that it names.
    pub(crate) fn admits(&self, request: &Request) -> Result<()> {
        if request
            .namespace
            .as_ref()
            .is_some_and(|name| name.as_str() != &*self.home.name)
        {
            return Err(no_namespace());
        }
        if let Some(bound) = &self.bound {
            let origin = request.page.as_deref().filter(|_| request.of_browsers);
            if !bound.pages.iter().any(|page| Some(page.as_str()) == origin) {
                return Err(Error::new(
                    Code::Unauthenticated,
                    "A browser key is for the listener of flags, and for the pages it is bound to.",
                ));
            }
        }
        let from = || request.source.parse().ok().map(plain);
        if self.networks.is_empty()
            || from().is_some_and(|from| {
                self.networks
                    .iter()
                    .all(|bound| bound.iter().any(|network| network.contains(from)))
            })
        {
            Ok(())
        } else {
            Err(Error::new(
                Code::Unauthenticated,
                "The token may not be used from this address.",
            ))
        }
    }

    /// The set of flags that is asked about.
    pub(crate) fn set<'a>(&'a self, asked: &'a AskedSet) -> Result<&'a FlagSetName> {
        match (asked, &self.bound) {
            (AskedSet::Named(set), _) => Ok(set),
            (AskedSet::Bound, Some(bound)) => Ok(&bound.set),
            (AskedSet::Bound, None) => Err(Error::new(
                Code::Unauthenticated,
                "Only a browser key says of which flags it is: any other token asks under '/flags/PROJECT/ENVIRONMENT'.",
            )),
        }
    }

    /// How often its token can be used still, where that is limited.
    pub(crate) fn is_counted(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.body.uses.is_some())
    }

    /// Whether a listing shows this name.
    pub(crate) fn shows(&self, folder: &str, path: &str, from: Option<IpAddr>) -> bool {
        match &self.grants {
            Grants::Root => true,
            Grants::Policies(policies) => policies.shows(folder, path, from),
        }
    }

    /// Whether a listing shows this name or one below it.
    pub(crate) fn shows_within(&self, folder: &str, path: &str, from: Option<IpAddr>) -> bool {
        match &self.grants {
            Grants::Root => true,
            Grants::Policies(policies) => policies.shows_within(folder, path, from),
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
