//! Opening an installation: the root key opens a slot, the slot the ring, and only then is anything else believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use strongroom_crypto::{CryptoError, Issuer, Keys, SlotBody, SlotPlace, Unlock};
use strongroom_domain::audit::{BatchId, Lane};
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::NamespaceBody;
use strongroom_domain::ids::RequestId;
use strongroom_domain::{Code, Error, Kind, NamespaceId, ObjectId, Rate, Record, Result, Revision, SlotMethod, Time};
use strongroom_ports::{At, BootRow, Clock, Connectors, Entropy, Store, Upkeep, UpkeepDone};
use tokio::sync::Semaphore;

use crate::allowances::Allowances;
use crate::cache::Node;
use crate::clock::NodeClock;
use crate::feed::Feed;
use crate::hold::held_since;
use crate::initialise::{RING, ROOT};
use crate::keys::check_keys;
use crate::lanes::{Lanes, Workshop};
use crate::locks::Locks;
use crate::login_delay::LoginDelay;
use crate::outside::Outside;
use crate::passwords::Passwords;
use crate::rows::store_failed;
use crate::stats::Stats;
use crate::strays::Strays;
use crate::turns::Turns;
use crate::uses::Uses;
use crate::{Broker, Inner, Ring, jobs};

/// What a node is told by its configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What this node is called in the log.
    pub node: String,
    pub issuer: Issuer,
    /// How long an answer may wait for its entry.
    pub audit_deadline: Duration,
    /// Requests that may wait for a batch, a lane.
    pub audit_queue: usize,
    /// The largest payload taken.
    pub payload_bytes: usize,
    /// Versions kept of a secret that does not say so itself.
    pub max_versions: u32,
    /// Bound of the cache of sealed secrets.
    pub secret_cache_bytes: u64,
    /// Bound of the cache of verified tokens.
    pub session_cache: usize,
    /// How often to ask for changes, to keep caches warm. They are right without it.
    pub poll: Option<Duration>,
    /// How often to ask for them while anybody waits for one.
    pub watch_poll: Duration,
    /// How many may watch at once.
    pub watch_streams: usize,
    /// How often a principal may ask.
    pub per_identity: Option<Rate>,
    /// The longest time that a login waits for those that failed before it.
    pub login_delay: Duration,
}

pub type Opened = Broker;

/// Whether the node can serve.
#[derive(Debug, Clone)]
pub struct Health {
    pub ready: bool,
    /// Why not, and what to do.
    pub problems: Vec<String>,
    /// What somebody has to do though it serves.
    pub warnings: Vec<String>,
}

/// Offset errors above this make expiry unreliable.
const MAX_UNCERTAINTY: i64 = 1_000_000;

fn caches(settings: &Settings, revision: Revision) -> Node {
    Node::new(settings.secret_cache_bytes, settings.session_cache, revision)
}

impl Broker {
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        connectors: Connectors,
        unlock: &Unlock,
        settings: Settings,
    ) -> Result<Opened> {
        let now = clock.now();
        let Unlocked {
            slots,
            ring,
            keys,
            namespace,
        } = unlock_store(&store, now, unlock).await?;
        let (opened_by, clock) = (slot_of(unlock, &slots.value, &keys)?, Arc::new(NodeClock::new(clock)));
        clock.observe(now, slots.db_now);
        // Before anything is recorded: a partition made under an insert refuses it.
        store.upkeep(now, Upkeep::MakePartitions).await.map_err(store_failed)?;
        let boot = register(&store, &clock, &keys, &settings.node).await?;
        let node = Arc::new(caches(&settings, slots.revision));
        let (stats, keys) = (Arc::new(Stats::default()), Arc::new(ArcSwap::from_pointee(keys)));
        let workshop = Workshop {
            store: store.clone(),
            clock: clock.clone(),
            keys: keys.clone(),
            node: node.clone(),
            stats: stats.clone(),
            deadline: settings.audit_deadline,
        };
        let broker = Self::new(Arc::new(Inner {
            lanes: Lanes::start(&workshop, boot, settings.audit_queue),
            store,
            clock,
            start: entropy.bytes(),
            requests: AtomicU64::new(1),
            entropy,
            ring: Ring {
                keys,
                id: ring.id,
                slot: opened_by,
            },
            root: namespace,
            node,
            feed: Feed::new(settings.watch_streams),
            locks: Locks::default(),
            uses: Uses::default(),
            counts: Arc::default(),
            extent: ArcSwapOption::empty(),
            rotations: ArcSwap::default(),
            leases: ArcSwap::default(),
            turns: Turns::default(),
            strays: Strays::default(),
            passwords: Passwords::default(),
            connectors,
            outside: Outside::default(),
            login_delay: LoginDelay::new(settings.login_delay),
            asked: Allowances::default(),
            backing_up: Semaphore::new(1),
            stats,
            settings,
        }));
        broker.check_start().await?;
        broker.learn_last_backup().await;
        jobs::start(&broker);
        Ok(broker)
    }

    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// How many requests wait for a batch of this lane.
    pub fn audit_queue(&self, lane: Lane) -> usize {
        self.0.lanes.waiting(lane)
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// The newest revision this node has seen.
    pub fn revision(&self) -> i64 {
        self.0.node.revision().0
    }

    /// Data keys in the ring: the one that seals, and those that still open.
    pub fn data_keys(&self) -> usize {
        self.0.ring.keys.load().count_data_epochs()
    }

    /// As this node saw it last; it looks now and then.
    pub fn extent(&self) -> Option<Extent> {
        self.0.extent.load().as_deref().copied()
    }

    pub(crate) async fn measure(&self) -> Result<()> {
        let extent = extent(&self.0.store, self.0.clock.now()).await?;
        self.0.extent.store(Some(Arc::new(extent)));
        Ok(())
    }

    /// A request's id: this start's random half and a count. Unique, and no secret.
    pub fn request_id(&self) -> RequestId {
        let count = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 16];
        let (start, number) = id.split_at_mut(8);
        start.copy_from_slice(&self.0.start);
        number.copy_from_slice(&count.to_be_bytes());
        RequestId(id)
    }

    pub async fn health(&self) -> Health {
        let mut problems = Vec::new();
        if let Err(error) = self.look_again().await {
            let next = match error.code {
                Code::StoreUnavailable => "Check that the database runs and accepts us, its load and its disk.",
                code => code.help(),
            };
            problems.push(format!(
                "{} {next}",
                error.detail.trim_end_matches('.').to_owned() + "."
            ));
        }
        if self.0.clock.uncertainty_micros() > MAX_UNCERTAINTY {
            problems.push("The database answers too slowly to tell the time by: check the network to it.".into());
        }
        Health {
            ready: problems.is_empty(),
            problems,
            warnings: self.hold_seen().into_iter().collect(),
        }
    }
}

/// An installation's keys and what they were opened by, all checked.
struct Unlocked {
    slots: At<Vec<Record>>,
    ring: Record,
    keys: Keys,
    namespace: NamespaceId,
}

async fn unlock_store(store: &Arc<dyn Store>, now: Time, unlock: &Unlock) -> Result<Unlocked> {
    let slots = store.of_kind(now, Kind::KeySlot).await.map_err(store_failed)?;
    if slots.value.is_empty() {
        return Err(Error::from(Code::Uninitialised));
    }
    let rings = store.of_kind(now, Kind::KeyRing).await.map_err(store_failed)?.value;
    let ring = rings
        .into_iter()
        .find(|ring| ring.name == RING)
        .ok_or_else(|| tampered("the key ring is gone"))?;
    let keys = open_ring(unlock, &slots.value, &ring, store.schema().writes()).map_err(|error| match error {
        RingError::Broken(error) => error,
        RingError::WrongKey => Error::new(
            Code::IntegrityFailed,
            format!(
                "The {0} does not open this installation: it is another installation's, or the database is, or its slot \
                 was removed. Nothing was read or changed. Give the {0} that was made for this database.",
                unlock.method()
            ),
        ),
    })?;
    let namespace = find_root(store, &keys, now).await?;
    Ok(Unlocked {
        slots,
        ring,
        keys,
        namespace,
    })
}

fn slot_of(unlock: &Unlock, slots: &[Record], keys: &Keys) -> Result<Option<ObjectId>> {
    for slot in slots {
        let body: SlotBody = serde_json::from_slice(&slot.body).map_err(|_| tampered("a key slot is malformed"))?;
        let place = SlotPlace {
            namespace: slot.namespace,
            row: slot.id,
        };
        if body.method() == unlock.method() && keys.opened_by(unlock, &body, place) {
            return Ok(Some(slot.id));
        }
    }
    Ok(None)
}

/// What can be told of an installation without starting a node on it.
#[derive(Debug)]
pub struct Looked {
    pub slots: Vec<SlotMethod>,
    /// Since when nothing is done at systems outside.
    pub held_since: Option<Time>,
    /// The database's time when it was asked.
    pub db_now: Time,
}

/// Opens an installation's keys, and changes nothing.
pub async fn look(store: &Arc<dyn Store>, now: Time, unlock: &Unlock) -> Result<Looked> {
    let unlocked = unlock_store(store, now, unlock).await?;
    let body = |slot: &Record| serde_json::from_slice::<SlotBody>(&slot.body);
    let methods = unlocked
        .slots
        .value
        .iter()
        .map(|slot| body(slot).map(|body| body.method()));
    let methods = methods
        .collect::<Result<_, _>>()
        .map_err(|_| tampered("a key slot is malformed"))?;
    Ok(Looked {
        slots: methods,
        held_since: held_since(store, now, &unlocked.keys, unlocked.namespace).await?,
        db_now: unlocked.slots.db_now,
    })
}

/// How large a store is, and since when it has grown.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub bytes: i64,
    /// Of the log's first batch.
    pub since: Option<Time>,
}

pub async fn extent(store: &Arc<dyn Store>, now: Time) -> Result<Extent> {
    let sizes = store.sizes(now).await.map_err(store_failed)?;
    let first = store.batches(now, BatchId(0), 1).await.map_err(store_failed)?;
    Ok(Extent {
        bytes: sizes.value.database_bytes,
        since: first.value.first().map(|batch| batch.at),
    })
}

fn tampered(what: &str) -> Error {
    Error::integrity(format!("The installation fails its check: {what}."))
}

/// Why a ring did not open.
pub(crate) enum RingError {
    /// No slot opens by this key.
    WrongKey,
    Broken(Error),
}

/// The keys, once they vouch for slots and ring. What is written with them is written in `format`.
pub(crate) fn open_ring(unlock: &Unlock, slots: &[Record], ring: &Record, format: i16) -> Result<Keys, RingError> {
    let broken = |what| RingError::Broken(tampered(what));
    let mut failure = CryptoError::WrongKey;
    for slot in slots {
        let body: SlotBody = serde_json::from_slice(&slot.body).map_err(|_| broken("a key slot is malformed"))?;
        match Keys::open(unlock, &body, slot.id, ring, format) {
            Ok(keys) => {
                let altered = |error| RingError::Broken(tampered("a key slot or the ring").because(error));
                check_keys(&keys, slots.iter().chain([ring])).map_err(altered)?;
                return Ok(keys);
            }
            Err(CryptoError::WrongKey) => {}
            Err(error) => failure = error,
        }
    }
    match failure {
        CryptoError::WrongKey => Err(RingError::WrongKey),
        other => Err(RingError::Broken(tampered("the key ring does not open").because(other))),
    }
}

async fn find_root(store: &Arc<dyn Store>, keys: &Keys, now: Time) -> Result<NamespaceId> {
    let found = store.of_kind(now, Kind::Namespace).await.map_err(store_failed)?.value;
    let root = found
        .into_iter()
        .find(|record| record.name == ROOT)
        .ok_or_else(|| tampered("no root namespace"))?;
    keys.check_record(&root)
        .map_err(|error| tampered("the root namespace").because(error))?;
    let body: NamespaceBody = serde_json::from_slice(&root.body).map_err(|_| tampered("the root namespace"))?;
    Ok(body.id)
}

/// The row of a start, with its MAC.
pub(crate) fn boot_row(keys: &Keys, boot: i64, node: &str, now: Time) -> Result<BootRow> {
    let canonical = Canon::new("strongroom boot").int(boot).text(node).int(now.0).done();
    Ok(BootRow {
        boot,
        node: node.to_owned(),
        started_at: now,
        mac: keys.mac_boot(&canonical).map_err(Error::internal)?,
    })
}

/// Whether we wrote it.
pub(crate) fn is_boot_row(keys: &Keys, row: &BootRow) -> bool {
    boot_row(keys, row.boot, &row.node, row.started_at).is_ok_and(|expected| expected.mac == row.mac)
}

/// Takes the next boot number.
async fn register(store: &Arc<dyn Store>, clock: &NodeClock, keys: &Keys, node: &str) -> Result<i64> {
    loop {
        let now = clock.now();
        let last = store.last_boot(now).await.map_err(store_failed)?.value;
        if !(0..BatchId::MAX_BOOT).contains(&last) {
            return Err(tampered("the number of a start"));
        }
        let boot = last + 1;
        let row = boot_row(keys, boot, node, now)?;
        match store.upkeep(now, Upkeep::Boot(row)).await.map_err(store_failed)? {
            UpkeepDone::Taken => {}
            UpkeepDone::Done | UpkeepDone::More => return Ok(boot),
        }
    }
}
