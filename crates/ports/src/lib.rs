//! The traits by which the broker reaches outside, and (feature `conformance`) the suite that every store passes.

#[cfg(feature = "conformance")]
pub mod conformance;
mod dump;
mod fetch;
#[cfg(feature = "conformance")]
pub mod memory;
mod store;
mod target;

use std::sync::Arc;

pub use dump::{Dump, KEY_KINDS, PART_BYTES, Part, Snapshot, Use, Weigh, pour};
pub use fetch::{Call, CallBody, Fetch, FetchError, Fetched, Fetching};
pub use store::{
    Applied, At, AuditFilter, BootRow, Due, FIRST_DUE, Fut, Sizes, Store, StoreError, Upkeep, UpkeepDone, Verdict,
    end_of, only_counts, unfinished,
};
use strongroom_domain::Time;
pub use target::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

/// The time of day. Time is an argument everywhere below the program, and this is where it comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;
}

/// All that is asked outside.
#[derive(Clone)]
pub struct Connectors {
    pub fetch: Arc<dyn Fetch>,
    pub rotator: Arc<dyn Rotator>,
    pub issuer: Arc<dyn Issuer>,
}

impl std::fmt::Debug for Connectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connectors")
    }
}

/// Randomness fit for keys.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
