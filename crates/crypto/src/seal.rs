//! One `seal` for every kind of row. HKDF-SHA256 (RFC 5869) over a fresh 32-byte salt gives each message its own
//! AES-256-GCM key and a 32-byte commitment to that key, checked in constant time before opening. One key seals one
//! message, so the nonce is constant and cannot repeat.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use strongroom_domain::canon::Canon;
use strongroom_domain::{Kind, NamespaceId, ObjectId};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::CryptoError;

/// AES-256-GCM with HKDF-SHA256 and key commitment; the one algorithm there is, named in the associated data.
const ALGORITHM: u8 = 1;
/// How the associated data is made up. A new one would be named by the rows, as theirs is.
const FORMAT: i64 = 1;
const TAG: usize = 16;

/// Where a sealed payload stands. All of it is associated data: moved, swapped or relabelled, it does not open.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub label: &'static str,
    pub namespace: NamespaceId,
    pub kind: Kind,
    pub row: ObjectId,
    pub path: &'a str,
    pub version: i64,
    pub payload: i16,
    pub epoch: i64,
}

impl Place<'_> {
    fn info(&self) -> Vec<u8> {
        Canon::new(self.label)
            .bytes(self.namespace.as_slice())
            .bytes(self.row.as_slice())
            .int(self.version)
            .int(self.epoch)
            .done()
    }

    fn associated_data(&self) -> Vec<u8> {
        Canon::new("strongroom sealed")
            .int(FORMAT)
            .byte(ALGORITHM)
            .bytes(self.namespace.as_slice())
            .int(self.kind.number().into())
            .bytes(self.row.as_slice())
            .text(self.path)
            .int(self.version)
            .int(self.payload.into())
            .int(self.epoch)
            .done()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub salt: Vec<u8>,
    pub commitment: Vec<u8>,
    /// Ciphertext and tag.
    pub sealed: Vec<u8>,
}

struct Derived {
    cipher: Aes256Gcm,
    commitment: [u8; 32],
}

fn derive(key: &[u8; 32], salt: &[u8], place: &Place<'_>) -> Result<Derived, CryptoError> {
    let mut okm = Zeroizing::new([0_u8; 64]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(&place.info(), okm.as_mut())
        .map_err(|_| CryptoError::Unopened)?;
    let (cipher_key, rest) = okm.split_at(32);
    let cipher = Aes256Gcm::new_from_slice(cipher_key).map_err(|_| CryptoError::Unopened)?;
    let commitment = rest.try_into().map_err(|_| CryptoError::Unopened)?;
    Ok(Derived { cipher, commitment })
}

/// `salt` must be fresh randomness for each call.
pub(crate) fn seal(key: &[u8; 32], salt: [u8; 32], place: &Place<'_>, plaintext: &[u8]) -> Result<Sealed, CryptoError> {
    let derived = derive(key, &salt, place)?;
    let mut sealed = Vec::with_capacity(plaintext.len() + TAG);
    sealed.extend_from_slice(plaintext);
    let tag = derived
        .cipher
        .encrypt_inout_detached(
            &Nonce::default(),
            &place.associated_data(),
            sealed.as_mut_slice().into(),
        )
        .map_err(|_| CryptoError::Unopened)?;
    sealed.extend_from_slice(&tag);
    Ok(Sealed {
        salt: salt.to_vec(),
        commitment: derived.commitment.to_vec(),
        sealed,
    })
}

pub(crate) fn open(
    key: &[u8; 32],
    place: &Place<'_>,
    salt: &[u8],
    commitment: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    if salt.len() != 32 {
        return Err(CryptoError::Unopened);
    }
    let derived = derive(key, salt, place)?;
    if !bool::from(derived.commitment.as_slice().ct_eq(commitment)) {
        return Err(CryptoError::Unopened);
    }
    let at = sealed.len().checked_sub(TAG).ok_or(CryptoError::Unopened)?;
    let (ciphertext, tag) = sealed.split_at(at);
    let tag = Tag::try_from(tag).map_err(|_| CryptoError::Unopened)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let opened = derived.cipher.decrypt_inout_detached(
        &Nonce::default(),
        &place.associated_data(),
        plaintext.as_mut_slice().into(),
        &tag,
    );
    if opened.is_err() {
        plaintext.zeroize();
        return Err(CryptoError::Unopened);
    }
    Ok(plaintext)
}

impl Sealed {
    /// One field for a record's body: format, salt, commitment, ciphertext.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[1_u8], self.salt.as_slice(), &self.commitment, &self.sealed].concat()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        match bytes.split_first() {
            Some((1, rest)) if rest.len() >= 64 + TAG => {
                let (salt, rest) = rest.split_at(32);
                let (commitment, sealed) = rest.split_at(32);
                Ok(Self {
                    salt: salt.to_vec(),
                    commitment: commitment.to_vec(),
                    sealed: sealed.to_vec(),
                })
            }
            Some((1, _)) | None => Err(CryptoError::Unopened),
            Some(_) => Err(CryptoError::UnknownFormat),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{aead, hkdf as lc_hkdf};
    use proptest::prelude::*;

    use super::*;
    use crate::labels;

    fn place(path: &str, epoch: i64) -> Place<'_> {
        Place {
            label: labels::VERSION,
            namespace: NamespaceId([1; 16]),
            kind: Kind::Secret,
            row: ObjectId([2; 16]),
            path,
            version: 3,
            payload: 1,
            epoch,
        }
    }

    struct Bytes64;
    impl lc_hkdf::KeyType for Bytes64 {
        fn len(&self) -> usize {
            64
        }
    }

    /// A second library opens the same bytes.
    fn open_with_aws_lc(key: &[u8; 32], place: &Place<'_>, sealed: &Sealed) -> Vec<u8> {
        let prk = lc_hkdf::Salt::new(lc_hkdf::HKDF_SHA256, &sealed.salt).extract(key);
        let info = place.info();
        let mut okm = [0; 64];
        prk.expand(&[&info], Bytes64).unwrap().fill(&mut okm).unwrap();
        assert_eq!(okm[32..], sealed.commitment);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &okm[..32]).unwrap());
        let mut bytes = sealed.sealed.clone();
        let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
        key.open_in_place(nonce, aead::Aad::from(place.associated_data()), &mut bytes)
            .unwrap()
            .to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn both_libraries_agree(key: [u8; 32], salt: [u8; 32], text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let place = place("a/b", 7);
            let sealed = seal(&key, salt, &place, &text).unwrap();
            let opened = open(&key, &place, &sealed.salt, &sealed.commitment, &sealed.sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_slice());
            prop_assert_eq!(open_with_aws_lc(&key, &place, &sealed), text);
            prop_assert_eq!(Sealed::from_bytes(&sealed.to_bytes()).unwrap(), sealed);
        }

        #[test]
        fn nothing_altered_or_moved_opens(key: [u8; 32], salt: [u8; 32], at in 0..200_usize, bit in 0..8_u8) {
            let here = place("a/b", 7);
            let sealed = seal(&key, salt, &here, &[9; 40]).unwrap();
            let bytes = sealed.to_bytes();
            let at = 1 + at % (bytes.len() - 1);
            let mut altered = bytes.clone();
            altered[at] ^= 1 << bit;
            let other = Sealed::from_bytes(&altered).unwrap();
            prop_assert_eq!(
                open(&key, &here, &other.salt, &other.commitment, &other.sealed).unwrap_err(),
                CryptoError::Unopened
            );
            let moved = [
                place("a/c", 7),
                place("a/b", 8),
                Place { version: 4, ..here },
                Place { payload: 2, ..here },
                Place { row: ObjectId([3; 16]), ..here },
                Place { namespace: NamespaceId([3; 16]), ..here },
                Place { kind: Kind::Policy, ..here },
                Place { label: labels::RING, ..here },
            ];
            for there in moved {
                prop_assert!(open(&key, &there, &sealed.salt, &sealed.commitment, &sealed.sealed).is_err());
            }
        }
    }
}
