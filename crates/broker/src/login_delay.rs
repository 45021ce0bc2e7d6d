//! Failed logins make the next ones wait, by the name that they claim and the source they come from: nobody is locked out,
//! and who fails elsewhere delays nobody here. What is looked at is what was claimed, before anybody knows whether it
//! exists.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use strongroom_domain::network::neighbourhood;
use strongroom_domain::{Code, Error, NamespaceId, ObjectId, Result, Time};

use crate::Broker;
use crate::allowances::{FIRST, MOST};
use crate::login::LoggedIn;
use crate::request::Request;
use crate::stats::count;

/// Failures in a row that cost nothing: a slip, and another.
const FREE: u32 = 5;
/// The first wait; each failure doubles it.
const SHORTEST: Duration = Duration::from_secs(1);
/// After so long without another, failures are forgotten.
const FORGOTTEN: Duration = Duration::from_mins(15);

#[derive(Debug, Default, Clone, Copy)]
struct Failures {
    in_a_row: u32,
    last: Time,
    /// The next attempt is taken from then on.
    open_at: Time,
}

type Kept = Arc<Mutex<Failures>>;

/// Keyed by hashes under a random key: no name is kept, and no attacker knows which two meet.
pub(crate) struct LoginDelay {
    failures: Cache<u64, Kept, UnitWeighter, RandomState, DefaultLifecycle<u64, Kept>>,
    hashes: RandomState,
    longest: Duration,
}

impl LoginDelay {
    pub(crate) fn new(longest: Duration) -> Self {
        let (hashes, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self {
            failures: Cache::with(FIRST, MOST, UnitWeighter, hashes, lifecycle),
            hashes: RandomState::new(),
            longest,
        }
    }

    /// However a name is written, it is one: case and the space around it open no second count.
    fn key(&self, namespace: NamespaceId, method: &str, name: &str, source: &str) -> u64 {
        let name = name.trim().to_lowercase();
        let from = source.parse::<IpAddr>().map(neighbourhood).map_err(|_| source);
        self.hashes.hash_one((namespace, method, name, from))
    }

    fn delay(&self, in_a_row: u32) -> Duration {
        match in_a_row.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(doubled) => SHORTEST.saturating_mul(1 << doubled.min(20)).min(self.longest),
        }
    }

    /// How long the next attempt has to wait. One that need not is the only one until it has failed or its own wait is
    /// over, so that many at once are no way around.
    fn admit(&self, key: u64, now: Time) -> std::result::Result<(), Duration> {
        let Some(kept) = self.failures.get(&key) else {
            return Ok(());
        };
        let mut failures = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(failures.last) >= FORGOTTEN {
            *failures = Failures::default();
        }
        if now < failures.open_at {
            return Err(failures.open_at.since(now));
        }
        failures.open_at = now + self.delay(failures.in_a_row);
        Ok(())
    }

    fn failed(&self, key: u64, now: Time) {
        let fresh = || Ok::<_, std::convert::Infallible>(Kept::default());
        let Ok(kept) = self.failures.get_or_insert_with(&key, fresh);
        let mut failures = kept.lock().unwrap_or_else(PoisonError::into_inner);
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.last = now;
        failures.open_at = now + self.delay(failures.in_a_row);
    }

    fn succeeded(&self, key: u64) {
        self.failures.remove(&key);
    }
}

/// A guess at what one operator knows.
pub(crate) struct Guess(u64);

impl Broker {
    /// Admits a guess that only somebody can make who has shown something already: a token, or the password. It waits after
    /// those that failed, wherever they came from.
    pub(crate) fn guess(&self, what: &str, operator: ObjectId) -> Result<Guess> {
        let delay = &self.0.login_delay;
        let key = delay.key(self.namespace(), what, &operator.to_string(), "");
        match delay.admit(key, self.0.clock.now()) {
            Ok(()) => Ok(Guess(key)),
            Err(wait) => {
                count(&self.0.stats.logins_delayed);
                Err(Error::from(Code::LoginDelayed).after(wait))
            }
        }
    }

    pub(crate) fn guessed(&self, guess: &Guess, right: bool) {
        if right {
            self.0.login_delay.succeeded(guess.0);
        } else {
            self.0.login_delay.failed(guess.0, self.0.clock.now());
        }
    }

    /// A login with this name, unless it has to wait.
    pub(crate) async fn delayed(
        &self,
        request: &Request,
        method: &str,
        name: &str,
        login: impl Future<Output = Result<LoggedIn>>,
    ) -> Result<LoggedIn> {
        let delay = &self.0.login_delay;
        let key = delay.key(self.namespace(), method, name, &request.source);
        if let Err(wait) = delay.admit(key, self.0.clock.now()) {
            count(&self.0.stats.logins_delayed);
            return Err(Error::from(Code::LoginDelayed).after(wait));
        }
        let done = login.await;
        match &done {
            Ok(_) => delay.succeeded(key),
            Err(error) if error.code == Code::LoginFailed => delay.failed(key, self.0.clock.now()),
            Err(_) => {}
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: Duration = Duration::from_mins(1);
    const HERE: &str = "192.0.2.1";

    fn key(delay: &LoginDelay, name: &str, source: &str) -> u64 {
        delay.key(NamespaceId([0; 16]), "password", name, source)
    }

    #[test]
    fn one_name_has_one_count_and_each_source_its_own() {
        let delay = LoginDelay::new(LONGEST);
        let of = |name, source| key(&delay, name, source);
        let alice = of("alice", HERE);
        for same in ["Alice", " alice", "ALICE\t", "alice\n"] {
            assert_eq!(of(same, HERE), alice, "{same:?}");
        }
        assert_eq!(of("alice", "::ffff:192.0.2.1"), alice);
        assert_eq!(of("alice", "2001:db8::1"), of("alice", "2001:db8::ffff:1"), "one /64");
        for other in [
            of("alice", "192.0.2.2"),
            of("bob", HERE),
            of("alice", "2001:db8:0:1::1"),
        ] {
            assert_ne!(other, alice);
        }
        assert_ne!(delay.key(NamespaceId([0; 16]), "client", "alice", HERE), alice);
        assert_ne!(delay.key(NamespaceId([1; 16]), "password", "alice", HERE), alice);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_forgotten() {
        let delay = LoginDelay::new(LONGEST);
        let (key, mut now, mut waits) = (key(&delay, "alice", HERE), Time(1), Vec::new());
        for _ in 0..12 {
            if let Err(wait) = delay.admit(key, now) {
                waits.push(wait.as_secs());
                now = now + wait;
                assert_eq!(
                    delay.admit(key, now),
                    Ok(()),
                    "who waits as long as it was told is let in"
                );
            }
            delay.failed(key, now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60]);
        assert!(delay.admit(key, now).is_err());
        assert_eq!(delay.admit(key, now + FORGOTTEN), Ok(()));
        assert_eq!(delay.admit(key, now + FORGOTTEN), Ok(()), "with all slips free again");
    }

    #[test]
    fn a_success_forgets_failures_and_none_at_all_has_no_wait() {
        let (delay, off) = (LoginDelay::new(LONGEST), LoginDelay::new(Duration::ZERO));
        let alice = key(&delay, "alice", HERE);
        for _ in 0..20 {
            delay.failed(alice, Time(1));
            off.failed(alice, Time(1));
        }
        assert!(delay.admit(alice, Time(2)).is_err());
        delay.succeeded(alice);
        assert_eq!(delay.admit(alice, Time(2)), Ok(()));
        assert_eq!(off.admit(alice, Time(2)), Ok(()));
    }

    #[test]
    fn of_many_at_once_one_is_tried() {
        let delay = LoginDelay::new(LONGEST);
        let alice = key(&delay, "alice", HERE);
        for _ in 0..FREE {
            delay.failed(alice, Time(1));
        }
        let later = Time(1) + Duration::from_secs(1);
        let let_in = (0..64).filter(|_| delay.admit(alice, later).is_ok()).count();
        assert_eq!(let_in, 1);
    }

    #[test]
    fn names_without_end_take_bounded_memory() {
        let delay = LoginDelay::new(LONGEST);
        for number in 0..300_000 {
            delay.failed(key(&delay, &number.to_string(), HERE), Time(1));
        }
        assert!(delay.failures.len() as u64 <= MOST);
    }

    proptest! {
        /// Whatever others do from where they are, it makes nobody elsewhere wait; and nobody waits for longer than the longest.
        #[test]
        fn nobody_is_locked_out(attempts in prop::collection::vec((0_u8..4, 0_i64..90), 1..200)) {
            let delay = LoginDelay::new(LONGEST);
            let mut now = Time(1);
            for (source, step) in attempts {
                now = Time(now.0 + step * 1_000_000);
                let attacker = key(&delay, "alice", &format!("198.51.100.{source}"));
                match delay.admit(attacker, now) {
                    Ok(()) => delay.failed(attacker, now),
                    Err(wait) => prop_assert!(wait <= LONGEST),
                }
                prop_assert_eq!(delay.admit(key(&delay, "alice", HERE), now), Ok(()));
            }
        }
    }
}
