//! The only crate that sees key bytes: the key ring, sealing, row MACs, token signing and hashing.
//! Randomness is an argument; time is an argument. No key type has `Debug` or `Serialize`.

mod access_token;
mod argon;
mod backup;
mod error;
mod key_pair;
pub mod labels;
mod mac;
mod outside;
mod passing;
mod password;
mod ring;
mod seal;
mod slot;
mod totp;
mod verifier;
mod webhook;

pub use access_token::{Claims, Generations, Issuer, KEYS_FRESH_FOR, TOKEN_TYPE, claimed_namespace};
pub use backup::BackupPart;
pub use error::CryptoError;
pub use key_pair::next_signing_key;
pub use mac::audit_identity;
pub use outside::{
    CertificateFault, CertificateNames, Expected, KeySet, KeyUse, OutsideClaims, Presented, TokenFault, Verified,
    verify_certificate,
};
pub use ring::{Keys, Purpose, Random};
pub use seal::{Place, Sealed};
pub use slot::{MIN_PASSPHRASE, Passphrase, RecoveryKey, RootKey, SlotBody, SlotPlace, Unlock};
pub use totp::{TotpCode, TotpSecret};
pub use verifier::verifier;
pub use webhook::{SignedMessage, WebhookKey};
