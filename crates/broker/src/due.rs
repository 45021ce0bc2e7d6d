//! What is due, on every node: rows whose time has come are found in the store, and whoever claims one first works on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use strongroom_domain::{Code, Error, Kind, ObjectId, Record, Result, SecretPath};
use tokio::sync::Semaphore;

use crate::faults::hastened;
use crate::leases::BATCH;
use crate::{Broker, Inner};

/// Kinds of rows that are worked on when they are due, each apart from the others.
const KINDS: [Kind; 4] = [Kind::Rotation, Kind::Lease, Kind::Notice, Kind::Secret];
/// How often is looked, more or less: nodes do not look together.
const EVERY: Duration = Duration::from_millis(750);
/// Batches of a kind that one node works on at one time.
fn at_once(kind: Kind) -> usize {
    if kind == Kind::Lease { 4 } else { 16 }
}

/// Rows found at one look.
const WINDOW: u16 = 128;
/// How long a node leaves a row alone that it could not work on.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Rows that this node could not work on, and when it tries again.
type Left = Arc<Mutex<HashMap<ObjectId, Instant>>>;

pub(crate) fn start(broker: &Broker) {
    for kind in KINDS {
        tokio::spawn(work(Arc::downgrade(&broker.0), kind));
    }
}

async fn work(inner: Weak<Inner>, kind: Kind) {
    let (room, left) = (Arc::new(Semaphore::new(at_once(kind))), Left::default());
    loop {
        let Some(strong) = inner.upgrade() else { return };
        let broker = Broker::new(strong);
        let [chance] = broker.0.entropy.bytes();
        match broker.work_on_due(kind, &room, &left).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::debug!(?error, "what is due could not be looked for"),
        }
        drop(broker);
        tokio::time::sleep(EVERY.mul_f64(0.5 + f64::from(chance) / 256.0)).await;
    }
}

impl Broker {
    /// Whether there may be more.
    async fn work_on_due(&self, kind: Kind, room: &Arc<Semaphore>, left: &Left) -> Result<bool> {
        let now = self.0.clock.now();
        // Those that are left alone take no room from the others.
        let alone = left.lock().unwrap_or_else(PoisonError::into_inner).len();
        let window = WINDOW.saturating_add(u16::try_from(alone).unwrap_or(u16::MAX));
        let mut found = self.ask(self.0.store.due(now, kind, now, window)).await?.value;
        let more = found.len() == usize::from(window);
        {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            left.retain(|_, until| *until > Instant::now());
            found.retain(|record| !left.contains_key(&record.id));
        }
        // Purging, and telling of it, is our own.
        if kind != Kind::Secret && !found.is_empty() && self.is_held().await? {
            return Ok(false);
        }
        // Nodes that find the same begin at different ends.
        let seed = u64::from_le_bytes(self.0.entropy.bytes());
        found.sort_by_key(|record| record.id.seed() ^ seed);
        let any = !found.is_empty();
        for batch in batches(kind, found) {
            let Ok(permit) = room.clone().acquire_owned().await else {
                return Ok(false);
            };
            let Some(first) = batch.first() else { continue };
            let (broker, left) = (self.within(first.namespace), left.clone());
            tokio::spawn(async move {
                let ids: Vec<ObjectId> = batch.iter().map(|record| record.id).collect();
                if let Err(error) = broker.work_on(kind, batch).await {
                    tracing::warn!(?error, kind = kind.name(), "work that is due was put off");
                    let until = Instant::now() + hastened(LEFT_ALONE);
                    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                    left.extend(ids.into_iter().map(|id| (id, until)));
                }
                drop(permit);
            });
        }
        Ok(more && any)
    }

    async fn work_on(&self, kind: Kind, batch: Vec<Record>) -> Result<()> {
        // Also in a namespace that is being deleted: it waits for their end.
        if kind == Kind::Lease {
            return self.end_leases(batch).await;
        }
        // What else is in one is removed, not worked on.
        if self.home().await?.is_none() {
            return Err(Error::new(Code::NotFound, "Its namespace is being deleted."));
        }
        for record in batch {
            // It is read again, and checked, by whoever changes it.
            match kind {
                Kind::Rotation => self.rotate(&SecretPath::parse(&record.name)?).await?,
                Kind::Secret => self.look_at_secret(record).await?,
                _ => self.send_notice(record.id).await?,
            }
        }
        Ok(())
    }
}

/// What is worked on together: leases of one namespace, and else each alone.
fn batches(kind: Kind, mut found: Vec<Record>) -> Vec<Vec<Record>> {
    if kind != Kind::Lease {
        return found.into_iter().map(|record| vec![record]).collect();
    }
    found.sort_by_key(|record| record.namespace);
    let of_one = found.chunk_by(|a, b| a.namespace == b.namespace);
    of_one
        .flat_map(|of_one| of_one.chunks(BATCH))
        .map(<[Record]>::to_vec)
        .collect()
}
