//! The three ways into the log. Each is one task with one batch in flight: what arrives meanwhile makes the next batch,
//! which starts the moment the last one ends. The queue is bounded; past the bound or the deadline a request is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use strongroom_crypto::Keys;
use strongroom_domain::audit::{Entry, Lane, SealedBatch};
use strongroom_domain::row::Key;
use strongroom_domain::{Change, Code, Error, Fence, Moved, Outcome, Result, Revision, Time, Touch};
use strongroom_ports::{Settled, Store, StoreError, Verdict};
use tokio::sync::{mpsc, oneshot};

use crate::cache::{Node, Touched};
use crate::chain::Chain;
use crate::clock::NodeClock;
use crate::session::Session;
use crate::stats::{Stats, count};

/// Entries of one batch, and changes of one group.
const MAX_BATCH: usize = 2048;
const MAX_GROUP: usize = 512;
/// How long to wait before trying again to settle.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// An entry with what stands beside it in clear.
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
}

impl Ground {
    /// Whether a change after the decision, or an expiry, touches it.
    fn moved(&self, touched: &Touched, db_now: Time) -> bool {
        let session = self.session.as_deref();
        if session.is_some_and(|session| session.expired(db_now)) {
            return true;
        }
        if touched.nothing_after(self.decided_at) {
            return false;
        }
        let rests_on = session.map_or(&[][..], |session| session.rests_on.as_slice());
        touched.forgotten(self.decided_at)
            || self.objects.iter().chain(rests_on).any(|key| touched.after(self.decided_at, key))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    Committed,
    /// The ground moved: decide again.
    Moved,
    /// A row was not as the change expected: decide again.
    Conflict,
    /// The store could not make it durable; nothing was written.
    Failed(Code),
}

/// Whether a job may still be called off.
#[derive(Debug, Default)]
struct Claim(AtomicU8);

impl Claim {
    fn take(&self, by: u8) -> bool {
        self.0.compare_exchange(0, by, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The lane begins with it.
    fn start(&self) -> bool {
        self.take(1)
    }

    /// The requester gives up; true when nothing has been begun.
    fn cancel(&self) -> bool {
        self.take(2)
    }
}

struct Job {
    notes: Vec<Noted>,
    change: Option<Change>,
    ground: Ground,
    claim: Arc<Claim>,
    reply: oneshot::Sender<Recorded>,
}

pub(crate) struct Lanes {
    senders: [mpsc::Sender<Job>; 3],
    deadline: Duration,
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
            let worker = Worker { lane, shop: workshop.clone(), chain: Chain::new(boot, lane) };
            tokio::spawn(worker.run(receiver));
            sender
        });
        Self { senders, deadline: workshop.deadline, stats: workshop.stats.clone() }
    }

    /// Makes an entry durable, and says whether what the answer rests on still holds.
    pub(crate) async fn record(&self, lane: Lane, note: Noted, ground: Ground) -> Result<Recorded> {
        self.submit(lane, vec![note], None, ground).await?.ok_or_else(|| Error::from(Code::AuditUnavailable))
    }

    /// Commits a change with its entries. `None`: sent, and not known within the deadline.
    pub(crate) async fn change(&self, notes: Vec<Noted>, change: Change, ground: Ground) -> Result<Option<Recorded>> {
        let lane = if change.touches.is_empty() { Lane::Events } else { Lane::Changes };
        self.submit(lane, notes, Some(change), ground).await
    }

    async fn submit(
        &self,
        lane: Lane,
        notes: Vec<Noted>,
        change: Option<Change>,
        ground: Ground,
    ) -> Result<Option<Recorded>> {
        let [reads, changes, events] = &self.senders;
        let sender = match lane {
            Lane::Reads => reads,
            Lane::Changes => changes,
            Lane::Events => events,
        };
        let (reply, answer) = oneshot::channel();
        let claim = Arc::new(Claim::default());
        let job = Job { notes, change, ground, claim: claim.clone(), reply };
        let stats = self.stats.lane(lane);
        sender.try_send(job).map_err(|_| {
            count(&stats.failures);
            Error::new(Code::AuditUnavailable, "The audit queue is full.")
        })?;
        stats.queued.fetch_add(1, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.deadline, answer).await;
        stats.queued.fetch_sub(1, Ordering::Relaxed);
        match answer {
            Ok(Ok(Recorded::Failed(code))) => Err(Error::from(code)),
            Ok(Ok(recorded)) => Ok(Some(recorded)),
            Ok(Err(_)) => Err(Error::from(Code::AuditUnavailable)),
            Err(_) if claim.cancel() => {
                count(&stats.failures);
                Err(Error::new(Code::AuditUnavailable, "The audit record was not durable within the deadline."))
            }
            Err(_) => Ok(None),
        }
    }
}

struct Worker {
    lane: Lane,
    shop: Workshop,
    chain: Chain,
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Job>) {
        let mut jobs = Vec::new();
        loop {
            let limit = if self.lane == Lane::Changes { MAX_GROUP } else { MAX_BATCH };
            if receiver.recv_many(&mut jobs, limit).await == 0 {
                return;
            }
            let started: Vec<Job> = jobs.drain(..).filter(|job| job.claim.start()).collect();
            if started.is_empty() {
                continue;
            }
            let (plain, changing): (Vec<Job>, Vec<Job>) = started.into_iter().partition(|job| job.change.is_none());
            if !plain.is_empty() {
                self.record(plain).await;
            }
            if !changing.is_empty() {
                self.apply(changing).await;
            }
        }
    }

    /// From where the fence must ask, and what this node knows of already.
    fn known(&self, jobs: &[Job]) -> (Revision, Touched) {
        self.shop.node.recent(jobs.iter().map(|job| job.ground.decided_at).min().unwrap_or_default())
    }

    async fn record(&mut self, jobs: Vec<Job>) {
        let (since, mut touched) = self.known(&jobs);
        let now = self.shop.clock.now();
        let sealed = match self.chain.seal(&self.shop.keys.load(), now, jobs.iter().flat_map(|job| &job.notes)) {
            Ok(sealed) => sealed,
            Err(error) => return self.fail(jobs, &error, Code::Internal),
        };
        let commit = self.shop.store.record(self.lane, now, &sealed, since);
        match tokio::time::timeout(self.shop.deadline, commit).await {
            Ok(Ok(fence)) => {
                self.committed(&sealed, now, since, &fence);
                touched.add(&fence);
                for job in jobs {
                    let recorded = self.judge(&job.ground, &touched, fence.db_now);
                    let _ = job.reply.send(recorded);
                }
            }
            Ok(Err(StoreError::Unknown(_))) | Err(_) => {
                // Committed without its fence is as good as moved: the answer was not checked.
                let settled = self.settle(&sealed).await;
                for job in jobs {
                    let recorded = match settled {
                        Settled::Committed => Recorded::Moved,
                        Settled::Void => Recorded::Failed(Code::AuditUnavailable),
                    };
                    let _ = job.reply.send(recorded);
                }
            }
            Ok(Err(error)) => self.fail(jobs, &error, Code::AuditUnavailable),
        }
    }

    async fn apply(&mut self, jobs: Vec<Job>) {
        let (since, mut touched) = self.known(&jobs);
        let now = self.shop.clock.now();
        let mut group = Vec::with_capacity(jobs.len());
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs {
            if let Some(change) = job.change {
                group.push(change);
                waiting.push((job.notes, job.ground, job.reply));
            }
        }
        let keys = self.shop.keys.load_full();
        let mut sealed: Option<SealedBatch> = None;
        let mut seal = |fence: &Fence, outcomes: &[Option<Outcome>]| {
            touched.add(fence);
            let standing = |at: usize| outcomes.get(at) == Some(&Some(Outcome::Applied));
            let moved: Vec<usize> = waiting
                .iter()
                .enumerate()
                .filter(|(at, (_, ground, _))| standing(*at) && ground.moved(&touched, fence.db_now))
                .map(|(at, _)| at)
                .collect();
            if !moved.is_empty() {
                return Verdict::Without(moved);
            }
            let notes = waiting.iter().enumerate().filter(|(at, _)| standing(*at)).flat_map(|(_, (notes, _, _))| notes);
            match self.chain.seal(&keys, now, notes) {
                Ok(batch) => Verdict::Commit(sealed.insert(batch).clone()),
                Err(_) => Verdict::Abandon,
            }
        };
        let commit = self.shop.store.apply(self.lane, now, &group, since, &mut seal);
        let done = tokio::time::timeout(self.shop.deadline, commit).await;
        let unknown = matches!(done, Ok(Err(StoreError::Unknown(_))) | Err(_));
        match (done, sealed) {
            (Ok(Ok(applied)), sealed) => {
                if let Some(sealed) = &sealed {
                    let fence = with_own_touches(&applied.fence, &group, &applied.outcomes);
                    self.committed(sealed, now, since, &fence);
                }
                for ((_, _, reply), outcome) in waiting.into_iter().zip(applied.outcomes) {
                    let recorded = match outcome {
                        Some(Outcome::Applied) => Recorded::Committed,
                        Some(Outcome::Conflict) => Recorded::Conflict,
                        None => Recorded::Moved,
                    };
                    self.tally(recorded);
                    let _ = reply.send(recorded);
                }
            }
            (_, Some(sealed)) if unknown => {
                let settled = self.settle(&sealed).await;
                let in_batch: Vec<_> = sealed.entries.iter().map(|stored| stored.entry.request).collect();
                for (notes, _, reply) in waiting {
                    let went_in = notes.first().is_some_and(|note| in_batch.contains(&note.entry.request));
                    let recorded = match settled {
                        Settled::Committed if went_in => Recorded::Committed,
                        Settled::Committed => Recorded::Moved,
                        Settled::Void => Recorded::Failed(Code::StoreUnavailable),
                    };
                    let _ = reply.send(recorded);
                }
            }
            // Without a batch nothing can have been committed.
            (failed, _) => {
                let busy = matches!(failed, Ok(Err(StoreError::Busy)));
                if let Ok(Err(error)) = failed {
                    self.report(&error);
                }
                for (_, _, reply) in waiting {
                    let recorded = if busy { Recorded::Conflict } else { Recorded::Failed(Code::StoreUnavailable) };
                    let _ = reply.send(recorded);
                }
            }
        }
    }

    fn tally(&self, recorded: Recorded) {
        match recorded {
            Recorded::Committed => count(&self.shop.stats.changes_applied),
            Recorded::Conflict => count(&self.shop.stats.change_conflicts),
            Recorded::Moved => count(&self.shop.stats.withheld),
            Recorded::Failed(_) => {}
        }
    }

    fn judge(&self, ground: &Ground, touched: &Touched, db_now: Time) -> Recorded {
        if ground.moved(touched, db_now) {
            count(&self.shop.stats.withheld);
            Recorded::Moved
        } else {
            Recorded::Committed
        }
    }

    fn committed(&mut self, sealed: &SealedBatch, sent: Time, since: Revision, fence: &Fence) {
        self.chain.advance(&sealed.batch);
        self.shop.clock.observe(sent, fence.db_now);
        self.shop.node.learn(since, fence);
        let stats = self.shop.stats.lane(self.lane);
        count(&stats.batches);
        stats.entries.fetch_add(sealed.entries.len() as u64, Ordering::Relaxed);
    }

    /// Goes on until the store says what became of the batch: no other batch of this lane may start before.
    async fn settle(&mut self, lost: &SealedBatch) -> Settled {
        count(&self.shop.stats.lane(self.lane).settled);
        loop {
            let now = self.shop.clock.now();
            if let Ok(void) = self.chain.void(&self.shop.keys.load(), now) {
                let settle = self.shop.store.settle(self.lane, now, &void);
                match tokio::time::timeout(self.shop.deadline, settle).await {
                    Ok(Ok(Settled::Committed)) => {
                        self.chain.advance(&lost.batch);
                        return Settled::Committed;
                    }
                    Ok(Ok(Settled::Void)) => {
                        self.chain.advance(&void.batch);
                        return Settled::Void;
                    }
                    Ok(Err(error)) => self.report(&error),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    fn report(&self, error: &dyn std::fmt::Debug) {
        count(&self.shop.stats.lane(self.lane).failures);
        tracing::warn!(lane = ?self.lane, ?error, "a batch was not committed");
    }

    fn fail(&self, jobs: Vec<Job>, error: &dyn std::fmt::Debug, code: Code) {
        self.report(error);
        for job in jobs {
            let _ = job.reply.send(Recorded::Failed(code));
        }
    }
}

/// The fence after a commit of ours: what moved before it, and what it moved itself.
fn with_own_touches(fence: &Fence, group: &[Change], outcomes: &[Option<Outcome>]) -> Fence {
    let mut top = fence.top;
    let mut own = Vec::new();
    for (change, outcome) in group.iter().zip(outcomes) {
        if *outcome == Some(Outcome::Applied) {
            for touch in &change.touches {
                top = Revision(top.0 + 1);
                own.push(Touch { revision: top, ..touch.clone() });
            }
        }
    }
    let moved = match &fence.moved {
        Moved::TooMany => Moved::TooMany,
        Moved::Touches(touches) => Moved::Touches(touches.iter().cloned().chain(own).collect()),
    };
    Fence { db_now: fence.db_now, top, moved }
}
