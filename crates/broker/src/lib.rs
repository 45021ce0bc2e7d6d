//! What the product does, independent of wire and database: one file per verb, and the mechanisms they share.
//! A verb authenticates, authorises, reads or decides, records, and only then answers.

mod accept;
mod access_tokens;
mod allowances;
mod authenticate;
mod backup;
mod batch;
mod cache;
mod chain;
mod change;
mod clients;
mod clock;
mod create_token;
mod dead_letters;
mod delete;
mod due;
mod erase;
mod expiring;
mod explain;
mod faults;
mod feed;
mod flags;
mod grants;
mod groups;
mod history;
mod hold;
mod holders;
mod initialise;
mod introspect;
mod issuers;
mod jobs;
mod keys;
mod labels;
mod lanes;
mod lease_roles;
mod leases;
mod list;
mod locks;
mod login;
mod login_delay;
mod manifest;
mod metadata;
mod methods;
mod namespaces;
mod notices;
mod open;
mod operators;
mod outside;
mod passwords;
mod patch;
#[cfg(test)]
mod place;
mod policies;
mod pulse;
mod purge;
mod put;
mod read;
mod record;
mod recover;
mod reports;
mod request;
mod reseal;
mod revoke;
mod roles;
mod room;
mod rotation;
mod rows;
mod search_audit;
mod session;
mod slack;
mod slots;
mod standing;
mod stats;
mod strays;
mod targets;
mod tokens;
mod totp;
mod try_policy;
mod turns;
mod uses;
mod watch;
mod watching;
mod webhooks;
mod who_can;
mod whoami;
mod worker;

pub use accept::Accepted;
pub use allowances::Allowances;
pub use backup::{BackupFile, Counts, Restored, Source, Stamp, Verified, restore, verify};
pub use batch::{BatchItem, BatchRead, BatchWrite};
pub use clients::{ClientView, NewClientSecret, SecretView};
pub use create_token::{CreatedToken, NewToken};
pub use dead_letters::{DeadLetterPage, Untold};
pub use delete::Deleted;
pub use explain::{ExplainQuery, Explained};
pub use feed::{ChangeRow, Changes, Follower, Passed};
pub use flags::{
    AskedSet, BrowserKeyView, CopyFlags, CountsAsked, CreatedBrowserKey, Evaluations, FlagSetView, FlagStream,
    FlagView, NewBrowserKey, SetRules, StaleFlag, StaleFlags, Staleness, VariantCount, VariantUse,
};
pub use groups::GroupView;
pub use history::History;
pub use hold::LIFT;
pub use holders::HolderKind;
pub use initialise::{Initialised, initialise, new_root_token};
pub use introspect::Introspected;
pub use lease_roles::LeaseRoleView;
pub use leases::{LeasePage, LeaseView, Leases, NewLease};
pub use list::{ListFilter, ListItem, ListPage, Listing};
pub use login::LoggedIn;
pub use metadata::MetadataView;
pub use methods::MethodView;
pub use namespaces::{NamespaceView, SetupToken};
pub use open::{Extent, Health, Looked, Opened, Settings, extent, look};
pub use operators::OperatorView;
pub use outside::{DeviceStarted, Proof, Started};
pub use patch::PatchSecret;
pub use policies::{PolicyView, RuleSet};
pub use put::{PutSecret, Written};
pub use read::SecretView as SecretValue;
pub use recover::RecoveredToken;
pub use reports::{Report, ReportPage, Reported};
pub use request::{ClientCertificate, Request};
pub use revoke::Revoke;
pub use roles::RoleView;
pub use rotation::{PlannedRotation, RotationPage, RotationView, Rotations};
pub use search_audit::{AuditPage, AuditQuery, AuditView};
pub use slots::{NewSlot, SlotAdded, SlotView};
pub use standing::Way;
pub use stats::{LaneStats, Stats};
pub use targets::TargetView;
pub use tokens::{TokenRef, TokenView};
pub use totp::NewTotp;
pub use try_policy::{AccessChange, DryRun};
pub use watching::{ChangePage, Shown, WatchEvent, WatchQuery, Watching};
pub use who_can::{Holder, WhoCanPage, WhoCanQuery};
pub use whoami::WhoAmI;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::{ArcSwap, ArcSwapOption};
use strongroom_crypto::Keys;
use strongroom_domain::{NamespaceId, ObjectId, PrincipalId};
use strongroom_ports::{Connectors, Entropy, Store};
use tokio::sync::Semaphore;

use crate::cache::Node;
use crate::clock::NodeClock;
use crate::feed::Feed;
use crate::flags::Tallies;
use crate::lanes::Lanes;
use crate::locks::Locks;
use crate::login_delay::LoginDelay;
use crate::outside::Outside;
use crate::passwords::Passwords;
use crate::strays::Strays;
use crate::turns::Turns;
use crate::uses::Uses;

/// The product, within one namespace. Cheap to clone.
#[derive(Clone)]
pub struct Broker(Arc<Inner>, NamespaceId);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<NodeClock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    ring: Ring,
    /// The namespace `root`, which the installation itself belongs to.
    root: NamespaceId,
    node: Arc<Node>,
    feed: Feed,
    lanes: Lanes,
    locks: Locks,
    uses: Uses,
    counts: Arc<Tallies>,
    extent: ArcSwapOption<Extent>,
    rotations: ArcSwap<Rotations>,
    leases: ArcSwap<Leases>,
    /// Whose turn it is to write of leases that end.
    lease_ends: Arc<tokio::sync::Mutex<()>>,
    turns: Turns,
    strays: Strays,
    passwords: Passwords,
    connectors: Connectors,
    outside: Outside,
    login_delay: LoginDelay,
    /// What each principal may still ask for.
    asked: Allowances<PrincipalId>,
    /// One backup at a time.
    backing_up: Semaphore,
    stats: Arc<Stats>,
    /// The random half of this start's request ids, and the next count.
    start: [u8; 8],
    requests: AtomicU64,
}

/// The opened key ring, and where its record is.
struct Ring {
    keys: Arc<ArcSwap<Keys>>,
    id: ObjectId,
    /// The slot that this node was opened by.
    slot: Option<ObjectId>,
}

impl Broker {
    /// Within the namespace that the installation itself belongs to.
    fn new(inner: Arc<Inner>) -> Self {
        let root = inner.root;
        Self(inner, root)
    }

    pub(crate) fn within(&self, namespace: NamespaceId) -> Self {
        Self(self.0.clone(), namespace)
    }

    pub(crate) fn namespace(&self) -> NamespaceId {
        self.1
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broker")
    }
}
