//! Turns: whatever asks for it, a node has only so many connections to one server at a time, and claims one batch of leases
//! that end at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use strongroom_domain::{Name, NamespaceId};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::Broker;

/// What is due takes as many of one target at most.
const AT_ONCE: usize = 8;

type Target = (NamespaceId, Name);

#[derive(Default)]
pub(crate) struct Turns {
    /// Of those targets that somebody is at, or waits for.
    targets: Mutex<HashMap<Target, Weak<Semaphore>>>,
    lease_ends: Arc<tokio::sync::Mutex<()>>,
}

impl Turns {
    fn at(&self, target: Target) -> Arc<Semaphore> {
        let mut all = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get(&target).and_then(Weak::upgrade) {
            return turns;
        }
        all.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        all.insert(target, Arc::downgrade(&turns));
        turns
    }

    /// Waits for the one turn to claim leases that end.
    pub(crate) async fn of_lease_ends(&self) -> OwnedMutexGuard<()> {
        self.lease_ends.clone().lock_owned().await
    }
}

impl Broker {
    /// Waits until a server may be asked; whoever came first is first. It is over when it is dropped.
    pub(crate) async fn turn_at(&self, target: &Name) -> Option<OwnedSemaphorePermit> {
        let turns = self.0.turns.at((self.namespace(), target.clone()));
        // None only of what is closed, which these never are.
        turns.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(namespace: u8, name: &str) -> Target {
        (NamespaceId([namespace; 16]), Name::parse(name).unwrap())
    }

    #[test]
    fn a_target_is_asked_by_so_many_and_is_forgotten_after() {
        let turns = Turns::default();
        let one = turns.at(target(1, "db"));
        let taken: Vec<_> = (0..AT_ONCE).map(|_| one.clone().try_acquire_owned().unwrap()).collect();
        assert!(turns.at(target(1, "db")).try_acquire_owned().is_err());
        for other in [target(1, "other"), target(2, "db")] {
            assert!(turns.at(other).try_acquire_owned().is_ok());
        }
        drop((one, taken));
        let _again = turns.at(target(1, "db")).try_acquire_owned().unwrap();
        assert_eq!(turns.targets.lock().unwrap().len(), 1, "nobody is at the others");
    }
}
