//! Tokens that others issued, and the keys that they published. Nothing here asks anybody anything: keys are arguments, as
//! time is.

mod certificate;
mod keys;
mod passing;
mod token;

pub use certificate::{CertificateFault, CertificateNames, verify_certificate};
pub use keys::{KeySet, KeyUse};
pub use token::{Expected, OutsideClaims, Presented, TokenFault, Verified};
