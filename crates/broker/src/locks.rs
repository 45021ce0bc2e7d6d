//! One writer of a head per node: writers of the same rows wait here rather than conflict in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_domain::row::Key;
use tokio::sync::OwnedMutexGuard;

type Slots = HashMap<Key, Arc<tokio::sync::Mutex<()>>>;

#[derive(Debug, Default)]
pub(crate) struct Locks(Arc<Mutex<Slots>>);

/// Held keys. Dropping it lets the next writers in, and forgets keys that nobody waits for.
pub(crate) struct Held {
    slots: Arc<Mutex<Slots>>,
    guards: Vec<(Key, OwnedMutexGuard<()>)>,
}

impl Locks {
    /// In key order, so that two writers of overlapping keys cannot wait for each other.
    pub(crate) async fn hold(&self, mut keys: Vec<Key>) -> Held {
        keys.sort();
        keys.dedup();
        let mut held = Held {
            slots: self.0.clone(),
            guards: Vec::with_capacity(keys.len()),
        };
        for key in keys {
            let slot = {
                let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                slots.entry(key.clone()).or_default().clone()
            };
            held.guards.push((key, slot.lock_owned().await));
        }
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, guard) in self.guards.drain(..) {
            drop(guard);
            // Ours in the map is the only one left when nobody waits.
            if slots.get(&key).is_some_and(|slot| Arc::strong_count(slot) == 1) {
                slots.remove(&key);
            }
        }
    }
}
