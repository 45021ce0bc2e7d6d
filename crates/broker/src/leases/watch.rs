//! How leases stand, for whoever watches: how many there are, and which are stuck.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::lease::{Lease, LeaseCount};
use strongroom_domain::{Kind, Result};

use crate::Broker;
use crate::rows::{Checked, Unread};

/// Farther ahead than a failure puts a lease off, by any node's clock. Live ones that end by then stand between those that are
/// to be seen, and are passed over.
const AHEAD: Duration = Duration::from_mins(61);
const CHUNK: u16 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leases {
    pub all: i64,
    /// Could not be taken back for several times.
    pub stuck: i64,
    /// How long the oldest one should have been gone.
    pub overdue: Duration,
}

impl Broker {
    /// As this node saw them last; it looks every minute.
    pub fn leases_seen(&self) -> Leases {
        **self.0.leases.load()
    }

    pub(crate) async fn watch_leases(&self) -> Result<()> {
        let (mut seen, mut unread) = (Leases::default(), Unread::default());
        let counts = self.0.store.of_kind(self.0.clock.now(), Kind::LeaseCount);
        for record in self.ask(counts).await?.value {
            let count = unread.pass(self.within(record.namespace).check::<LeaseCount>(record));
            seen.all += count.map_or(0, |count| i64::from(count.body.leases));
        }
        let (mut after, mut stuck) = (None, HashSet::new());
        loop {
            // What fails meanwhile is put off to behind this page, as far as that is from now, and met there again.
            let now = self.0.clock.now();
            let due = self.0.store.due(now, Kind::Lease, after, now + AHEAD, CHUNK);
            let found = self.ask(due).await?.value;
            let last = found.last().filter(|_| found.len() == usize::from(CHUNK));
            after = last.and_then(|last| Some((last.due?, last.id)));
            for record in found {
                let lease = unread.pass(self.within(record.namespace).check::<Lease>(record));
                let Some(Checked { record, body }) = lease else {
                    continue;
                };
                seen.overdue = seen.overdue.max(body.overdue(now));
                if body.is_stuck() {
                    stuck.insert(record.id);
                }
            }
            if after.is_none() {
                break;
            }
        }
        unread.tell();
        seen.stuck = i64::try_from(stuck.len()).unwrap_or(i64::MAX);
        self.0.leases.store(Arc::new(seen));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
