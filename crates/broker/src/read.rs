//! Reading a secret's value.

use std::sync::Arc;

use strongroom_crypto::CryptoError;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::row::Key;
use strongroom_domain::secret::{Head, Selector, VersionEntry};
use strongroom_domain::{Code, Error, Kind, ObjectId, Payload, Result, Revision, SecretPath, Time, Version, upgrade};

use crate::Broker;
use crate::cache::CachedSecret;
use crate::grants::oldest;
use crate::record::{Attempt, Served};
use crate::request::Request;
use crate::rows::{Checked, broken};
use crate::stats::count;

/// How often a head and its version are read again when they do not belong together.
const ATTEMPTS: usize = 3;

#[derive(Debug)]
pub struct SecretView {
    pub path: SecretPath,
    pub version: i64,
    pub id: String,
    pub payload: Payload,
    pub labels: Vec<String>,
    pub created_at: Time,
}

impl Broker {
    pub async fn read(&self, request: &Request, path: &SecretPath, selector: &Selector) -> Result<SecretView> {
        self.serve(request, Action::SecretRead, path.as_str(), |attempt| async move {
            attempt.authorise(Access::Secret(path, Capability::Read))?;
            self.read_now(&attempt, path, selector).await
        })
        .await
    }

    pub(crate) async fn read_now(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
        selector: &Selector,
    ) -> Result<Served<SecretView>> {
        let found = self.known_secret(attempt, path).await?;
        Ok(self.served(attempt, path, selector, found).await)
    }

    /// As this node remembers it, and what that rests on; else as it stands in the store.
    pub(crate) async fn known_secret(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
    ) -> Result<(Arc<CachedSecret>, Vec<Key>)> {
        let key = self.key(Kind::Secret, path.as_str());
        match self.0.node.secret(&key) {
            Some(secret) => {
                count(&self.0.stats.secret_hits);
                Ok((secret, vec![key]))
            }
            None => {
                count(&self.0.stats.secret_misses);
                Ok((Box::pin(self.fill_secret(attempt, path)).await?, Vec::new()))
            }
        }
    }

    pub(crate) async fn served(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
        selector: &Selector,
        (secret, objects): (Arc<CachedSecret>, Vec<Key>),
    ) -> Served<SecretView> {
        let answer = self.view(attempt, path, selector, &secret).await;
        let (version, until) = match &answer {
            Ok((view, until)) => (Some(view.version), *until),
            Err(_) => (None, None),
        };
        Served {
            answer: answer.map(|(view, _)| view),
            about: None,
            version,
            objects,
            until,
        }
    }

    /// The value, and until when its version lives.
    async fn view(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
        selector: &Selector,
        secret: &CachedSecret,
    ) -> Result<(SecretView, Option<Time>)> {
        let entry = secret.head.body.select(selector, attempt.now)?;
        let payload = match &secret.current {
            Some(current) if current.number == entry.number => self.open_payload(current, path.as_str()).await?,
            _ => {
                let row = Box::pin(self.load_version(attempt.now, secret.head.record.id, entry))
                    .await?
                    .0;
                self.open_payload(&row, path.as_str()).await?
            }
        };
        if secret.used_now(attempt.now) {
            self.0.uses.note((self.namespace(), secret.head.record.id), attempt.now);
        }
        let view = SecretView {
            path: path.clone(),
            version: entry.number,
            id: entry.id.clone(),
            labels: secret.head.body.labels_of(entry.number),
            created_at: entry.created_at,
            payload,
        };
        Ok((view, entry.delete_at))
    }

    /// Reads and checks a secret's head and current version, and keeps them.
    async fn fill_secret(&self, attempt: &Attempt, path: &SecretPath) -> Result<Arc<CachedSecret>> {
        let mut failure = Error::from(Code::Unsettled);
        for _ in 0..ATTEMPTS {
            let found = self.load::<Head>(Kind::Secret, path.as_str()).await?;
            let head = found.value.ok_or_else(no_secret)?;
            let current = head.body.select(&Selector::default(), attempt.now).ok();
            let (current, read_at) = match current {
                None => (None, found.revision),
                Some(entry) => match self.load_version(attempt.now, head.record.id, entry).await {
                    Ok((row, at)) => (Some(row), oldest([found.revision, at])),
                    // Perhaps the head moved on between the two reads; if not, the same comes again.
                    Err(error) if error.code == Code::IntegrityFailed => {
                        failure = error;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            let secret = Arc::new(CachedSecret::new(head, current));
            self.0
                .node
                .keep_secret(self.key(Kind::Secret, path.as_str()), secret.clone(), read_at);
            return Ok(secret);
        }
        Err(failure)
    }

    /// The version's row, checked against what its head says of it.
    pub(crate) async fn load_version(
        &self,
        now: Time,
        owner: ObjectId,
        entry: &VersionEntry,
    ) -> Result<(Version, Revision)> {
        let found = self
            .ask(self.0.store.version(now, self.namespace(), owner, entry.number))
            .await?;
        match found.value {
            Some(row) if !upgrade::reads(row.format) => Err(broken(Kind::Secret, CryptoError::UnknownFormat)),
            Some(row) if row.digest() == entry.digest => Ok((row, found.revision)),
            _ => Err(Error::integrity(
                "A version's row is missing, or is not the one its head vouches for.",
            )),
        }
    }

    /// Opens a payload; a key that this node does not know yet may be another node's new epoch.
    pub(crate) async fn open_payload(&self, row: &Version, path: &str) -> Result<Payload> {
        let opened = self.0.ring.keys.load().open_version(row, path);
        let opened = match opened {
            Err(CryptoError::UnknownKey) => {
                Box::pin(self.reload_ring()).await?;
                self.0.ring.keys.load().open_version(row, path)
            }
            other => other,
        };
        opened.map_err(|error| crate::rows::broken(Kind::Secret, error))
    }

    /// A secret's head as it stands in the store.
    pub(crate) async fn head(&self, path: &SecretPath) -> Result<Option<Checked<Head>>> {
        Ok(self.load::<Head>(Kind::Secret, path.as_str()).await?.value)
    }
}

pub(crate) fn no_secret() -> Error {
    Error::new(Code::NotFound, "There is no such secret.")
}
