//! What is left to each of many of what it may do, in bounded memory: whoever has used none of it stands nowhere, and of
//! too many the ones that were not seen for long are forgotten, which gives them all of it again.

use std::fmt;
use std::hash::{Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use strongroom_domain::{Rate, Time};

/// What is remembered at most, of each kind.
pub(crate) const MOST: u64 = 65_536;
/// What room is made for at first.
pub(crate) const FIRST: usize = 1024;

type WholeAt = Arc<AtomicI64>;

/// Keyed by `K`, which may be an attacker's choice: it is hashed under a random key.
pub struct Allowances<K>(Cache<K, WholeAt, UnitWeighter, RandomState, DefaultLifecycle<K, WholeAt>>);

impl<K: Eq + Hash + Clone> Default for Allowances<K> {
    fn default() -> Self {
        let (hashes, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self(Cache::with(FIRST, MOST, UnitWeighter, hashes, lifecycle))
    }
}

impl<K: Eq + Hash + Clone> Allowances<K> {
    /// Takes one, or says how long until there is one.
    pub fn take(&self, key: &K, rate: Rate, now: Time) -> Result<(), Duration> {
        let whole_at = self.of(key);
        let taken = whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
            rate.take(Time(at), now).ok().map(|after| after.0)
        });
        taken.map(drop).map_err(|at| rate.wait(Time(at), now))
    }

    /// Takes one of what was done already, and says how long until there is another.
    pub fn charge(&self, key: &K, rate: Rate, now: Time) -> Duration {
        let whole_at = self.of(key);
        let after = |at| rate.charge(Time(at), now);
        let before = whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(after(at).0));
        before.map_or(Duration::ZERO, |at| rate.wait(after(at), now))
    }

    /// How long until there is one.
    pub fn wait(&self, key: &K, rate: Rate, now: Time) -> Duration {
        let whole_at = self.0.get(key);
        whole_at.map_or(Duration::ZERO, |at| rate.wait(Time(at.load(Ordering::Relaxed)), now))
    }

    fn of(&self, key: &K) -> WholeAt {
        let fresh = || Ok::<_, std::convert::Infallible>(WholeAt::default());
        match self.0.get_or_insert_with(key, fresh) {
            Ok(whole_at) => whole_at,
            Err(never) => match never {},
        }
    }
}

impl<K> fmt::Debug for Allowances<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Allowances")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_sources_take_bounded_memory_and_nothing_from_others() {
        let rate = Rate::new(2, Duration::from_mins(1)).unwrap();
        let allowances = Allowances::<u64>::default();
        let now = Time(1);
        for source in 0..1_000_000 {
            assert_eq!(allowances.take(&source, rate, now), Ok(()));
        }
        assert!(allowances.0.len() as u64 <= MOST, "{}", allowances.0.len());
        assert_eq!(
            allowances.take(&7_000_000, rate, now),
            Ok(()),
            "who comes new is served"
        );
        // Whoever goes on meanwhile is remembered.
        for source in 2_000_000..2_010_000 {
            let _ = allowances.take(&7_000_000, rate, now);
            let _ = allowances.take(&source, rate, now);
        }
        assert!(allowances.take(&7_000_000, rate, now).is_err());
    }

    #[test]
    fn of_many_at_once_as_many_as_there_are_win() {
        let rate = Rate::new(10, Duration::from_mins(1)).unwrap();
        let allowances = Allowances::<u8>::default();
        let won = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if allowances.take(&0, rate, Time(1)).is_ok() {
                            won.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), 10);
    }
}
