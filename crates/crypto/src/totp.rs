//! Time-based one-time codes (RFC 6238, with HMAC-SHA-1, six digits and 30 seconds, which every authenticator takes). Nothing of
//! a secret is stored: it is made of a key of the ring and a salt.

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use data_encoding::BASE32_NOPAD;
use strongroom_domain::{Digest, ObjectId, Time};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::mac::hmac;
use crate::{CryptoError, Keys, Purpose, labels};

/// Seconds of a step.
const STEP: i64 = 30;
/// Bytes of a secret (RFC 4226 §4 wants 16 and recommends 20).
const SECRET: usize = 20;
/// Steps by which a phone's clock may be off, to both sides.
const DRIFT: i64 = 1;

/// Six digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TotpCode(u32);

impl TotpCode {
    /// Six digits and nothing else: a code has one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let six = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
        six.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl std::fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpCode")
    }
}

/// What a phone and the server share.
pub struct TotpSecret(Zeroizing<[u8; SECRET]>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret")
    }
}

impl TotpSecret {
    /// As authenticators take it when it is typed.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()))
    }

    fn code(&self, step: i64) -> u32 {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.as_slice());
        let tag = sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        // RFC 4226 §5.3.
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
        let bytes = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>());
        let number = bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes) & 0x7fff_ffff);
        number % 1_000_000
    }

    /// The step of which this is the code; around `now`.
    pub fn step_of(&self, code: TotpCode, now: Time) -> Option<i64> {
        let current = now.seconds().div_euclid(STEP);
        // All of them, whichever it is.
        (current - DRIFT..=current + DRIFT).fold(None, |found, step| {
            let same: Choice = self.code(step).to_be_bytes().ct_eq(&code.0.to_be_bytes());
            if bool::from(same) { Some(step) } else { found }
        })
    }
}

impl Keys {
    /// The key that a new secret is made of.
    pub fn totp_key(&self) -> Result<i64, CryptoError> {
        self.newest(Purpose::TokenHash, None).map(|(id, _)| id)
    }

    /// An operator's secret.
    pub fn totp_secret(&self, key: i64, operator: ObjectId, salt: &Digest) -> Result<TotpSecret, CryptoError> {
        let key = self.named(key, Purpose::TokenHash, None)?;
        let message = Zeroizing::new([operator.as_slice(), &salt.0].concat());
        let made = hmac(key, labels::TOTP, &message)?;
        let bytes = made.0.first_chunk().ok_or(CryptoError::BadMac)?;
        Ok(TotpSecret(Zeroizing::new(*bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::keys;

    fn at(seconds: i64) -> Time {
        Time(seconds * 1_000_000)
    }

    /// RFC 6238, appendix B, its last six digits.
    #[test]
    fn the_published_codes() {
        let secret = TotpSecret(Zeroizing::new(*b"12345678901234567890"));
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let code = TotpCode::parse(code).unwrap();
            let step = Some(seconds / 30);
            assert_eq!(secret.step_of(code, at(seconds)), step);
            assert_eq!(secret.step_of(code, at(seconds + 30)), step);
            assert_eq!(secret.step_of(code, at(seconds - 30)), step);
            assert_eq!(secret.step_of(code, at(seconds + 60)), None);
            assert_eq!(secret.step_of(code, at(seconds - 60)), None);
        }
    }

    #[test]
    fn a_code_has_one_spelling() {
        assert!(TotpCode::parse("000000").is_some());
        for wrong in [
            "", "12345", "1234567", " 12345", "12345 ", "+12345", "-12345", "12345６", "0x1234", "1e1000",
        ] {
            assert!(TotpCode::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_its_operators_alone() {
        let keys = keys(0);
        let key = keys.totp_key().unwrap();
        let text = |operator, salt| {
            let secret = keys.totp_secret(key, ObjectId([operator; 16]), &Digest([salt; 32]));
            secret.unwrap().to_text()
        };
        assert_eq!(text(1, 1), text(1, 1));
        assert!(text(1, 1) != text(2, 1) && text(1, 1) != text(1, 2));
        assert_eq!(text(1, 1).len(), 32);
        assert!(keys.totp_secret(key + 100, ObjectId([1; 16]), &Digest::ZERO).is_err());
    }
}
