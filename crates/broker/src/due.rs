//! What is due, on every node: rows whose time has come are found in the store, and whoever claims one first works on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use strongroom_domain::{Error, Kind, ObjectId, Record, Result, SecretPath};
use tokio::sync::Semaphore;

use crate::{Broker, Inner};

/// Kinds of rows that are worked on when they are due, each apart from the others.
const KINDS: [Kind; 2] = [Kind::Rotation, Kind::Notice];
/// How often is looked, more or less: nodes do not look together.
const EVERY: Duration = Duration::from_millis(750);
/// Rows of a kind that one node works on at one time.
const AT_ONCE: usize = 16;
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
    let (room, left) = (Arc::new(Semaphore::new(AT_ONCE)), Left::default());
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
        let mut found = self.ask(self.0.store.due(now, kind, WINDOW)).await?.value;
        let more = found.len() == usize::from(WINDOW);
        {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            left.retain(|_, until| *until > Instant::now());
            found.retain(|record| !left.contains_key(&record.id));
        }
        // Nodes that find the same begin at different ends.
        let seed = u64::from_le_bytes(self.0.entropy.bytes());
        found.sort_by_key(|record| record.id.seed() ^ seed);
        let any = !found.is_empty();
        for record in found {
            let Ok(permit) = room.clone().acquire_owned().await else {
                return Ok(false);
            };
            let (broker, left) = (self.within(record.namespace), left.clone());
            tokio::spawn(async move {
                let id = record.id;
                if let Err(error) = broker.work_on(record).await {
                    tracing::warn!(?error, kind = kind.name(), row = %id, "work that is due was put off");
                    let until = Instant::now() + LEFT_ALONE;
                    left.lock().unwrap_or_else(PoisonError::into_inner).insert(id, until);
                }
                drop(permit);
            });
        }
        Ok(more && any)
    }

    async fn work_on(&self, record: Record) -> Result<()> {
        // What is in a namespace that is being deleted is removed, not worked on.
        if self.home().await?.is_none() {
            return Ok(());
        }
        // It is read again, and checked, by whoever changes it.
        match record.kind {
            Kind::Rotation => self.rotate(&SecretPath::parse(&record.name)?).await,
            Kind::Notice => self.send_notice(record.id).await,
            kind => Err(Error::internal(format!(
                "nothing is done for rows of kind '{}'",
                kind.name()
            ))),
        }
    }
}
