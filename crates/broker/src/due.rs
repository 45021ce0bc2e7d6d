//! What is due, on every node: rows whose time has come are found in the store, and whoever claims one first works on it. Rows of
//! one target stand in a lane of their own, so that a slow one holds up nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future, stream};
use serde::Deserialize;
use strongroom_domain::{Code, Error, Kind, NamespaceId, ObjectId, Record, Result, SecretPath};
use strongroom_ports::Due;
use tokio::sync::Notify;

use crate::faults::hastened;
use crate::leases::BATCH;
use crate::{Broker, Inner};

/// Kinds of rows that are worked on when they are due, each apart from the others.
const KINDS: [Kind; 4] = [Kind::Rotation, Kind::Lease, Kind::Notice, Kind::Secret];
/// How often is looked, more or less: nodes do not look together.
const EVERY: Duration = Duration::from_millis(750);
/// Where there is more than one page of what is due, how much sooner the next is looked at.
const SOONER: u32 = 4;
/// Rows found at one look.
const WINDOW: u16 = 256;
/// Lanes of a kind in which one node works at one time.
const MOST_LANES: usize = 16;
/// How long rows of a lane are begun with before it is another's turn, as where a target is silent.
const TURN: Duration = Duration::from_secs(10);
/// How long a node leaves a row alone that it could not work on.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Batches of one lane that one node works on at one time.
fn at_once(kind: Kind) -> usize {
    if kind == Kind::Lease { 2 } else { 8 }
}

/// Whose work waits for whose: a namespace's rows of one target, or of none.
type Lane = (NamespaceId, Option<String>);
/// Behind which a page of what is due begins; none: the first.
type Page = Option<Due>;

/// What a node works on of a kind.
#[derive(Default)]
struct Desk {
    /// Each with the page in which its rows were found, if there may be more of them.
    lanes: Mutex<HashMap<Lane, Option<Page>>>,
    /// Where a lane was left that is free again, and may have more.
    again: Mutex<Option<Page>>,
    ended: Notify,
    /// Rows that this node could not work on, and when it tries again.
    left: Mutex<HashMap<ObjectId, Instant>>,
}

/// Work in a lane. Dropping it frees the lane.
struct Place {
    desk: Arc<Desk>,
    lane: Lane,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// A lane in which nobody works yet. A namespace has at most as many as it leaves to others.
    fn enter(self: &Arc<Self>, lane: &Lane, more: Option<Page>) -> Option<Place> {
        let mut lanes = locked(&self.lanes);
        let own = lanes.keys().filter(|(namespace, _)| *namespace == lane.0).count();
        if lanes.contains_key(lane) || own >= MOST_LANES.saturating_sub(lanes.len()) {
            return None;
        }
        lanes.insert(lane.clone(), more);
        Some(Place {
            desk: self.clone(),
            lane: lane.clone(),
        })
    }

    fn is_left(&self, id: &ObjectId) -> bool {
        locked(&self.left).get(id).is_some_and(|until| *until > Instant::now())
    }

    fn leave(&self, ids: Vec<ObjectId>) {
        let (now, until) = (Instant::now(), Instant::now() + hastened(LEFT_ALONE));
        let mut left = locked(&self.left);
        left.retain(|_, until| *until > now);
        left.extend(ids.into_iter().map(|id| (id, until)));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(more) = locked(&self.desk.lanes).remove(&self.lane).flatten() {
            let mut again = locked(&self.desk.again);
            *again = Some(again.map_or(more, |other| other.min(more)));
            self.desk.ended.notify_one();
        }
    }
}

pub(crate) fn start(broker: &Broker) {
    for kind in KINDS {
        tokio::spawn(work(Arc::downgrade(&broker.0), kind));
    }
}

/// Goes through all that is due, page by page, and comes back at once to where a lane was left.
async fn work(inner: Weak<Inner>, kind: Kind) {
    let desk = Arc::new(Desk::default());
    let (mut after, mut next) = (None, Instant::now());
    loop {
        let again = locked(&desk.again).take();
        let is_time = next <= Instant::now();
        if again.is_some() || is_time {
            let Some(strong) = inner.upgrade() else { return };
            let broker = Broker::new(strong);
            if let Some(from) = again {
                broker.look_at_due(kind, &desk, from).await;
            }
            if is_time {
                after = broker.look_at_due(kind, &desk, after).await;
                let [chance] = broker.0.entropy.bytes();
                let pause = EVERY.mul_f64(0.5 + f64::from(chance) / 256.0);
                next = Instant::now() + if after.is_some() { pause / SOONER } else { pause };
            }
        }
        let _ = tokio::time::timeout_at(next.into(), desk.ended.notified()).await;
    }
}

impl Broker {
    /// Has a page of what is due worked on, as far as lanes are free. Where the next one begins, if there is more.
    async fn look_at_due(&self, kind: Kind, desk: &Arc<Desk>, from: Page) -> Page {
        match self.work_on_due(kind, desk, from).await {
            Ok(next) => next,
            Err(error) => {
                tracing::debug!(?error, "what is due could not be looked for");
                None
            }
        }
    }

    async fn work_on_due(&self, kind: Kind, desk: &Arc<Desk>, from: Page) -> Result<Page> {
        let now = self.0.clock.now();
        let mut found = self.ask(self.0.store.due(now, kind, from, now, WINDOW)).await?.value;
        let last = found.last().filter(|_| found.len() == usize::from(WINDOW));
        let next = last.and_then(|last| Some((last.due?, last.id)));
        // Purging, and telling of it, is our own.
        if kind != Kind::Secret && !found.is_empty() && self.is_held().await? {
            return Ok(None);
        }
        found.retain(|record| !desk.is_left(&record.id));
        // Nodes that find the same begin at different ends.
        let seed = u64::from_le_bytes(self.0.entropy.bytes());
        found.sort_by_key(|record| record.id.seed() ^ seed);
        let mut lanes: HashMap<Lane, Vec<Record>> = HashMap::new();
        for record in found {
            lanes.entry(lane_of(&record)).or_default().push(record);
        }
        for (lane, rows) in lanes {
            if let Some(place) = desk.enter(&lane, next.map(|_| from)) {
                tokio::spawn(work_in(Arc::downgrade(&self.0), kind, place, rows));
            }
        }
        Ok(next)
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

/// Works on the rows of a lane, for as long as the broker is there.
async fn work_in(inner: Weak<Inner>, kind: Kind, place: Place, rows: Vec<Record>) {
    // Leases are worked on together, and else each row alone.
    let size = if kind == Kind::Lease { BATCH } else { 1 };
    let batches: Vec<Vec<Record>> = rows.chunks(size).map(<[Record]>::to_vec).collect();
    let (inner, place) = (&inner, &place);
    let began = Instant::now();
    stream::iter(batches)
        .take_while(|_| future::ready(began.elapsed() < TURN))
        .for_each_concurrent(at_once(kind), |batch| async move {
            let Some(strong) = inner.upgrade() else { return };
            let broker = Broker::new(strong).within(place.lane.0);
            let ids: Vec<ObjectId> = batch.iter().map(|record| record.id).collect();
            if let Err(error) = broker.work_on(kind, batch).await {
                tracing::warn!(?error, kind = kind.name(), "work that is due was put off");
                place.desk.leave(ids);
            }
        })
        .await;
}

/// By what the row says of itself: it decides who waits for whom, and nothing else.
fn lane_of(record: &Record) -> Lane {
    #[derive(Deserialize)]
    struct Said {
        target: Option<String>,
        policy: Option<Policy>,
    }
    #[derive(Deserialize)]
    struct Policy {
        target: Option<String>,
    }
    let said = serde_json::from_slice::<Said>(&record.body).ok();
    let target = said.and_then(|said| said.target.or(said.policy?.target));
    (record.namespace, target)
}

#[cfg(test)]
mod tests {
    use strongroom_domain::Time;

    use super::*;

    fn lane(namespace: u8, target: &str) -> Lane {
        (NamespaceId([namespace; 16]), Some(target.to_owned()))
    }

    #[test]
    fn one_works_in_a_lane_and_no_namespace_takes_all() {
        let desk = Arc::new(Desk::default());
        let slow = desk.enter(&lane(1, "slow"), None).unwrap();
        assert!(desk.enter(&lane(1, "slow"), None).is_none());
        let all_of = |namespace| -> Vec<Place> {
            let targets = (0..100).map(|at| lane(namespace, &at.to_string()));
            targets.filter_map(|lane| desk.enter(&lane, None)).collect()
        };
        let many = all_of(1);
        assert_eq!(many.len() + 1, MOST_LANES / 2);
        let others: Vec<Vec<Place>> = (2..5).map(all_of).collect();
        assert!(others.iter().all(|others| !others.is_empty()));
        drop(slow);
        assert!(desk.enter(&lane(1, "slow"), None).is_none(), "others came meanwhile");
        drop(many);
        assert!(desk.enter(&lane(1, "slow"), None).is_some());
    }

    #[test]
    fn where_a_lane_was_left_is_looked_at_again_from_the_earliest() {
        let desk = Arc::new(Desk::default());
        let page = |at| Some((Time(at), ObjectId([1; 16])));
        let later = desk.enter(&lane(1, "later"), Some(page(5))).unwrap();
        let earlier = desk.enter(&lane(1, "earlier"), Some(page(3))).unwrap();
        let last = desk.enter(&lane(1, "last"), None).unwrap();
        drop((last, later, earlier));
        assert_eq!(locked(&desk.again).take(), Some(page(3)));
        drop(desk.enter(&lane(1, "last"), None).unwrap());
        assert_eq!(locked(&desk.again).take(), None, "there was no more");
        drop(desk.enter(&lane(1, "first"), Some(None)).unwrap());
        assert_eq!(locked(&desk.again).take(), Some(None));
    }
}
