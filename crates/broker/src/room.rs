//! Within which namespace a request is decided: its token says so; of what has no token yet, a login, a header.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use strongroom_crypto::claimed_namespace;
use strongroom_domain::grant::NamespaceBody;
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Error, Kind, NamespaceId, NamespaceName, ObjectId, Result, Revision};

use crate::Broker;
use crate::flags::namespace_of_key;
use crate::initialise::ROOT;
use crate::request::Request;
use crate::rows::Checked;
use crate::session::Home;
use crate::tokens::namespace_of_token;

/// The id of no namespace: nothing is found there.
const NOWHERE: NamespaceId = NamespaceId([0; 16]);

/// What namespace a token says it is of; none: `root`, or it is no token.
pub(crate) fn namespace_claimed(token: &SecretString) -> Option<NamespaceId> {
    let token = token.expose_secret();
    namespace_of_token(token)
        .or_else(|| namespace_of_key(token))
        .or_else(|| claimed_namespace(token))
}

/// In place of a home that is not known yet.
pub(crate) fn nowhere() -> Home {
    Home {
        id: NOWHERE,
        name: Arc::from(""),
        is_root: false,
    }
}

pub(crate) fn no_namespace() -> Error {
    Error::new(Code::NotFound, "There is no such namespace.")
}

impl Broker {
    /// The broker within the namespace that the request's token is of. What the token says is believed here only to know
    /// where to look for what proves it.
    pub async fn room(&self, request: &Request) -> Result<Self> {
        if request.job.is_some() {
            let named = Box::pin(self.named(request.namespace.as_ref())).await?;
            return named.ok_or_else(no_namespace);
        }
        let Some(bearing) = &request.token else {
            return Ok(self.clone());
        };
        if let Some(session) = self.0.node.session(&bearing.hash) {
            return Ok(self.within(session.home.id));
        }
        let claimed = namespace_claimed(&bearing.token);
        let Some(room) = claimed.filter(|id| *id != self.0.root).map(|id| self.within(id)) else {
            return Ok(self.within(self.0.root));
        };
        // One that is not there is nobody's: its entries would be seen by none.
        let there = Box::pin(room.home()).await?.is_some();
        Ok(if there { room } else { self.within(self.0.root) })
    }

    /// The broker within the namespace of that name, for what has no token; of a name that stands for none, one in which
    /// nothing is found.
    pub async fn room_named(&self, name: Option<&NamespaceName>) -> Result<Self> {
        Ok(self.named(name).await?.unwrap_or_else(|| self.within(NOWHERE)))
    }

    pub(crate) async fn named(&self, name: Option<&NamespaceName>) -> Result<Option<Self>> {
        let root = self.within(self.0.root);
        match name {
            None => Ok(Some(root)),
            Some(name) if name.as_str() == ROOT => Ok(Some(root)),
            Some(name) => {
                let found = root.load::<NamespaceBody>(Kind::Namespace, name.as_str()).await?.value;
                let there = found.filter(|found| found.body.deleted_at.is_none());
                Ok(there.map(|found| self.within(found.body.id)))
            }
        }
    }

    /// The namespace that this broker is within, unless it is gone; and what says so, of every one but `root`.
    pub(crate) async fn home(&self) -> Result<Option<(Home, Option<Key>, Revision)>> {
        let id = self.namespace();
        let is_root = id == self.0.root;
        let home = |name: &str| Home {
            id,
            name: Arc::from(name),
            is_root,
        };
        if is_root {
            return Ok(Some((home(ROOT), None, Revision(i64::MAX))));
        }
        let root = self.within(self.0.root);
        let found = root
            .load_by_id::<NamespaceBody>(Kind::Namespace, ObjectId(id.0))
            .await?;
        let stands = |found: &Checked<NamespaceBody>| found.body.id == id && found.body.deleted_at.is_none();
        let there = found.value.filter(stands);
        Ok(there.map(|there| (home(&there.record.name), Some(there.record.key()), found.revision)))
    }

    /// Where an entry goes of somebody who proved nothing.
    pub(crate) fn unproven_namespace(&self) -> NamespaceId {
        Some(self.namespace())
            .filter(|id| *id != NOWHERE)
            .unwrap_or(self.0.root)
    }
}
