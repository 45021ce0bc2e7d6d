//! When secrets were last read, by minute: noted in memory, written in batches, and lost with the node that noted it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use strongroom_domain::{NamespaceId, ObjectId, Result, Time};
use strongroom_ports::Upkeep;

use crate::Broker;

/// Rows of one write.
const CHUNK: usize = 1000;
/// More than these are not noted until they are written.
const MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<HashMap<(NamespaceId, ObjectId), Time>>);

impl Uses {
    pub(crate) fn note(&self, secret: (NamespaceId, ObjectId), now: Time) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MAX {
            noted.insert(secret, now.minute());
        }
    }

    fn take(&self) -> BTreeMap<NamespaceId, Vec<(ObjectId, Time)>> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_namespace: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((namespace, secret), at) in noted.drain() {
            by_namespace.entry(namespace).or_default().push((secret, at));
        }
        by_namespace
    }
}

impl Broker {
    /// Writes down what was noted; of a database that does not answer in time it is lost.
    pub async fn flush(&self) {
        self.write_counts().await;
        for (namespace, uses) in self.0.uses.take() {
            for chunk in uses.chunks(CHUNK) {
                let secrets = chunk.to_vec();
                let work = Upkeep::Used { namespace, secrets };
                if let Err(error) = self.ask(self.0.store.upkeep(self.0.clock.now(), work)).await {
                    tracing::warn!(?error, "when secrets were last read was not written down");
                    return;
                }
            }
        }
    }

    /// Those of the secrets that were read ever.
    pub(crate) async fn last_used(&self, now: Time, secrets: &[ObjectId]) -> Result<HashMap<ObjectId, Time>> {
        let found = self.ask(self.0.store.last_used(now, self.namespace(), secrets)).await?;
        Ok(found.value.into_iter().collect())
    }
}
