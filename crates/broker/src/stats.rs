//! Counts that a scrape reads. Plain numbers: the edge gives them their names.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use strongroom_domain::audit::Lane;

#[derive(Debug, Default)]
pub struct LaneStats {
    pub batches: AtomicU64,
    pub entries: AtomicU64,
    pub failures: AtomicU64,
    /// Batches whose commit was not confirmed and was settled.
    pub settled: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Stats {
    lanes: [LaneStats; 3],
    /// Answers withheld because their ground moved.
    pub withheld: AtomicU64,
    pub secret_hits: AtomicU64,
    pub secret_misses: AtomicU64,
    pub session_hits: AtomicU64,
    pub session_misses: AtomicU64,
    pub integrity_failures: AtomicU64,
    /// Rotations that this node brought to their end, and steps of them that failed.
    pub rotations: AtomicU64,
    pub rotations_failed: AtomicU64,
    /// Leases that this node took back, and tries that failed.
    pub leases_ended: AtomicU64,
    pub leases_failed: AtomicU64,
    /// Notices that a webhook took, and tries that failed.
    pub notices_sent: AtomicU64,
    pub notices_failed: AtomicU64,
    /// Dead letters, as they were seen last, and those that made room for newer ones.
    pub dead_letters: AtomicI64,
    pub dead_letters_dropped: AtomicU64,
    /// Whether a restore holds what is outside, as it was seen last.
    pub held: AtomicBool,
    /// Versions sealed anew under a newer data key.
    pub resealed: AtomicU64,
    pub changes_applied: AtomicU64,
    pub change_conflicts: AtomicU64,
    pub logins: AtomicU64,
    pub logins_refused: AtomicU64,
    /// Refused because too many waited.
    pub logins_overloaded: AtomicU64,
    /// Refused untried, for those that failed before.
    pub logins_delayed: AtomicU64,
    /// Requests refused to who may ask for no more.
    pub identities_limited: AtomicU64,
    /// Passwords worked on, of known and unknown operators.
    pub password_hashes: AtomicU64,
}

impl Stats {
    pub fn lane(&self, lane: Lane) -> &LaneStats {
        let [reads, changes, events] = &self.lanes;
        match lane {
            Lane::Reads => reads,
            Lane::Changes => changes,
            Lane::Events => events,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
