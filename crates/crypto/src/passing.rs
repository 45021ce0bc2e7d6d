//! What is sealed for a while only: answers to changes, for a client that asks again, and cursors, which may hold a name
//! that their bearer must not see.

use data_encoding::HEXLOWER;
use strongroom_domain::{Kind, NamespaceId, ObjectId};
use zeroize::Zeroizing;

use crate::ring::{Keys, Purpose};
use crate::seal::{self, Place, Sealed};
use crate::{CryptoError, labels};

/// The answer a used change id keeps: sealed, since it may hold a client's secret.
fn answer_place(namespace: NamespaceId, row: ObjectId, epoch: i64) -> Place<'static> {
    Place {
        label: labels::CHANGE_ANSWER,
        namespace,
        kind: Kind::ChangeId,
        row,
        path: "",
        version: 1,
        payload: 0,
        epoch,
    }
}

impl Keys {
    /// The epoch and the sealed bytes. `salt` must be fresh.
    pub fn seal_answer(
        &self,
        namespace: NamespaceId,
        row: ObjectId,
        salt: [u8; 32],
        answer: &[u8],
    ) -> Result<(i64, Vec<u8>), CryptoError> {
        let (epoch, key) = self.newest(Purpose::Data, Some(namespace))?;
        Ok((
            epoch,
            seal::seal(key, salt, &answer_place(namespace, row, epoch), answer)?.to_bytes(),
        ))
    }

    pub fn open_answer(
        &self,
        namespace: NamespaceId,
        row: ObjectId,
        epoch: i64,
        bytes: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = self.named(epoch, Purpose::Data, Some(namespace))?;
        let sealed = Sealed::from_bytes(bytes)?;
        seal::open(
            key,
            &answer_place(namespace, row, epoch),
            &sealed.salt,
            &sealed.commitment,
            &sealed.sealed,
        )
    }
}

fn cursor_place(namespace: NamespaceId, epoch: i64) -> Place<'static> {
    Place {
        label: labels::CURSOR,
        namespace,
        kind: Kind::Secret,
        row: ObjectId([0; 16]),
        path: "",
        version: 0,
        payload: 0,
        epoch,
    }
}

impl Keys {
    /// A listing's cursor: sealed, in hexadecimal. `salt` must be fresh.
    pub fn seal_cursor(&self, namespace: NamespaceId, salt: [u8; 32], name: &str) -> Result<String, CryptoError> {
        let (epoch, key) = self.newest(Purpose::Data, Some(namespace))?;
        let sealed = seal::seal(key, salt, &cursor_place(namespace, epoch), name.as_bytes())?;
        Ok(HEXLOWER.encode(&[epoch.to_be_bytes().as_slice(), &sealed.to_bytes()].concat()))
    }

    pub fn open_cursor(&self, namespace: NamespaceId, cursor: &str) -> Result<String, CryptoError> {
        let bytes = HEXLOWER.decode(cursor.as_bytes()).map_err(|_| CryptoError::Unopened)?;
        let (epoch, sealed) = bytes.split_first_chunk::<8>().ok_or(CryptoError::Unopened)?;
        let epoch = i64::from_be_bytes(*epoch);
        let key = self.named(epoch, Purpose::Data, Some(namespace))?;
        let sealed = Sealed::from_bytes(sealed)?;
        let place = cursor_place(namespace, epoch);
        let name = seal::open(key, &place, &sealed.salt, &sealed.commitment, &sealed.sealed)?;
        String::from_utf8(name.to_vec()).map_err(|_| CryptoError::Unopened)
    }
}
