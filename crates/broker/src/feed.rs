//! The changes of all nodes, read once for all on this node that follow them. One task passes on what the node learned;
//! whoever is behind what is kept of that reads the store in pages, at its own pace.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use strongroom_domain::row::Key;
use strongroom_domain::watched::Watched;
use strongroom_domain::{Code, Error, Fence, Result, Revision, Touch};
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio::time::Instant;

use crate::{Broker, Inner};

/// Batches kept for those who are a little behind.
const KEPT: usize = 512;
/// What comes sooner after a batch makes the next one: many followers are woken no more often.
const GAP: Duration = Duration::from_millis(10);
/// Changes of one batch, or of one page of the store.
pub(crate) const PAGE: u16 = 1000;
/// A node that has heard of the database no later than this ago knows who may see what.
pub(crate) const FRESH: Duration = Duration::from_secs(1);
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How often a node that asks for nothing looks whether it still runs.
const IDLE: Duration = Duration::from_secs(10);

/// One change of one object.
#[derive(Debug)]
pub struct ChangeRow {
    pub touch: Touch,
    /// As watchers see it; none: they do not.
    pub watched: Option<Watched>,
}

/// Changes that follow each other, from one revision on.
#[derive(Debug)]
struct Batch {
    after: Revision,
    top: Revision,
    rows: Vec<ChangeRow>,
}

impl Batch {
    fn new(after: Revision, touches: Vec<Touch>) -> Self {
        let row = |touch| ChangeRow {
            watched: Watched::of(&touch),
            touch,
        };
        Self {
            after,
            top: touches.last().map_or(after, |touch| touch.revision),
            rows: touches.into_iter().map(row).collect(),
        }
    }
}

/// Those of a batch that a follower has not been given yet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    batch: Arc<Batch>,
    from: usize,
}

impl Changes {
    pub fn rows(&self) -> &[ChangeRow] {
        self.batch.rows.get(self.from..).unwrap_or_default()
    }

    /// The revision up to which nothing is missing.
    pub fn top(&self) -> Revision {
        self.batch.top
    }

    /// Whether one of these objects changed after that revision. What watchers are shown, nobody's rights rest on.
    pub(crate) fn touch_any(&self, objects: &[Key], after: Revision) -> bool {
        let granting = self.rows().iter().filter(|row| row.watched.is_none());
        granting
            .filter(|row| row.touch.revision > after)
            .any(|row| objects.contains(&row.touch.key))
    }
}

/// What followers are told.
#[derive(Debug, Clone)]
pub enum Passed {
    Changes(Changes),
    /// Changes were missed, for they are not kept or never were: it goes on from this revision.
    Anew(Revision),
}

#[derive(Debug, Clone)]
enum Told {
    Batch(Arc<Batch>),
    Anew(Revision),
}

/// How many on this node wait for changes: while anybody does, the node asks for them often.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    present: AtomicUsize,
    came: Notify,
}

/// One who waits.
#[derive(Debug)]
pub(crate) struct Attending(Arc<Attendance>);

impl Attendance {
    pub(crate) fn join(self: &Arc<Self>) -> Attending {
        if self.present.fetch_add(1, Ordering::AcqRel) == 0 {
            self.came.notify_one();
        }
        Attending(self.clone())
    }

    fn anybody(&self) -> bool {
        self.present.load(Ordering::Acquire) > 0
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(crate) struct Feed {
    passed: broadcast::Sender<Told>,
    /// When the database was asked last for changes that this node has learned of since.
    heard: watch::Sender<Instant>,
    /// One for each watcher.
    pub(crate) places: Arc<Semaphore>,
}

impl Feed {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            passed: broadcast::Sender::new(KEPT),
            heard: watch::Sender::new(Instant::now()),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.heard.borrow().elapsed() < FRESH
    }

    pub(crate) async fn fresh(&self) {
        let mut heard = self.heard.subscribe();
        // The sender lives as long as we do.
        let _ = heard.wait_for(|at| at.elapsed() < FRESH).await;
    }
}

/// One who is given every change from a revision on, each once and in order.
pub struct Follower {
    broker: Broker,
    at: Revision,
    /// Reads the store until it has come up with what is passed on.
    behind: bool,
    passed: broadcast::Receiver<Told>,
    _attending: Attending,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower at {:?}", self.at)
    }
}

impl Follower {
    /// The revision up to which all was given.
    pub fn at(&self) -> Revision {
        self.at
    }

    /// Whether it goes by the store, and not by what this node passes on.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// What comes next. One that was dropped while it waited has missed nothing.
    pub async fn next(&mut self) -> Result<Passed> {
        loop {
            if self.behind {
                if let Some(passed) = self.page().await? {
                    return Ok(passed);
                }
                continue;
            }
            match self.passed.recv().await {
                Ok(Told::Batch(batch)) if batch.after > self.at => self.behind = true,
                Ok(Told::Batch(batch)) if batch.top > self.at => {
                    let from = batch.rows.partition_point(|row| row.touch.revision <= self.at);
                    self.at = batch.top;
                    return Ok(Passed::Changes(Changes { batch, from }));
                }
                Ok(Told::Batch(_)) => {}
                Ok(Told::Anew(at)) => {
                    self.at = at;
                    return Ok(Passed::Anew(at));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return Err(Error::from(Code::Internal)),
            }
        }
    }

    /// One page of the store; none: there is nothing newer.
    pub(crate) async fn page(&mut self) -> Result<Option<Passed>> {
        let broker = &self.broker.0;
        let page = broker.store.changes(broker.clock.now(), self.at, PAGE);
        let found = self.broker.ask(page).await?;
        let Some(touches) = found.value else {
            self.behind = false;
            self.at = found.revision;
            return Ok(Some(Passed::Anew(self.at)));
        };
        self.behind = touches.len() == usize::from(PAGE);
        if touches.is_empty() {
            return Ok(None);
        }
        let batch = Arc::new(Batch::new(self.at, touches));
        self.at = batch.top;
        Ok(Some(Passed::Changes(Changes { batch, from: 0 })))
    }
}

impl Broker {
    /// Every change of every node and namespace after that revision; none: from now on. Nothing is filtered, and nothing
    /// recorded: it is for what shows nobody what it is given.
    pub async fn changes(&self, since: Option<Revision>) -> Result<Follower> {
        // First of all: what is committed from now on is passed on to it.
        let passed = self.0.feed.passed.subscribe();
        let attending = self.0.node.attendance().join();
        let at = match since {
            Some(since) => since,
            None => self.newest().await?,
        };
        Ok(Follower {
            broker: self.clone(),
            at,
            behind: since.is_some(),
            passed,
            _attending: attending,
        })
    }

    /// The newest revision there is.
    async fn newest(&self) -> Result<Revision> {
        let none = self.0.store.changes(self.0.clock.now(), Revision(0), 0);
        Ok(self.ask(none).await?.revision)
    }

    /// How many watch on this node.
    pub fn watchers(&self) -> usize {
        let places = self.0.feed.places.available_permits();
        self.0.settings.watch_streams.saturating_sub(places)
    }

    /// Passes on what the node knows above that revision; says up to where it did.
    async fn pass_on(&self, mut at: Revision) -> Revision {
        let (node, feed) = (&self.0.node, &self.0.feed);
        if feed.passed.receiver_count() == 0 {
            return node.revision();
        }
        if node.revision() < at {
            at = node.revision();
            let _ = feed.passed.send(Told::Anew(at));
        }
        while at < node.revision() {
            let touches = match node.after(at, PAGE.into()) {
                Some(touches) => touches,
                None => match self.ask(self.0.store.changes(self.0.clock.now(), at, PAGE)).await {
                    Ok(found) => match found.value {
                        Some(touches) => touches,
                        None => {
                            at = found.revision;
                            let _ = feed.passed.send(Told::Anew(at));
                            continue;
                        }
                    },
                    Err(_) => return at,
                },
            };
            let batch = Batch::new(at, touches);
            if batch.top == at {
                return at;
            }
            at = batch.top;
            let _ = feed.passed.send(Told::Batch(Arc::new(batch)));
        }
        at
    }

    /// Asks for changes of other nodes, and learns of them.
    async fn look(&self) {
        let (asked, sent, since) = (Instant::now(), self.0.clock.now(), self.0.node.revision());
        let Ok(found) = self.ask(self.0.store.touches(sent, since, PAGE)).await else {
            return;
        };
        self.0.clock.observe(sent, found.db_now);
        let fence = Fence {
            db_now: found.db_now,
            top: found.revision,
            moved: found.value,
        };
        self.0.node.learn(since, &fence, []);
        self.0.feed.heard.send_replace(asked);
    }
}

/// Passes on to followers what the node learns.
pub(crate) async fn run(inner: Weak<Inner>) {
    let Some((mut learned, mut at)) = inner
        .upgrade()
        .map(|inner| (inner.node.learned(), inner.node.revision()))
    else {
        return;
    };
    while learned.changed().await.is_ok() {
        loop {
            let Some(inner) = inner.upgrade() else { return };
            at = Broker::new(inner.clone()).pass_on(at).await;
            let done = at == inner.node.revision();
            drop(inner);
            tokio::time::sleep(if done { GAP } else { TRY_AGAIN }).await;
            if done {
                break;
            }
        }
    }
}

/// Learns of other nodes' changes: often while anybody waits for them, else now and then, so that caches are warm before a
/// fence finds out.
pub(crate) async fn poll(inner: Weak<Inner>) {
    let mut warmed = Instant::now();
    loop {
        let Some(strong) = inner.upgrade() else { return };
        let (usual, often) = (strong.settings.poll, strong.settings.watch_poll);
        let attendance = strong.node.attendance().clone();
        drop(strong);
        if attendance.anybody() {
            tokio::time::sleep(usual.map_or(often, |usual| usual.min(often))).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(usual.unwrap_or(IDLE)) => {}
                () = attendance.came.notified() => {}
            }
        }
        let Some(strong) = inner.upgrade() else { return };
        if usual.is_none() && !attendance.anybody() {
            continue;
        }
        let broker = Broker::new(strong);
        broker.look().await;
        if usual.is_some_and(|usual| warmed.elapsed() >= usual) {
            warmed = Instant::now();
            if let Err(error) = broker.look_again().await {
                tracing::debug!(?error, "the manifest could not be looked at");
            }
            broker.learn_last_backup().await;
        }
    }
}
