//! The three ways into the log. Each is one task with one batch in flight: what arrives meanwhile makes the next batch,
//! which starts the moment the last one ends. The queue is bounded; past the bound or the deadline a request is refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use strongroom_crypto::Keys;
use strongroom_domain::audit::{Batch, Entry, Lane, SealedBatch};
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
    /// The store could not make it durable in time; nothing was shown, and of a change nothing was written.
    Failed(Code),
    /// A change was sent, and whether it was committed is not known in time.
    Unknown,
}

struct Job {
    notes: Vec<Noted>,
    change: Option<Change>,
    ground: Ground,
    since: Instant,
    reply: oneshot::Sender<Recorded>,
}

pub(crate) struct Lanes {
    senders: [mpsc::Sender<Job>; 3],
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
        Self { senders, stats: workshop.stats.clone() }
    }

    /// Makes an entry durable, and says whether what the answer rests on still holds.
    pub(crate) async fn record(&self, lane: Lane, note: Noted, ground: Ground) -> Result<Recorded> {
        self.submit(lane, vec![note], None, ground).await
    }

    /// Commits a change with its entries.
    pub(crate) async fn change(&self, notes: Vec<Noted>, change: Change, ground: Ground) -> Result<Recorded> {
        let lane = if change.touches.is_empty() { Lane::Events } else { Lane::Changes };
        self.submit(lane, notes, Some(change), ground).await
    }

    /// The lane answers within its deadline: no timer of the request's own is needed.
    async fn submit(&self, lane: Lane, notes: Vec<Noted>, change: Option<Change>, ground: Ground) -> Result<Recorded> {
        let [reads, changes, events] = &self.senders;
        let sender = match lane {
            Lane::Reads => reads,
            Lane::Changes => changes,
            Lane::Events => events,
        };
        let (reply, answer) = oneshot::channel();
        let stats = self.stats.lane(lane);
        sender.try_send(Job { notes, change, ground, since: Instant::now(), reply }).map_err(|_| {
            count(&stats.failures);
            Error::new(Code::AuditUnavailable, "The audit queue is full.")
        })?;
        stats.queued.fetch_add(1, Ordering::Relaxed);
        let answer = answer.await;
        stats.queued.fetch_sub(1, Ordering::Relaxed);
        match answer {
            Ok(Recorded::Failed(code)) => Err(Error::from(code)),
            Ok(recorded) => Ok(recorded),
            Err(_) => Err(Error::from(Code::AuditUnavailable)),
        }
    }
}

struct Worker {
    lane: Lane,
    shop: Workshop,
    chain: Chain,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let limit = if self.lane == Lane::Changes { MAX_GROUP } else { MAX_BATCH };
        let mut jobs = Vec::new();
        loop {
            if queue.recv_many(&mut jobs, limit).await == 0 {
                return;
            }
            let (plain, changing): (Vec<Job>, Vec<Job>) =
                self.in_time(jobs.drain(..)).partition(|job| job.change.is_none());
            if !plain.is_empty() {
                self.record(plain, &mut queue).await;
            }
            if !changing.is_empty() {
                self.apply(changing, &mut queue).await;
            }
        }
    }

    /// Refuses what has waited past the deadline: nothing of it was begun.
    fn in_time(&self, jobs: impl Iterator<Item = Job>) -> impl Iterator<Item = Job> {
        let (deadline, stats) = (self.shop.deadline, self.shop.stats.clone());
        let lane = self.lane;
        jobs.filter_map(move |job| {
            if job.since.elapsed() < deadline {
                return Some(job);
            }
            count(&stats.lane(lane).failures);
            let _ = job.reply.send(Recorded::Failed(Code::AuditUnavailable));
            None
        })
    }

    /// From where the fence must ask, and what this node knows of already.
    fn known(&self, jobs: &[Job]) -> (Revision, Touched) {
        self.shop.node.recent(jobs.iter().map(|job| job.ground.decided_at).min().unwrap_or_default())
    }

    async fn record(&mut self, mut jobs: Vec<Job>, queue: &mut mpsc::Receiver<Job>) {
        let (since, mut touched) = self.known(&jobs);
        let now = self.shop.clock.now();
        let sealed = match self.chain.seal(&self.shop.keys.load(), now, jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.notes))) {
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
            // The entries may be there; the answers were not checked, so none leaves.
            Ok(Err(StoreError::Unknown(_))) | Err(_) => {
                for job in jobs {
                    let _ = job.reply.send(Recorded::Failed(Code::AuditUnavailable));
                }
                self.settle(&sealed, queue, &mut Vec::new()).await;
            }
            Ok(Err(error)) => self.fail(jobs, &error, Code::AuditUnavailable),
        }
    }

    async fn apply(&mut self, jobs: Vec<Job>, queue: &mut mpsc::Receiver<Job>) {
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
            let notes = waiting.iter().enumerate().filter(|(at, _)| standing(*at)).flat_map(|(_, (notes, _, _))| notes.iter().cloned());
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
                let in_batch: Vec<_> = sealed.entries.iter().map(|stored| stored.entry.request).collect();
                let mut replies = Vec::with_capacity(waiting.len());
                for (notes, _, reply) in waiting {
                    if notes.first().is_some_and(|note| in_batch.contains(&note.entry.request)) {
                        replies.push(reply);
                    } else {
                        let _ = reply.send(Recorded::Moved);
                    }
                }
                let settled = self.settle(&sealed, queue, &mut replies).await;
                for reply in replies {
                    let recorded = match settled {
                        Settled::Committed => Recorded::Committed,
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
            Recorded::Failed(_) | Recorded::Unknown => {}
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

    /// Goes on until the store says what became of the batch: no other batch of this lane may start before. Those whose
    /// change it was are told `Unknown` when it takes too long; those who wait behind are refused at their deadline.
    async fn settle(
        &mut self,
        lost: &SealedBatch,
        queue: &mut mpsc::Receiver<Job>,
        replies: &mut Vec<oneshot::Sender<Recorded>>,
    ) -> Settled {
        count(&self.shop.stats.lane(self.lane).settled);
        let began = Instant::now();
        let mut behind = Vec::new();
        let (settled, committed) = {
            let settling = self.settle_now(lost);
            tokio::pin!(settling);
            loop {
                tokio::select! {
                    done = &mut settling => break done,
                    () = tokio::time::sleep(SETTLE_PAUSE) => {}
                }
                while let Ok(job) = queue.try_recv() {
                    behind.push(job);
                }
                behind = self.in_time(behind.into_iter()).collect();
                if began.elapsed() >= self.shop.deadline {
                    for reply in replies.drain(..) {
                        let _ = reply.send(Recorded::Unknown);
                    }
                }
            }
        };
        self.chain.advance(&committed);
        // Nothing of these was begun: their requests decide again.
        for job in behind {
            let _ = job.reply.send(Recorded::Moved);
        }
        settled
    }

    /// What became of the batch, and which batch stands in its place.
    async fn settle_now(&self, lost: &SealedBatch) -> (Settled, Batch) {
        loop {
            let now = self.shop.clock.now();
            if let Ok(void) = self.chain.void(&self.shop.keys.load(), now) {
                let settle = self.shop.store.settle(self.lane, now, &void);
                match tokio::time::timeout(self.shop.deadline, settle).await {
                    Ok(Ok(Settled::Committed)) => return (Settled::Committed, lost.batch.clone()),
                    Ok(Ok(Settled::Void)) => return (Settled::Void, void.batch),
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
