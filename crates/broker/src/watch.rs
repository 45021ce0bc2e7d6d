//! Waiting for a change of one object: one notifier for all that wait on this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::row::Key;
use strongroom_domain::secret::Selector;
use strongroom_domain::{Code, Kind, Result, SecretPath};
use tokio::sync::Notify;

use crate::Broker;
use crate::read::SecretView;
use crate::record::{Attempt, Served};
use crate::request::Request;

type Waiting = HashMap<Key, Arc<Notify>>;

/// Those who wait for a change of an object.
#[derive(Default)]
pub(crate) struct Watchers(Arc<Mutex<Waiting>>);

/// Dropping it forgets an object that nobody else waits for.
pub(crate) struct Watch {
    all: Arc<Mutex<Waiting>>,
    key: Key,
    changed: Arc<Notify>,
}

impl Watchers {
    pub(crate) fn watch(&self, key: Key) -> Watch {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = all.entry(key.clone()).or_default().clone();
        Watch {
            all: self.0.clone(),
            key,
            changed,
        }
    }

    pub(crate) fn tell(&self, key: &Key) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(changed) = all.get(key) {
            changed.notify_waiters();
        }
    }

    pub(crate) fn tell_all(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().for_each(|changed| changed.notify_waiters());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's are the only ones left when nobody else waits.
        if Arc::strong_count(&self.changed) == 2 {
            all.remove(&self.key);
        }
    }
}

impl Broker {
    /// Whether it is time to answer: a version newer than that is current, or the answer is not to be waited for.
    pub async fn await_newer(&self, request: &Request, path: &SecretPath, than: i64, within: Duration) -> bool {
        let began = Instant::now();
        let _attending = self.0.node.attendance().join();
        let watch = self.0.node.watchers().watch(self.key(Kind::Secret, path.as_str()));
        loop {
            let changed = watch.changed.notified();
            tokio::pin!(changed);
            // From now on: what changes while it is looked is not missed.
            changed.as_mut().enable();
            match self.peek(request, path).await {
                Ok(current) if current <= than => {}
                _ => return true,
            }
            let left = within.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            let _ = tokio::time::timeout(left, changed).await;
        }
    }

    /// The number of the version that is current, for whoever may read it; 0: none. Nothing is shown, and nothing recorded.
    async fn peek(&self, request: &Request, path: &SecretPath) -> Result<i64> {
        self.stand().await?;
        let session = self.authenticate(request).await?;
        let from = session.whence(&request.source);
        session.authorise(Access::Secret(path, Capability::Read), from)?;
        // What the node remembers will do: it is told of changes, and what is answered is decided anew.
        match self.0.node.secret(&self.key(Kind::Secret, path.as_str())) {
            Some(secret) => Ok(secret.head.body.current()),
            None => Ok(self.head(path).await?.map_or(0, |head| head.body.current())),
        }
    }

    /// The current value, if it is newer than that version.
    pub async fn read_newer(&self, request: &Request, path: &SecretPath, than: i64) -> Result<Option<SecretView>> {
        let current = Selector::default();
        self.serve(request, Action::SecretRead, path.as_str(), |attempt: Attempt| {
            let current = &current;
            async move {
                attempt.authorise(Access::Secret(path, Capability::Read))?;
                let found = match self.known_secret(&attempt, path).await {
                    Err(error) if error.code == Code::NotFound => return Ok(Served::fresh(None)),
                    found => found?,
                };
                if found.0.head.body.current() <= than {
                    return Ok(Served {
                        objects: found.1,
                        ..Served::fresh(None)
                    });
                }
                let read = self.served(&attempt, path, current, found).await;
                Ok(Served {
                    answer: read.answer.map(Some),
                    about: read.about,
                    version: read.version,
                    objects: read.objects,
                    until: read.until,
                })
            }
        })
        .await
    }
}
