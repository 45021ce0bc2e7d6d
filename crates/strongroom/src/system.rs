//! The real clock and the real dice: the only place where time and chance come from.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use strongroom_domain::Time;
use strongroom_ports::{Clock, Entropy};

/// The wall clock as it was at start, moved on by the monotonic one: nobody who sets the clock moves our time.
#[derive(Debug)]
pub struct SystemClock {
    wall: Time,
    since: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    pub fn start() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        Self {
            wall: Time(i64::try_from(wall).unwrap_or(i64::MAX)),
            since: Instant::now(),
        }
    }
}

pub(crate) fn now() -> Time {
    SystemClock::start().now()
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        self.wall + self.since.elapsed()
    }
}

/// The operating system's randomness.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        clippy::panic,
        reason = "this is where chance comes from; without it no key may be made"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system gives no randomness: {error}");
        }
    }
}
