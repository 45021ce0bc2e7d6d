//! Passwords, kept as Argon2id (RFC 9106) of an HMAC under the ring: the database alone does not allow a single guess, and
//! with the ring each one costs its memory. The parameters stand with each hash, so that new ones can be stronger.

use strongroom_domain::Digest;
use strongroom_domain::grant::PasswordHash;
use zeroize::Zeroizing;

use crate::argon::argon2id;
use crate::mac::{equal, hmac};
use crate::{CryptoError, Keys, Purpose, labels};

/// What OWASP asks for at least.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

impl Keys {
    /// `salt` must be fresh.
    pub fn hash_password(&self, password: &str, salt: [u8; 32]) -> Result<PasswordHash, CryptoError> {
        let (key, _) = self.newest(Purpose::TokenHash, None)?;
        let mut made = PasswordHash {
            key,
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: Digest(salt),
            hash: Digest::ZERO,
        };
        made.hash = self.stretch(password, &made)?;
        Ok(made)
    }

    pub fn check_password(&self, password: &str, stored: &PasswordHash) -> bool {
        self.stretch(password, stored)
            .is_ok_and(|found| equal(&found, &stored.hash.0))
    }

    /// A hash that costs what a new one does to compare with, and that no password is known to have.
    pub fn nobodys_password(&self) -> Result<PasswordHash, CryptoError> {
        let (key, _) = self.newest(Purpose::TokenHash, None)?;
        Ok(PasswordHash {
            key,
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: Digest::ZERO,
            hash: Digest::ZERO,
        })
    }

    fn stretch(&self, password: &str, with: &PasswordHash) -> Result<Digest, CryptoError> {
        let key = self.named(with.key, Purpose::TokenHash, None)?;
        let keyed = Zeroizing::new(hmac(key, labels::PASSWORD, password.as_bytes())?.0);
        let out = argon2id(keyed.as_slice(), &with.salt.0, with.memory_kib, with.passes, with.lanes)?;
        Ok(Digest(*out))
    }
}

#[cfg(test)]
mod tests {
    use crate::ring::keys;

    #[test]
    fn only_the_password_under_its_own_ring_passes() {
        let keys_ = keys(0);
        let stored = keys_.hash_password("correct horse battery", [7; 32]).unwrap();
        assert!(keys_.check_password("correct horse battery", &stored));
        for wrong in [
            "",
            "correct horse batter",
            "correct horse battery ",
            "Correct horse battery",
        ] {
            assert!(!keys_.check_password(wrong, &stored), "{wrong}");
        }
        assert!(
            !keys(9).check_password("correct horse battery", &stored),
            "the database alone does not allow a guess"
        );
        assert!(!keys_.check_password("", &keys_.nobodys_password().unwrap()));
    }

    #[test]
    fn a_hash_made_with_other_parameters_still_passes() {
        let keys = keys(0);
        let mut stored = keys.nobodys_password().unwrap();
        (stored.memory_kib, stored.passes, stored.lanes) = (64, 3, 2);
        stored.hash = keys.stretch("a password of old", &stored).unwrap();
        assert!(keys.check_password("a password of old", &stored));
        assert!(!keys.check_password("another password", &stored));
        // What makes no hash is no match, and no panic.
        stored.memory_kib = 0;
        assert!(!keys.check_password("a password of old", &stored));
    }

    /// The reference implementation, in C, makes the same of the same HMAC.
    #[test]
    fn the_hash_is_fixed() {
        let stored = keys(0).hash_password("correct horse battery", [7; 32]).unwrap();
        assert_eq!(
            (stored.memory_kib, stored.passes, stored.lanes),
            (19 * 1024, 2, 1),
            "no less than OWASP asks for"
        );
        assert_eq!(
            stored.hash.to_string(),
            "c5722ad8614e7baf751b2c11cdb507929049ea9b02921e7f39a89a7862fc8268",
            "stored hashes must hold after an upgrade"
        );
    }
}
