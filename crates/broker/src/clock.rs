//! The node's time: its own clock plus the measured offset to the database's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use strongroom_domain::Time;
use strongroom_ports::Clock;

pub(crate) struct NodeClock {
    clock: Arc<dyn Clock>,
    offset: AtomicI64,
    /// How far apart the last two readings around a database time were: what the offset cannot know, in microseconds.
    uncertainty: AtomicI64,
}

impl NodeClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            offset: AtomicI64::new(0),
            uncertainty: AtomicI64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time(self.clock.now().0.saturating_add(self.offset.load(Ordering::Relaxed)))
    }

    /// The database told `db_now` somewhere between our readings `sent` and now: moves the offset by the least that
    /// makes that true.
    pub(crate) fn observe(&self, sent: Time, db_now: Time) {
        let received = self.now();
        self.uncertainty
            .store(received.0.saturating_sub(sent.0), Ordering::Relaxed);
        let step = if db_now < sent {
            db_now.0.saturating_sub(sent.0)
        } else if db_now > received {
            db_now.0.saturating_sub(received.0)
        } else {
            return;
        };
        self.offset.fetch_add(step, Ordering::Relaxed);
    }

    pub(crate) fn uncertainty_micros(&self) -> i64 {
        self.uncertainty.load(Ordering::Relaxed)
    }
}
