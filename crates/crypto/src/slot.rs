//! The root key, and the slots by which it opens the ring.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Kind, NamespaceId, ObjectId, Time};
use zeroize::{Zeroize, Zeroizing};

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

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey")
    }
}

/// The body of a key slot's record: the ring's key, wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum SlotBody {
    /// Under the root key, which stands in a file.
    File { wrapped: String, created_at: Time },
}

fn place(namespace: NamespaceId, row: ObjectId) -> Place<'static> {
    Place {
        label: labels::FILE_SLOT,
        namespace,
        kind: Kind::KeySlot,
        row,
        path: "",
        version: 1,
        payload: 0,
        epoch: 0,
    }
}

impl SlotBody {
    pub(crate) fn wrap(
        root: &RootKey,
        ring_key: &[u8; 32],
        salt: [u8; 32],
        namespace: NamespaceId,
        row: ObjectId,
        now: Time,
    ) -> Result<Self, CryptoError> {
        let sealed = seal::seal(&root.0, salt, &place(namespace, row), ring_key)?;
        Ok(Self::File {
            wrapped: HEXLOWER_PERMISSIVE.encode(&sealed.to_bytes()),
            created_at: now,
        })
    }

    pub(crate) fn unwrap(
        &self,
        root: &RootKey,
        namespace: NamespaceId,
        row: ObjectId,
    ) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let Self::File { wrapped, .. } = self;
        let bytes = HEXLOWER_PERMISSIVE
            .decode(wrapped.as_bytes())
            .map_err(|_| CryptoError::Unopened)?;
        let sealed = Sealed::from_bytes(&bytes)?;
        let opened = seal::open(
            &root.0,
            &place(namespace, row),
            &sealed.salt,
            &sealed.commitment,
            &sealed.sealed,
        )
        .map_err(|_| CryptoError::WrongRootKey)?;
        opened
            .as_slice()
            .try_into()
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::Unopened)
    }
}
