//! Why bytes did not open. No variant carries bytes.

use thiserror::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CryptoError {
    #[error("the root key is not 64 hexadecimal digits")]
    MalformedRootKey,
    #[error("the recovery key is not 'SRR' and 14 groups of four, or one of them is miswritten")]
    MalformedRecoveryKey,
    #[error("the passphrase has fewer than 16 characters")]
    ShortPassphrase,
    #[error("the key does not open this installation's key slot")]
    WrongKey,
    #[error("a sealed row does not open")]
    Unopened,
    #[error("a row's MAC does not hold")]
    BadMac,
    #[error("a row names a key that is not in the ring")]
    UnknownKey,
    #[error("a row has a format this program does not know")]
    UnknownFormat,
    #[error("a token does not verify")]
    BadToken,
    #[error("a key set is none, or too large")]
    BadKeySet,
    #[error("a server takes no such password: it has to be of printable ASCII")]
    UnfitPassword,
    #[error("a webhook's key is 'whsec_' and base64 of 24 to 64 bytes")]
    MalformedWebhookKey,
    #[error("a signing key's value has a private and a next Ed25519 key as JSON Web Keys")]
    MalformedSigningKey,
}
