//! What opens an installation, and the slots by which it opens the ring.

use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_domain::{Kind, NamespaceId, ObjectId, SlotMethod, Time};
use zeroize::{Zeroize, Zeroizing};

use crate::argon::argon2id;
use crate::seal::{self, Place, Sealed};
use crate::{CryptoError, labels};

/// 32 bytes that open the ring. Written as 64 hexadecimal digits.
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Surrounding white space is let pass: files end in a newline.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let mut bytes = HEXLOWER_PERMISSIVE
            .decode(text.trim().as_bytes())
            .map_err(|_| CryptoError::MalformedRootKey)?;
        let key = bytes
            .as_slice()
            .try_into()
            .map(Self::new)
            .map_err(|_| CryptoError::MalformedRootKey);
        bytes.zeroize();
        key
    }

    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER_PERMISSIVE.encode(self.0.as_slice()))
    }
}

macro_rules! no_debug {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

no_debug! { RootKey RecoveryKey Passphrase }

/// 32 bytes for paper and a safe. Written as `SRR` and 14 groups of four letters and digits (RFC 4648 base 32), of which the
/// last five characters are a checksum: a slip of the pen is told from a key of something else.
pub struct RecoveryKey(Zeroizing<[u8; 32]>);

const RECOVERY_PREFIX: &str = "SRR";
const CHECKSUM: usize = 3;

fn checksum(key: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(key).into();
    digest.first_chunk().copied().unwrap_or_default()
}

impl RecoveryKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Case, spaces and dashes do not matter, nor do `0`, `1` and `8`, which are no base 32 digits, for `O`, `I` and `B`.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let plain = |c: char| match c.to_ascii_uppercase() {
            '0' => 'O',
            '1' => 'I',
            '8' => 'B',
            c => c,
        };
        let mut written = Zeroizing::new(String::with_capacity(text.len()));
        written.extend(text.chars().filter(|c| *c != '-' && !c.is_whitespace()).map(plain));
        let digits = written
            .strip_prefix(RECOVERY_PREFIX)
            .ok_or(CryptoError::MalformedRecoveryKey)?;
        let bytes = BASE32_NOPAD.decode(digits.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| CryptoError::MalformedRecoveryKey)?;
        match bytes.split_first_chunk::<32>() {
            Some((key, sum)) if sum == checksum(key) => Ok(Self::new(*key)),
            _ => Err(CryptoError::MalformedRecoveryKey),
        }
    }

    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.0.as_slice(), &checksum(self.0.as_slice())].concat());
        let digits = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
        let mut text = Zeroizing::new(String::with_capacity(96));
        text.push_str(RECOVERY_PREFIX);
        for (at, digit) in digits.chars().enumerate() {
            if at % 4 == 0 {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }
}

/// The fewest characters of a passphrase.
pub const MIN_PASSPHRASE: usize = 16;

/// Words that people remember.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let text = text.trim();
        if text.chars().count() < MIN_PASSPHRASE {
            return Err(CryptoError::ShortPassphrase);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

/// What opens a slot, by its method.
#[derive(Debug)]
pub enum Unlock {
    RootKey(RootKey),
    Recovery(RecoveryKey),
    Passphrase(Passphrase),
}

impl Unlock {
    /// From what people keep: a file's text, or what they type.
    pub fn parse(method: SlotMethod, text: &str) -> Result<Self, CryptoError> {
        match method {
            SlotMethod::File => RootKey::parse(text).map(Self::RootKey),
            SlotMethod::Recovery => RecoveryKey::parse(text).map(Self::Recovery),
            SlotMethod::Passphrase => Passphrase::parse(text).map(Self::Passphrase),
        }
    }

    /// Of the slots that it opens.
    pub fn method(&self) -> SlotMethod {
        match self {
            Self::RootKey(_) => SlotMethod::File,
            Self::Recovery(_) => SlotMethod::Recovery,
            Self::Passphrase(_) => SlotMethod::Passphrase,
        }
    }
}

/// How a passphrase becomes a key: argon2id (RFC 9106) with these costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    salt: String,
    memory_kib: u32,
    passes: u32,
}

/// 64 MiB, three times over: RFC 9106's second choice, which fits small containers.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// A slot is believed only after it opened: until then its costs are anybody's.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 8;

impl Stretch {
    fn new(salt: [u8; 32]) -> Self {
        Self {
            salt: HEXLOWER.encode(&salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
        }
    }

    fn key(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        if self.memory_kib > MAX_MEMORY_KIB || self.passes > MAX_PASSES {
            return Err(CryptoError::UnknownFormat);
        }
        let salt = HEXLOWER
            .decode(self.salt.as_bytes())
            .map_err(|_| CryptoError::Unopened)?;
        argon2id(passphrase.0.as_bytes(), &salt, self.memory_kib, self.passes, 1)
    }
}

/// How a slot is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub(crate) enum Wrapping {
    /// By a root key, which stands in a file.
    File,
    /// By a recovery key, which was shown once.
    Recovery,
    Passphrase(Stretch),
}

impl Wrapping {
    fn label(&self) -> &'static str {
        match self {
            Self::File => labels::FILE_SLOT,
            Self::Recovery => labels::RECOVERY_SLOT,
            Self::Passphrase(_) => labels::PASSPHRASE_SLOT,
        }
    }

    /// The key that wraps, if `unlock` is of this method.
    fn key(&self, unlock: &Unlock) -> Option<Result<Zeroizing<[u8; 32]>, CryptoError>> {
        match (self, unlock) {
            (Self::File, Unlock::RootKey(key)) => Some(Ok(key.0.clone())),
            (Self::Recovery, Unlock::Recovery(key)) => Some(Ok(key.0.clone())),
            (Self::Passphrase(stretch), Unlock::Passphrase(passphrase)) => Some(stretch.key(passphrase)),
            _ => None,
        }
    }
}

/// The body of a key slot's record: the ring's key, wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotBody {
    #[serde(flatten)]
    wrapping: Wrapping,
    wrapped: String,
    pub created_at: Time,
}

/// A slot's record: where its wrapping is bound to.
#[derive(Debug, Clone, Copy)]
pub struct SlotPlace {
    pub namespace: NamespaceId,
    pub row: ObjectId,
}

impl SlotPlace {
    fn sealed(self, label: &'static str) -> Place<'static> {
        Place {
            label,
            namespace: self.namespace,
            kind: Kind::KeySlot,
            row: self.row,
            path: "",
            version: 1,
            payload: 0,
            epoch: 0,
        }
    }
}

impl SlotBody {
    pub fn method(&self) -> SlotMethod {
        match self.wrapping {
            Wrapping::File => SlotMethod::File,
            Wrapping::Recovery => SlotMethod::Recovery,
            Wrapping::Passphrase(_) => SlotMethod::Passphrase,
        }
    }

    /// `random` gives 32 fresh bytes each time.
    pub(crate) fn wrap(
        unlock: &Unlock,
        ring_key: &[u8; 32],
        place: SlotPlace,
        now: Time,
        random: crate::Random<'_>,
    ) -> Result<Self, CryptoError> {
        let wrapping = match unlock {
            Unlock::RootKey(_) => Wrapping::File,
            Unlock::Recovery(_) => Wrapping::Recovery,
            Unlock::Passphrase(_) => Wrapping::Passphrase(Stretch::new(random())),
        };
        let key = wrapping.key(unlock).ok_or(CryptoError::Unopened)??;
        let sealed = seal::seal(&key, random(), &place.sealed(wrapping.label()), ring_key)?;
        Ok(Self {
            wrapping,
            wrapped: HEXLOWER.encode(&sealed.to_bytes()),
            created_at: now,
        })
    }

    /// [`CryptoError::WrongKey`]: it is not what opens this slot.
    pub(crate) fn unwrap(&self, unlock: &Unlock, place: SlotPlace) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let key = self.wrapping.key(unlock).ok_or(CryptoError::WrongKey)??;
        let bytes = HEXLOWER
            .decode(self.wrapped.as_bytes())
            .map_err(|_| CryptoError::Unopened)?;
        let sealed = Sealed::from_bytes(&bytes)?;
        let place = place.sealed(self.wrapping.label());
        let opened = seal::open(&key, &place, &sealed.salt, &sealed.commitment, &sealed.sealed)
            .map_err(|_| CryptoError::WrongKey)?;
        opened
            .as_slice()
            .try_into()
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::Unopened)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: SlotPlace = SlotPlace {
        namespace: NamespaceId([1; 16]),
        row: ObjectId([2; 16]),
    };

    fn every_method() -> [Unlock; 3] {
        [
            Unlock::RootKey(RootKey::new([3; 32])),
            Unlock::Recovery(RecoveryKey::new([3; 32])),
            Unlock::Passphrase(Passphrase::parse("correct horse battery").unwrap()),
        ]
    }

    /// The same bytes open only slots of their own method, only in their own place, and the body survives its JSON.
    #[test]
    fn a_slot_opens_by_what_made_it_and_nothing_else() {
        for (made, wrapping) in every_method().iter().enumerate() {
            let body = SlotBody::wrap(wrapping, &[9; 32], PLACE, Time(5), &|| [7; 32]).unwrap();
            let body: SlotBody = serde_json::from_slice(&serde_json::to_vec(&body).unwrap()).unwrap();
            for (tried, unlock) in every_method().iter().enumerate() {
                let opened = body.unwrap(unlock, PLACE);
                assert_eq!(opened.is_ok(), made == tried, "{unlock:?}");
                assert!(opened.is_ok_and(|key| *key == [9; 32]) || made != tried);
            }
            let elsewhere = SlotPlace {
                row: ObjectId([4; 16]),
                ..PLACE
            };
            assert_eq!(body.unwrap(wrapping, elsewhere), Err(CryptoError::WrongKey));
        }
        let other = Unlock::Passphrase(Passphrase::parse("correct horse bakery..").unwrap());
        let [.., passphrase] = every_method();
        let body = SlotBody::wrap(&passphrase, &[9; 32], PLACE, Time(5), &|| [7; 32]).unwrap();
        assert_eq!(body.unwrap(&other, PLACE), Err(CryptoError::WrongKey));
    }

    /// A slot of the first release, as it lies in databases.
    #[test]
    fn the_first_slots_still_open() {
        let text = r#"{"method":"file","wrapped":"WRAPPED","created_at":"1970-01-01T00:00:00.000005Z"}"#;
        let place = PLACE.sealed(labels::FILE_SLOT);
        let wrapped = HEXLOWER.encode(&seal::seal(&[3; 32], [7; 32], &place, &[9; 32]).unwrap().to_bytes());
        let body: SlotBody = serde_json::from_str(&text.replace("WRAPPED", &wrapped)).unwrap();
        let opened = body.unwrap(&Unlock::RootKey(RootKey::new([3; 32])), PLACE).unwrap();
        assert_eq!(*opened, [9; 32]);
    }

    /// Costs are read before anything vouches for them.
    #[test]
    fn a_slot_cannot_ask_for_all_memory() {
        let [.., passphrase] = every_method();
        let mut body = SlotBody::wrap(&passphrase, &[9; 32], PLACE, Time(5), &|| [7; 32]).unwrap();
        for (memory_kib, passes) in [(u32::MAX, 1), (MAX_MEMORY_KIB + 1, 1), (8, u32::MAX), (0, 0)] {
            let salt = HEXLOWER.encode(&[7; 32]);
            body.wrapping = Wrapping::Passphrase(Stretch {
                salt,
                memory_kib,
                passes,
            });
            assert_eq!(body.unwrap(&passphrase, PLACE), Err(CryptoError::UnknownFormat));
        }
    }

    proptest! {
        #[test]
        fn a_recovery_key_is_read_as_it_was_written(key: [u8; 32], lower: bool, spaced: bool) {
            let mut text = RecoveryKey::new(key).to_text().to_string();
            if lower { text = text.to_lowercase(); }
            if spaced { text = text.replace('-', " "); }
            prop_assert_eq!(*RecoveryKey::parse(&text).unwrap().0, key);
            prop_assert!(RootKey::parse(&text).is_err());
        }

        #[test]
        fn a_slip_of_the_pen_is_noticed(key: [u8; 32], at in 0..56_usize, digit in 0..32_usize) {
            let text = RecoveryKey::new(key).to_text().to_string();
            let mut digits: Vec<char> = text.chars().collect();
            let place = 4 + at + at / 4;
            let other = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".chars().nth(digit).unwrap();
            prop_assume!(digits[place] != other);
            digits[place] = other;
            // Of 2^24 slips one passes the checksum; then it is another key and opens nothing.
            let read = RecoveryKey::parse(&digits.into_iter().collect::<String>());
            prop_assert!(read.is_err_and(|error| error == CryptoError::MalformedRecoveryKey));
        }
    }
}
