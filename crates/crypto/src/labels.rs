//! Every HKDF and HMAC label, in one place. No label is a prefix of another, so no two purposes can share a derived key.

/// Wrapping the ring's key under the root key.
pub const FILE_SLOT: &str = "strongroom/v1/slot-file";
/// Wrapping it under a recovery key.
pub const RECOVERY_SLOT: &str = "strongroom/v1/slot-recovery";
/// Wrapping it under what a passphrase was stretched to.
pub const PASSPHRASE_SLOT: &str = "strongroom/v1/slot-passphrase";
/// Sealing the ring under its own key.
pub const RING: &str = "strongroom/v1/ring-body";
/// Sealing a version's payload under its namespace's data epoch.
pub const VERSION: &str = "strongroom/v1/version";
/// Sealing the answer that a used change id keeps.
pub const CHANGE_ANSWER: &str = "strongroom/v1/change-answer";
/// A listing's cursor, which may hold a name the caller must not see.
pub const CURSOR: &str = "strongroom/v1/list-cursor";
/// Row MACs.
pub const RECORD_MAC: &str = "strongroom/v1/record-mac";
/// Batch MACs.
pub const BATCH_MAC: &str = "strongroom/v1/batch-mac";
/// The salt of the month, under which an unproven caller's source is hashed.
pub const MONTH_SALT: &str = "strongroom/v1/month-salt";
/// A backup's parts, under the ring's own key.
pub const BACKUP_PART: &str = "strongroom/v1/backup-part";
/// Opaque tokens, as they are looked up.
pub const TOKEN_HASH: &str = "strongroom/v1/token-hash";
/// Client secrets, as they are compared.
pub const CLIENT_SECRET: &str = "strongroom/v1/client-secret";
/// Secrets of one-time codes.
pub const TOTP: &str = "strongroom/v1/one-time-codes";
/// Passwords, before they are stretched.
pub const PASSWORD: &str = "strongroom/v1/password";
/// The digest a used change id keeps of its request.
pub const REQUEST_DIGEST: &str = "strongroom/v1/request-digest";
/// Who an outside login stands for.
pub const OUTSIDE_PRINCIPAL: &str = "strongroom/v1/outside-principal";
/// Sealing what a login method shows to the other side.
pub const METHOD_SECRET: &str = "strongroom/v1/method-secret";
/// Sealing a login's state on its way through the browser.
pub const LOGIN_STATE: &str = "strongroom/v1/login-state";
/// Sealing what opens a stream of flags' changes, on its way through the browser.
pub const FLAG_STREAM: &str = "strongroom/v1/flag-stream";
/// A node's start, as its row vouches for it.
pub const BOOT_MAC: &str = "strongroom/v1/boot-mac";
/// The salted identity in an audit entry.
pub const AUDIT_IDENTITY: &str = "strongroom/v1/audit-identity";

pub const ALL: &[&str] = &[
    FILE_SLOT,
    RECOVERY_SLOT,
    PASSPHRASE_SLOT,
    RING,
    VERSION,
    CHANGE_ANSWER,
    CURSOR,
    RECORD_MAC,
    BATCH_MAC,
    MONTH_SALT,
    BACKUP_PART,
    TOKEN_HASH,
    CLIENT_SECRET,
    TOTP,
    PASSWORD,
    REQUEST_DIGEST,
    OUTSIDE_PRINCIPAL,
    METHOD_SECRET,
    LOGIN_STATE,
    FLAG_STREAM,
    BOOT_MAC,
    AUDIT_IDENTITY,
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        for (at, a) in ALL.iter().enumerate() {
            for (other, b) in ALL.iter().enumerate() {
                assert!(at == other || !b.starts_with(a), "{a} and {b}");
            }
        }
        let source = include_str!("labels.rs");
        assert_eq!(
            source.matches("\npub const ").count() - 1,
            ALL.len(),
            "every label stands in ALL"
        );
    }
}
