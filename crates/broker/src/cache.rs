//! What the node knows: the newest revision it has seen, and caches that are right as of it.
//! Hits take no lock. Filling and learning of changes share one, so that no fill can outlive the change that voids it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strongroom_domain::row::Key;
use strongroom_domain::secret::Head;
use strongroom_domain::{Fence, Kind, Moved, Revision, Time, Touch, Version};
use tokio::sync::watch;

use crate::feed::Attendance;
use crate::flags::{Compiled, CompiledSets};
use crate::manifest::{Known, Manifest};
use crate::rows::Checked;
use crate::session::Session;
use crate::watch::Watchers;

/// A secret as it is cached: its checked head and, sealed, its current version.
pub(crate) struct CachedSecret {
    pub(crate) head: Checked<Head>,
    pub(crate) current: Option<Version>,
    /// The minute it was last read in.
    used: AtomicI64,
}

impl CachedSecret {
    pub(crate) fn new(head: Checked<Head>, current: Option<Version>) -> Self {
        Self {
            head,
            current,
            used: AtomicI64::new(0),
        }
    }

    /// Whether this is the first read of its minute.
    pub(crate) fn used_now(&self, now: Time) -> bool {
        let minute = now.minute().0;
        self.used.load(Ordering::Relaxed) < minute && self.used.fetch_max(minute, Ordering::Relaxed) < minute
    }
}

/// What a change of this node left.
#[derive(Clone)]
pub(crate) enum Fresh {
    Secret(Key, Arc<CachedSecret>),
    Manifest(Arc<Manifest>),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<CachedSecret>> for Bytes {
    fn weight(&self, key: &Key, secret: &Arc<CachedSecret>) -> u64 {
        let version = secret.current.as_ref().map_or(0, |version| version.sealed.len() + 256);
        (key.name.len() + 256 * secret.head.body.versions.len() + version + 512) as u64
    }
}

/// Changes remembered, so that a fence need only ask for what this node has not seen.
const RECENT: usize = 8192;

/// The newest changes this node has learned of: all of those above `floor`.
struct Recent {
    floor: Revision,
    touches: VecDeque<Touch>,
}

/// What changed after the oldest decision of a batch: each object's newest revision.
pub(crate) struct Touched {
    objects: HashMap<Key, Revision>,
    /// Decisions below this may have missed changes.
    floor: Revision,
}

impl Touched {
    pub(crate) fn add(&mut self, fence: &Fence) {
        match &fence.moved {
            // Whatever was decided before is in doubt, also where the newest revision fell.
            Moved::TooMany => self.floor = Revision(i64::MAX),
            Moved::Touches(touches) => {
                for touch in touches {
                    self.objects.insert(touch.key.clone(), touch.revision);
                }
            }
        }
    }

    /// Whether nothing that could matter to a decision at `decided_at` is in doubt, whatever it rests on.
    pub(crate) fn nothing_after(&self, decided_at: Revision) -> bool {
        self.objects.is_empty() && decided_at >= self.floor
    }

    pub(crate) fn forgotten(&self, decided_at: Revision) -> bool {
        decided_at < self.floor
    }

    pub(crate) fn after(&self, decided_at: Revision, key: &Key) -> bool {
        self.objects.get(key).is_some_and(|revision| *revision > decided_at)
    }
}

pub(crate) struct Node {
    revision: AtomicI64,
    learning: Mutex<Recent>,
    secrets: Cache<Key, Arc<CachedSecret>, Bytes>,
    sessions: Cache<[u8; 32], Arc<Session>>,
    manifests: Known,
    flag_sets: CompiledSets,
    watchers: Watchers,
    attendance: Arc<Attendance>,
    /// Says when something was learned.
    learned: watch::Sender<()>,
    /// The newest change of the ring that is not read yet; 0: none.
    ring_wanted: AtomicI64,
    /// When the last backup was taken, 0: never; and whether another was taken since that was read.
    last_backup: AtomicI64,
    backup_is_news: AtomicBool,
}

impl Node {
    pub(crate) fn new(secret_bytes: u64, sessions: usize, revision: Revision) -> Self {
        // An average secret's weight, to size the table; the bound itself is in bytes.
        let items = usize::try_from(secret_bytes / 1024).unwrap_or(1024).max(64);
        Self {
            revision: AtomicI64::new(revision.0),
            learning: Mutex::new(Recent {
                floor: revision,
                touches: VecDeque::new(),
            }),
            secrets: Cache::with_weighter(items, secret_bytes, Bytes),
            sessions: Cache::new(sessions.max(16)),
            manifests: Known::default(),
            flag_sets: CompiledSets::default(),
            watchers: Watchers::default(),
            attendance: Arc::default(),
            learned: watch::Sender::default(),
            ring_wanted: AtomicI64::new(0),
            last_backup: AtomicI64::new(0),
            backup_is_news: AtomicBool::new(true),
        }
    }

    /// Read before anything a decision rests on.
    pub(crate) fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    pub(crate) fn secret(&self, key: &Key) -> Option<Arc<CachedSecret>> {
        self.secrets.get(key)
    }

    pub(crate) fn session(&self, token: &[u8; 32]) -> Option<Arc<Session>> {
        self.sessions.get(token)
    }

    /// Keeps what was read in a snapshot at `read_at`, unless the node has learned of newer changes meanwhile.
    pub(crate) fn keep_secret(&self, key: Key, secret: Arc<CachedSecret>, read_at: Revision) {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        if read_at >= self.revision() {
            self.secrets.insert(key, secret);
        }
    }

    pub(crate) fn keep_session(&self, token: [u8; 32], session: Arc<Session>, read_at: Revision) {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        if read_at >= self.revision() {
            self.sessions.insert(token, session);
        }
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Who waits for changes.
    pub(crate) fn attendance(&self) -> &Arc<Attendance> {
        &self.attendance
    }

    pub(crate) fn learned(&self) -> watch::Receiver<()> {
        self.learned.subscribe()
    }

    /// The first changes that follow `since`, as far as the node remembers them all.
    pub(crate) fn after(&self, since: Revision, limit: usize) -> Option<Vec<Touch>> {
        let recent = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let start = recent.touches.partition_point(|touch| touch.revision <= since);
        (since >= recent.floor).then(|| recent.touches.range(start..).take(limit).cloned().collect())
    }

    pub(crate) fn manifests(&self) -> &Known {
        &self.manifests
    }

    pub(crate) fn flag_sets(&self) -> &CompiledSets {
        &self.flag_sets
    }

    pub(crate) fn keep_flag_set(&self, key: Key, compiled: Arc<Compiled>, read_at: Revision) {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        if read_at >= self.revision() {
            self.flag_sets.keep(key, compiled);
        }
    }

    pub(crate) fn keep_manifest(&self, manifest: Arc<Manifest>, read_at: Revision) {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        self.manifests.keep(manifest, read_at >= self.revision());
    }

    /// The newest revision, and what was learned since `decided_at`: what a fence need not ask for again.
    pub(crate) fn recent(&self, decided_at: Revision) -> (Revision, Touched) {
        let recent = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = recent
            .touches
            .iter()
            .rev()
            .take_while(|touch| touch.revision > decided_at);
        // From the newest: the first entry of an object is the one to keep.
        let mut objects = HashMap::new();
        for touch in newer {
            objects.entry(touch.key.clone()).or_insert(touch.revision);
        }
        (
            self.revision(),
            Touched {
                objects,
                floor: recent.floor,
            },
        )
    }

    /// Learns what changed after `since`, up to `fence.top`, and keeps secrets that are `fresh` as of that.
    pub(crate) fn learn(&self, since: Revision, fence: &Fence, fresh: impl IntoIterator<Item = Fresh>) {
        if fence.top < since {
            return self.fall_back(fence.top);
        }
        if fence.top <= self.revision() {
            return;
        }
        let mut recent = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.revision();
        // A gap below `since` would be changes nobody told us of: leave them to the next fence that starts lower.
        if since > known || fence.top <= known {
            return;
        }
        match &fence.moved {
            Moved::TooMany => {
                self.secrets.clear();
                self.sessions.clear();
                self.flag_sets.clear();
                self.manifests.doubt();
                self.want_ring(fence.top.0);
                self.backup_is_news.store(true, Ordering::Release);
                recent.touches.clear();
                recent.floor = fence.top;
            }
            Moved::Touches(touches) => {
                self.void(touches);
                recent
                    .touches
                    .extend(touches.iter().filter(|touch| touch.revision > known).cloned());
                while recent.touches.len() > RECENT {
                    if let Some(forgotten) = recent.touches.pop_front() {
                        recent.floor = forgotten.revision;
                    }
                }
            }
        }
        for fresh in fresh {
            match fresh {
                Fresh::Secret(key, secret) => self.secrets.insert(key, secret),
                Fresh::Manifest(manifest) => self.manifests.keep(manifest, true),
            }
        }
        self.revision.store(fence.top.0, Ordering::Release);
        drop(recent);
        match &fence.moved {
            Moved::TooMany => self.watchers.tell_all(),
            Moved::Touches(touches) => touches.iter().for_each(|touch| self.watchers.tell(&touch.key)),
        }
        self.learned.send_replace(());
    }

    /// Revisions never fall: the database was put back. Nothing that was learned of it holds, and nothing is served.
    fn fall_back(&self, top: Revision) {
        self.manifests.put_back(format!(
            "The database fell back from revision {} to {}.",
            self.revision().0,
            top.0
        ));
        self.start_anew(top);
    }

    /// Forgets all that was learned of the store: it is another one now, of this revision.
    pub(crate) fn start_anew(&self, top: Revision) {
        self.manifests.doubt();
        let mut recent = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        self.secrets.clear();
        self.sessions.clear();
        self.flag_sets.clear();
        self.want_ring(i64::MAX);
        self.backup_is_news.store(true, Ordering::Release);
        recent.touches.clear();
        recent.floor = top;
        self.revision.store(top.0, Ordering::Release);
        drop(recent);
        self.learned.send_replace(());
    }

    fn want_ring(&self, at: i64) {
        self.ring_wanted.fetch_max(at, Ordering::AcqRel);
    }

    /// Which change of the ring, if any, this node has not read yet.
    pub(crate) fn ring_change(&self) -> Option<i64> {
        let wanted = self.ring_wanted.load(Ordering::Acquire);
        (wanted > 0).then_some(wanted)
    }

    /// The ring was read after that change; a newer one stays wanted.
    pub(crate) fn ring_was_read(&self, change: i64) {
        let _ = self
            .ring_wanted
            .compare_exchange(change, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// When the last backup was taken.
    pub(crate) fn last_backup(&self) -> Option<Time> {
        let at = self.last_backup.load(Ordering::Relaxed);
        (at > 0).then_some(Time(at))
    }

    /// Whether it is to be read again: asked before it is read, so that what comes meanwhile stays news.
    pub(crate) fn backup_is_news(&self) -> bool {
        self.backup_is_news.swap(false, Ordering::AcqRel)
    }

    /// Of two who read it at once, the one that read less may come last.
    pub(crate) fn backup_was_read(&self, at: Option<Time>) {
        self.last_backup.fetch_max(at.map_or(0, |at| at.0), Ordering::Relaxed);
    }

    /// It could not be read.
    pub(crate) fn backup_stays_news(&self) {
        self.backup_is_news.store(true, Ordering::Release);
    }

    fn void(&self, touches: &[Touch]) {
        let mut grants = false;
        for touch in touches {
            match touch.key.kind {
                Kind::Secret => {
                    self.secrets.remove(&touch.key);
                }
                Kind::KeyRing => {
                    self.want_ring(touch.revision.0);
                    grants = true;
                }
                Kind::Backup => self.backup_is_news.store(true, Ordering::Release),
                Kind::Manifest => self.manifests.touched(touch),
                Kind::Flag | Kind::FlagSet => self.flag_sets.void(touch),
                _ => grants = true,
            }
        }
        if grants {
            self.sessions.retain(|_, session| {
                !touches
                    .iter()
                    .any(|touch| touch.key.kind != Kind::Secret && session.rests_on.contains(&touch.key))
            });
        }
    }
}
