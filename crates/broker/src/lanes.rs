//! The three ways into the log. Each is one task with one batch in flight: what arrives meanwhile makes the next batch,
//! which starts the moment the last one ends. The queue is bounded; past the bound or the deadline a request is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use strongroom_crypto::Keys;
use strongroom_domain::audit::{Entry, EntryId, Lane};
use strongroom_domain::row::Key;
use strongroom_domain::{Change, Code, Error, Result, Revision, Time};
use strongroom_ports::Store;
use tokio::sync::{mpsc, oneshot};

use crate::cache::{Fresh, Node, Touched};
use crate::clock::NodeClock;
use crate::pulse::Pulse;
use crate::session::Session;
use crate::stats::{Stats, count};
use crate::worker::Worker;

/// An entry with what stands beside it in clear.
#[derive(Clone)]
pub(crate) struct Noted {
    pub(crate) entry: Entry,
    pub(crate) accessor: Option<Arc<str>>,
    pub(crate) source: Arc<str>,
}

/// What an answer rests on, as of a revision.
pub(crate) struct Ground {
    pub(crate) decided_at: Revision,
    pub(crate) session: Option<Arc<Session>>,
    /// Cached objects besides the session's own.
    pub(crate) objects: Vec<Key>,
    /// When what was decided stops being right by itself.
    pub(crate) until: Option<Time>,
    /// The manifest that a change goes on from, as of another revision: its writers take turns after they decided.
    pub(crate) manifest: Option<(Key, Revision)>,
}

impl Ground {
    /// Whether a change after the decision, or an expiry, touches it.
    pub(crate) fn moved(&self, touched: &Touched, db_now: Time) -> bool {
        let session = self.session.as_deref();
        if session.is_some_and(|session| session.expired(db_now)) || self.until.is_some_and(|until| until <= db_now) {
            return true;
        }
        if touched.nothing_after(self.decided_at) {
            return false;
        }
        if let Some((key, at)) = &self.manifest
            && touched.after(*at, key)
        {
            return true;
        }
        let rests_on = session.map_or(&[][..], |session| session.rests_on.as_slice());
        touched.forgotten(self.decided_at)
            || self
                .objects
                .iter()
                .chain(rests_on)
                .any(|key| touched.after(self.decided_at, key))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// As this entry, or these from it on.
    Committed(EntryId),
    /// The ground moved: decide again.
    Moved,
    /// A row was not as the change expected: decide again.
    Conflict,
    /// Another holds a lock, or the lane's connection was stale: try again, for as long as there is time.
    Busy,
    /// The store could not make it durable in time; nothing was shown, and of a change nothing was written.
    Failed(Code),
    /// A change was sent, and whether it was committed is not known in time.
    Unknown,
}

pub(crate) struct Job {
    pub(crate) notes: Vec<Noted>,
    pub(crate) change: Option<Change>,
    /// What the change makes of secrets, for the cache.
    pub(crate) fresh: Vec<Fresh>,
    pub(crate) ground: Ground,
    /// When it began to wait.
    pub(crate) since: Instant,
    pub(crate) reply: oneshot::Sender<Recorded>,
}

pub(crate) struct Lanes {
    senders: [mpsc::Sender<Job>; 3],
    pulse: Pulse,
    stats: Arc<Stats>,
}

/// What a lane's task works with.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<NodeClock>,
    pub(crate) keys: Arc<ArcSwap<Keys>>,
    pub(crate) node: Arc<Node>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) deadline: Duration,
}

impl Lanes {
    pub(crate) fn start(workshop: &Workshop, boot: i64, queue: usize) -> Self {
        let senders = Lane::ALL.map(|lane| {
            let (sender, receiver) = mpsc::channel(queue);
            tokio::spawn(Worker::new(lane, workshop.clone(), boot).run(receiver));
            sender
        });
        Self {
            senders,
            pulse: Pulse::start(workshop.clone(), queue),
            stats: workshop.stats.clone(),
        }
    }

    /// Whether what an answer rests on still holds, where that leaves no entry.
    pub(crate) async fn holds(&self, ground: Ground) -> Result<bool> {
        self.pulse.holds(ground).await
    }

    /// Makes an entry durable, and says whether what the answer rests on still holds.
    pub(crate) async fn record(&self, lane: Lane, note: Noted, ground: Ground) -> Result<Recorded> {
        self.submit(lane, vec![note], None, Vec::new(), ground).await
    }

    /// Commits a change with its entries.
    pub(crate) async fn change(
        &self,
        notes: Vec<Noted>,
        change: Change,
        fresh: Vec<Fresh>,
        ground: Ground,
    ) -> Result<Recorded> {
        let lane = if change.touches.is_empty() {
            Lane::Events
        } else {
            Lane::Changes
        };
        self.submit(lane, notes, Some(change), fresh, ground).await
    }

    /// How many wait for a batch of this lane.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        let sender = self.sender(lane);
        sender.max_capacity() - sender.capacity()
    }

    fn sender(&self, lane: Lane) -> &mpsc::Sender<Job> {
        let [reads, changes, events] = &self.senders;
        match lane {
            Lane::Reads => reads,
            Lane::Changes => changes,
            Lane::Events => events,
        }
    }

    /// The lane answers within its deadline: no timer of the request's own is needed.
    async fn submit(
        &self,
        lane: Lane,
        notes: Vec<Noted>,
        change: Option<Change>,
        fresh: Vec<Fresh>,
        ground: Ground,
    ) -> Result<Recorded> {
        let (reply, answer) = oneshot::channel();
        let stats = self.stats.lane(lane);
        self.sender(lane)
            .try_send(Job {
                notes,
                change,
                fresh,
                ground,
                since: Instant::now(),
                reply,
            })
            .map_err(|_| {
                count(&stats.failures);
                Error::new(Code::AuditUnavailable, "The audit queue is full.")
            })?;
        match answer.await {
            Ok(Recorded::Failed(code)) => Err(Error::from(code)),
            Ok(recorded) => Ok(recorded),
            Err(_) => Err(Error::from(Code::AuditUnavailable)),
        }
    }
}
