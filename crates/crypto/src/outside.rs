//! Tokens that others issued, and the keys that they published. Nothing here asks anybody anything: keys are arguments, as
//! time is.

mod keys;
mod passing;
mod token;

pub use keys::{KeySet, KeyUse};
pub use token::{Expected, OutsideClaims, Presented, TokenFault, Verified};
