//! How rotations stand, for whoever watches.

use std::sync::Arc;

use strongroom_domain::rotation::{Rotation, Run};
use strongroom_domain::{Kind, Result};

use super::CHUNK;
use crate::Broker;
use crate::rows::{Checked, Unread};

/// How many rotations there are, in all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotations {
    pub all: i64,
    /// Should have happened longer ago than their policy bears.
    pub overdue: i64,
    /// Are tried again after failures.
    pub failing: i64,
    /// Wait for an operator after a failure.
    pub stopped: i64,
}

impl Rotations {
    fn add(&mut self, rotation: &Rotation, overdue: bool) {
        let stopped = rotation.run.as_ref().is_some_and(Run::is_stopped);
        let failed = rotation.run.as_ref().is_some_and(|run| run.failure.is_some());
        self.all += 1;
        self.overdue += i64::from(overdue);
        self.stopped += i64::from(stopped);
        self.failing += i64::from(failed && !stopped);
    }
}

impl Broker {
    /// As this node saw it last; it looks every minute.
    pub fn rotations_seen(&self) -> Rotations {
        **self.0.rotations.load()
    }

    pub(crate) async fn watch_rotations(&self) -> Result<()> {
        let (mut seen, mut unread) = (Rotations::default(), Unread::default());
        for namespace in self.every_namespace().await? {
            let broker = self.within(namespace);
            let mut after = String::new();
            loop {
                let now = self.0.clock.now();
                let found = self.0.store.list(now, namespace, Kind::Rotation, "", &after, CHUNK);
                let found = self.ask(found).await?.value;
                let last_chunk = found.len() < usize::from(CHUNK);
                for record in found {
                    after.clone_from(&record.name);
                    if let Some(Checked { body, .. }) = unread.pass(broker.check::<Rotation>(record)) {
                        seen.add(&body, body.is_overdue(now));
                    }
                }
                if last_chunk {
                    break;
                }
            }
        }
        unread.tell();
        self.0.rotations.store(Arc::new(seen));
        Ok(())
    }
}
