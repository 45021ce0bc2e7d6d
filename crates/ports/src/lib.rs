//! The traits by which the broker reaches outside, and (feature `conformance`) the suite that every store passes.

#[cfg(feature = "conformance")]
pub mod conformance;
mod dump;
mod fetch;
#[cfg(feature = "conformance")]
pub mod memory;
mod store;
mod target;

pub use dump::{Dump, KEY_KINDS, PART_BYTES, Part, Snapshot, Use, Weigh, pour};
pub use fetch::{Call, CallBody, Fetch, FetchError, Fetched, Fetching};
pub use store::{
    Applied, At, AuditFilter, BootRow, Fut, Sizes, Store, StoreError, Upkeep, UpkeepDone, Verdict, unfinished,
};
use strongroom_domain::Time;
pub use target::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

/// The time of day. Time is an argument everywhere below the program, and this is where it comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;
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
