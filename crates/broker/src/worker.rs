//! A lane's task: one batch in flight, group commit, and settling of what was lost on the way.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use strongroom_domain::audit::{Batch, EntryId, Lane, SealedBatch};
use strongroom_domain::{Change, Code, Fence, Outcome, Revision, Time};
use strongroom_ports::{StoreError, Verdict};
use tokio::sync::{mpsc, oneshot};

use crate::cache::{Fresh, Touched};
use crate::chain::Chain;
use crate::lanes::{Ground, Job, Noted, Recorded, Workshop};
use crate::stats::count;

/// Entries of one batch, and changes of one group.
const MAX_BATCH: usize = 2048;
const MAX_GROUP: usize = 512;
/// Rows after which a group is closed, so that no one writer takes the others past their deadline.
const MAX_ROWS: usize = 2048;
/// How long to wait before trying again to settle.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

impl From<Job> for Waiting {
    fn from(job: Job) -> Self {
        Self {
            notes: job.notes,
            fresh: job.fresh,
            ground: job.ground,
            entry: None,
            reply: job.reply,
        }
    }
}

pub(crate) struct Worker {
    lane: Lane,
    shop: Workshop,
    chain: Chain,
}

/// What became of a batch whose commit was not confirmed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settled {
    Committed,
    /// It was not and never will be: another stands in its place.
    Void,
}

/// A change's requester, while its group is under way.
struct Waiting {
    notes: Vec<Noted>,
    fresh: Vec<Fresh>,
    ground: Ground,
    /// The first of its entries in the batch that was sealed last; none: it is not in there.
    entry: Option<EntryId>,
    reply: oneshot::Sender<Recorded>,
}

impl Worker {
    pub(crate) fn new(lane: Lane, shop: Workshop, boot: i64) -> Self {
        Self {
            lane,
            shop,
            chain: Chain::new(boot, lane),
        }
    }

    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let limit = if self.lane == Lane::Changes {
            MAX_GROUP
        } else {
            MAX_BATCH
        };
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
            let mut group = Vec::new();
            let mut rows = 0;
            for job in changing {
                rows += job.change.as_ref().map_or(0, |change| change.writes.len());
                group.push(job);
                if rows >= MAX_ROWS {
                    rows = 0;
                    self.apply(std::mem::take(&mut group), &mut queue).await;
                }
            }
            if !group.is_empty() {
                self.apply(group, &mut queue).await;
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
        self.shop
            .node
            .recent(jobs.iter().map(|job| job.ground.decided_at).min().unwrap_or_default())
    }

    async fn record(&mut self, mut jobs: Vec<Job>, queue: &mut mpsc::Receiver<Job>) {
        let (since, mut touched) = self.known(&jobs);
        let now = self.shop.clock.now();
        // Of what changes nothing there is one note a job.
        let notes = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.notes));
        let (sealed, ids) = match self.chain.seal(&self.shop.keys.load(), now, notes) {
            Ok(sealed) => sealed,
            Err(error) => return self.fail(jobs, &error, Code::Internal),
        };
        let commit = self.shop.store.record(self.lane, now, &sealed, since);
        match tokio::time::timeout(self.shop.deadline, commit).await {
            Ok(Ok(fence)) => {
                self.committed(&sealed);
                self.learn(now, since, &fence, Vec::new());
                touched.add(&fence);
                for (job, entry) in jobs.into_iter().zip(ids) {
                    let recorded = self.judge(&job.ground, &touched, fence.db_now, entry);
                    let _ = job.reply.send(recorded);
                }
            }
            // The entries may be there; the answers were not checked, so none leaves. A connection that was merely stale is
            // settled at once, and its requests decide again.
            Ok(Err(StoreError::Unknown(_) | StoreError::BatchTaken)) => {
                let mut unsure: Vec<Waiting> = jobs.into_iter().map(Waiting::from).collect();
                self.settle(&sealed, queue, &mut unsure, Recorded::Failed(Code::AuditUnavailable))
                    .await;
                self.answer_all(unsure, Recorded::Moved);
            }
            Err(late) => {
                self.fail(jobs, &late, Code::AuditUnavailable);
                self.settle(&sealed, queue, &mut Vec::new(), Recorded::Unknown).await;
            }
            Ok(Err(error)) => self.fail(jobs, &error, Code::AuditUnavailable),
        }
    }

    async fn apply(&mut self, jobs: Vec<Job>, queue: &mut mpsc::Receiver<Job>) {
        let (since, mut touched) = self.known(&jobs);
        let now = self.shop.clock.now();
        let (group, mut waiting): (Vec<Change>, Vec<Waiting>) = jobs
            .into_iter()
            .filter_map(|mut job| Some((job.change.take()?, Waiting::from(job))))
            .unzip();
        let keys = self.shop.keys.load_full();
        let mut sealed: Option<SealedBatch> = None;
        let mut seal = |fence: &Fence, outcomes: &[Option<Outcome>]| {
            touched.add(fence);
            let standing = |at: usize| outcomes.get(at) == Some(&Some(Outcome::Applied));
            let moved: Vec<usize> = waiting
                .iter()
                .enumerate()
                .filter(|(at, waiting)| standing(*at) && waiting.ground.moved(&touched, fence.db_now))
                .map(|(at, _)| at)
                .collect();
            if !moved.is_empty() {
                return Verdict::Without(moved);
            }
            let notes = waiting
                .iter()
                .enumerate()
                .filter(|(at, _)| standing(*at))
                .flat_map(|(_, waiting)| waiting.notes.iter().cloned());
            match self.chain.seal(&keys, now, notes) {
                Ok((batch, ids)) => {
                    tell_entries(&mut waiting, ids, standing);
                    Verdict::Commit(sealed.insert(batch).clone())
                }
                Err(_) => Verdict::Abandon,
            }
        };
        let commit = self.shop.store.apply(self.lane, now, &group, since, &mut seal);
        let done = tokio::time::timeout(self.shop.deadline, commit).await;
        match (done, sealed) {
            (Ok(Ok(applied)), sealed) => {
                if let Some(sealed) = &sealed {
                    self.committed(sealed);
                }
                // Also where nothing went in: what is decided again must not rest on the same again.
                let fence = applied.fence.after(&group, &applied.outcomes);
                let fresh = fresh_of(&mut waiting, &applied.outcomes);
                self.learn(now, since, &fence, fresh);
                self.answer_each(waiting, applied.outcomes);
            }
            (Ok(Err(StoreError::Unknown(_))) | Err(_), Some(sealed)) => {
                self.find_out(sealed, waiting, queue).await;
            }
            // The number is taken: ours was refused whole, and the lane must find a free one.
            (Ok(Err(StoreError::BatchTaken)), Some(sealed)) => {
                self.answer_all(waiting, Recorded::Failed(Code::StoreUnavailable));
                self.settle(&sealed, queue, &mut Vec::new(), Recorded::Unknown).await;
            }
            // Without a batch nothing can have been committed.
            (failed, _) => {
                if let Ok(Err(error)) = &failed {
                    self.report(error);
                }
                let recorded = match failed {
                    Ok(Err(StoreError::Busy | StoreError::Unavailable(_))) => Recorded::Busy,
                    _ => Recorded::Failed(Code::StoreUnavailable),
                };
                self.answer_all(waiting, recorded);
            }
        }
    }

    fn answer_each(&self, waiting: Vec<Waiting>, outcomes: Vec<Option<Outcome>>) {
        for (waiting, outcome) in waiting.into_iter().zip(outcomes) {
            let recorded = match (outcome, waiting.entry) {
                (Some(Outcome::Applied), Some(entry)) => Recorded::Committed(entry),
                (Some(Outcome::Conflict), _) => Recorded::Conflict,
                _ => Recorded::Moved,
            };
            self.answer(waiting, recorded);
        }
    }

    /// Answers a group whose commit was sent and not confirmed.
    async fn find_out(&mut self, sealed: SealedBatch, waiting: Vec<Waiting>, queue: &mut mpsc::Receiver<Job>) {
        let (mut went_in, left_out): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| waiting.entry.is_some());
        self.answer_all(left_out, Recorded::Moved);
        let settled = self.settle(&sealed, queue, &mut went_in, Recorded::Unknown).await;
        for waiting in went_in {
            let recorded = match (settled, waiting.entry) {
                (Settled::Committed, Some(entry)) => Recorded::Committed(entry),
                _ => Recorded::Failed(Code::StoreUnavailable),
            };
            self.answer(waiting, recorded);
        }
    }

    fn answer_all(&self, waiting: impl IntoIterator<Item = Waiting>, recorded: Recorded) {
        for waiting in waiting {
            self.answer(waiting, recorded);
        }
    }

    fn answer(&self, waiting: Waiting, recorded: Recorded) {
        match recorded {
            Recorded::Committed(_) => count(&self.shop.stats.changes_applied),
            Recorded::Conflict | Recorded::Busy => count(&self.shop.stats.change_conflicts),
            Recorded::Moved => count(&self.shop.stats.withheld),
            Recorded::Failed(_) | Recorded::Unknown => {}
        }
        // A requester that went away needs no answer.
        let _ = waiting.reply.send(recorded);
    }

    fn judge(&self, ground: &Ground, touched: &Touched, db_now: Time, entry: EntryId) -> Recorded {
        if ground.moved(touched, db_now) {
            count(&self.shop.stats.withheld);
            Recorded::Moved
        } else {
            Recorded::Committed(entry)
        }
    }

    fn learn(&self, sent: Time, since: Revision, fence: &Fence, fresh: Vec<Fresh>) {
        self.shop.clock.observe(sent, fence.db_now);
        self.shop.node.learn(since, fence, fresh);
    }

    fn committed(&mut self, sealed: &SealedBatch) {
        self.chain.advance(&sealed.batch);
        let stats = self.shop.stats.lane(self.lane);
        count(&stats.batches);
        stats.entries.fetch_add(sealed.entries.len() as u64, Ordering::Relaxed);
    }

    /// Goes on until the store says what became of the batch: no other batch of this lane may start before. Those who
    /// are `unsure` of theirs are told `late` when it takes too long; those who wait behind are refused at their deadline.
    async fn settle(
        &mut self,
        lost: &SealedBatch,
        queue: &mut mpsc::Receiver<Job>,
        unsure: &mut Vec<Waiting>,
        late: Recorded,
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
                // No more than one batch: behind that the queue's own bound refuses.
                while behind.len() < MAX_BATCH
                    && let Ok(job) = queue.try_recv()
                {
                    behind.push(job);
                }
                behind = self.in_time(behind.into_iter()).collect();
                if began.elapsed() >= self.shop.deadline {
                    self.answer_all(unsure.drain(..), late);
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

    /// What became of the batch, and which batch stands in its place. The void one is made once: each try must find its own.
    async fn settle_now(&self, lost: &SealedBatch) -> (Settled, Batch) {
        let void = loop {
            match self.chain.void(&self.shop.keys.load(), self.shop.clock.now()) {
                Ok(void) => break void,
                Err(error) => self.report(&error),
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        };
        loop {
            let settle = self.shop.store.settle(self.lane, self.shop.clock.now(), &void);
            match tokio::time::timeout(self.shop.deadline, settle).await {
                Ok(Ok(mac)) if mac == lost.batch.mac => return (Settled::Committed, lost.batch.clone()),
                Ok(Ok(mac)) => {
                    if mac != void.batch.mac {
                        count(&self.shop.stats.integrity_failures);
                        tracing::error!(
                            batch = lost.batch.id.0,
                            "a batch that this node never made stands under its number"
                        );
                    }
                    return (Settled::Void, void.batch);
                }
                Ok(Err(error)) => self.report(&error),
                Err(_) => {}
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

/// Tells those whose change stands where its entries begin.
fn tell_entries(waiting: &mut [Waiting], ids: Vec<EntryId>, standing: impl Fn(usize) -> bool) {
    let mut ids = ids.into_iter();
    for (at, waiting) in waiting.iter_mut().enumerate() {
        let own = if standing(at) { waiting.notes.len() } else { 0 };
        waiting.entry = ids.by_ref().take(own).reduce(|first, _| first);
    }
}

/// What the changes that went in make of secrets.
fn fresh_of(waiting: &mut [Waiting], outcomes: &[Option<Outcome>]) -> Vec<Fresh> {
    let each = waiting.iter_mut().zip(outcomes);
    each.filter(|(_, outcome)| **outcome == Some(Outcome::Applied))
        .flat_map(|(waiting, _)| std::mem::take(&mut waiting.fresh))
        .collect()
}
