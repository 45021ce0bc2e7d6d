//! A backup's parts: sealed under the ring's own key, each bound to its place in its file, so that whatever opens the
//! installation opens them, in their order and whole.

use data_encoding::HEXLOWER;
use strongroom_domain::{Digest, Kind, NamespaceId, ObjectId};
use zeroize::Zeroizing;

use crate::ring::Keys;
use crate::seal::{self, Place, Sealed};
use crate::{CryptoError, labels};

/// Where a part stands.
#[derive(Debug, Clone, Copy)]
pub struct BackupPart {
    pub namespace: NamespaceId,
    pub file: ObjectId,
    /// Of everything before the first part.
    pub header: Digest,
    /// From 0, without a gap.
    pub number: i64,
    /// Whether nothing follows it.
    pub last: bool,
}

impl BackupPart {
    fn place<'a>(&self, header: &'a str) -> Place<'a> {
        Place {
            label: labels::BACKUP_PART,
            namespace: self.namespace,
            kind: Kind::Backup,
            row: self.file,
            path: header,
            version: self.number,
            payload: self.last.into(),
            epoch: 0,
        }
    }
}

impl Keys {
    /// `salt` must be fresh.
    pub fn seal_backup_part(&self, part: &BackupPart, salt: [u8; 32], rows: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let header = HEXLOWER.encode(&part.header.0);
        Ok(seal::seal(self.ring_key(), salt, &part.place(&header), rows)?.to_bytes())
    }

    pub fn open_backup_part(&self, part: &BackupPart, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let header = HEXLOWER.encode(&part.header.0);
        let sealed = Sealed::from_bytes(sealed)?;
        let place = part.place(&header);
        seal::open(
            self.ring_key(),
            &place,
            &sealed.salt,
            &sealed.commitment,
            &sealed.sealed,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::keys;

    #[test]
    fn a_part_opens_in_its_own_place_only() {
        let keys = keys(0);
        let here = BackupPart {
            namespace: NamespaceId([1; 16]),
            file: ObjectId([2; 16]),
            header: Digest([3; 32]),
            number: 4,
            last: false,
        };
        let sealed = keys.seal_backup_part(&here, [5; 32], b"rows").unwrap();
        assert_eq!(keys.open_backup_part(&here, &sealed).unwrap().as_slice(), b"rows");
        let elsewhere = [
            BackupPart {
                namespace: NamespaceId([9; 16]),
                ..here
            },
            BackupPart {
                file: ObjectId([9; 16]),
                ..here
            },
            BackupPart {
                header: Digest([9; 32]),
                ..here
            },
            BackupPart { number: 5, ..here },
            BackupPart { last: true, ..here },
        ];
        for there in elsewhere {
            assert!(keys.open_backup_part(&there, &sealed).is_err(), "{there:?}");
        }
        assert!(super::tests::keys(100).open_backup_part(&here, &sealed).is_err());
        let rekeyed = keys.under_new_ring_key(&|| [99; 32]).unwrap();
        assert!(rekeyed.open_backup_part(&here, &sealed).is_err());
    }
}
