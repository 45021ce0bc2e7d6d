//! HMAC-SHA-256 over rows, batches, tokens and identities, each under the ring's key for it and a label of its own.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use strongroom_domain::audit::Batch;
use strongroom_domain::{Digest, Record, Time, upgrade};
use subtle::ConstantTimeEq;

use crate::{CryptoError, Keys, Purpose, labels};

pub(crate) fn hmac(key: &[u8], label: &str, message: &[u8]) -> Result<Digest, CryptoError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| CryptoError::BadMac)?;
    // Length-prefixed, so that label and message cannot run into each other.
    mac.update(&[u8::try_from(label.len()).map_err(|_| CryptoError::BadMac)?]);
    mac.update(label.as_bytes());
    mac.update(message);
    Ok(Digest(mac.finalize().into_bytes().into()))
}

pub(crate) fn equal(a: &Digest, b: &[u8]) -> bool {
    a.0.as_slice().ct_eq(b).into()
}

impl Keys {
    /// Fills in format and MAC: key id (8 bytes) and tag.
    pub fn mac_record(&self, record: Record) -> Result<Record, CryptoError> {
        let (id, key) = self.newest(Purpose::RowMac, None)?;
        let mut record = record.in_format(self.format());
        let tag = hmac(key, labels::RECORD_MAC, &record.canonical())?;
        record.mac = [id.to_be_bytes().as_slice(), &tag.0].concat();
        Ok(record)
    }

    pub fn check_record(&self, record: &Record) -> Result<(), CryptoError> {
        if !upgrade::reads(record.format) {
            return Err(CryptoError::UnknownFormat);
        }
        let (id, tag) = record.mac.split_first_chunk::<8>().ok_or(CryptoError::BadMac)?;
        let key = self.named(i64::from_be_bytes(*id), Purpose::RowMac, None)?;
        let expected = hmac(key, labels::RECORD_MAC, &record.canonical())?;
        if equal(&expected, tag) {
            Ok(())
        } else {
            Err(CryptoError::BadMac)
        }
    }

    pub fn mac_batch(&self, mut batch: Batch) -> Result<Batch, CryptoError> {
        let (id, key) = self.newest(Purpose::AuditMac, None)?;
        batch.key = id;
        batch.mac = hmac(key, labels::BATCH_MAC, &batch.canonical())?;
        Ok(batch)
    }

    pub fn check_batch(&self, batch: &Batch) -> Result<(), CryptoError> {
        let key = self.named(batch.key, Purpose::AuditMac, None)?;
        let expected = hmac(key, labels::BATCH_MAC, &batch.canonical())?;
        if equal(&expected, &batch.mac.0) {
            Ok(())
        } else {
            Err(CryptoError::BadMac)
        }
    }

    pub fn mac_boot(&self, canonical: &[u8]) -> Result<Digest, CryptoError> {
        let (_, key) = self.newest(Purpose::AuditMac, None)?;
        hmac(key, labels::BOOT_MAC, canonical)
    }

    /// The salt under which an unproven caller's source is hashed this month.
    pub fn month_salt(&self, now: Time) -> Result<Digest, CryptoError> {
        let (_, key) = self.newest(Purpose::AuditMac, None)?;
        hmac(key, labels::MONTH_SALT, now.month_name().as_bytes())
    }

    /// What an opaque token is looked up by, under every token-hash key, newest first.
    pub fn token_hashes(&self, token: &str) -> Result<Vec<Digest>, CryptoError> {
        let mut hashes = self
            .of_purpose(Purpose::TokenHash)
            .map(|(_, key)| hmac(key, labels::TOKEN_HASH, token.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        hashes.reverse();
        Ok(hashes)
    }

    /// The key's id and the keyed hash of a client secret.
    pub fn hash_client_secret(&self, secret: &str) -> Result<(i64, Digest), CryptoError> {
        let (id, key) = self.newest(Purpose::TokenHash, None)?;
        Ok((id, hmac(key, labels::CLIENT_SECRET, secret.as_bytes())?))
    }

    pub fn check_client_secret(&self, secret: &str, key: i64, hash: &Digest) -> bool {
        self.named(key, Purpose::TokenHash, None)
            .and_then(|key| hmac(key, labels::CLIENT_SECRET, secret.as_bytes()))
            .is_ok_and(|expected| equal(&expected, &hash.0))
    }

    /// What a used change id keeps of its request, and under which key.
    pub fn request_digest(&self, request: &[u8]) -> Result<(i64, Digest), CryptoError> {
        let (id, key) = self.newest(Purpose::TokenHash, None)?;
        Ok((id, hmac(key, labels::REQUEST_DIGEST, request)?))
    }

    pub fn check_request_digest(&self, request: &[u8], key: i64, digest: &Digest) -> bool {
        self.named(key, Purpose::TokenHash, None)
            .and_then(|key| hmac(key, labels::REQUEST_DIGEST, request))
            .is_ok_and(|expected| equal(&expected, &digest.0))
    }
}

/// Token accessor and source as one HMAC under a principal's salt, or under the month's for an unproven caller.
pub fn audit_identity(salt: &Digest, accessor: &str, source: &str) -> Result<Digest, CryptoError> {
    let message = strongroom_domain::canon::Canon::new(accessor).text(source).done();
    hmac(&salt.0, labels::AUDIT_IDENTITY, &message)
}

#[cfg(test)]
mod tests {
    use strongroom_domain::row::Key;
    use strongroom_domain::{Kind, NamespaceId, ObjectId, RowRev};

    use super::*;
    use crate::ring::keys;

    #[test]
    fn a_record_holds_only_as_it_was_written() {
        let keys = keys(0);
        let record = keys
            .mac_record(Record {
                body: b"{}".to_vec(),
                ..Record::blank(Key::new(NamespaceId([1; 16]), Kind::Role, "r"), ObjectId([2; 16]))
            })
            .unwrap();
        assert_eq!(keys.check_record(&record), Ok(()));
        let altered = [
            Record {
                namespace: NamespaceId([2; 16]),
                ..record.clone()
            },
            Record {
                kind: Kind::Policy,
                ..record.clone()
            },
            Record {
                id: ObjectId([3; 16]),
                ..record.clone()
            },
            Record {
                name: "s".into(),
                ..record.clone()
            },
            Record {
                rev: RowRev(2),
                ..record.clone()
            },
            Record {
                due: Some(Time(0)),
                ..record.clone()
            },
            Record {
                format: i16::MAX,
                ..record.clone()
            },
            Record {
                body: b"[]".to_vec(),
                ..record.clone()
            },
            Record {
                mac: vec![],
                ..record.clone()
            },
            Record {
                mac: vec![0; 40],
                ..record.clone()
            },
        ];
        for other in altered {
            assert!(keys.check_record(&other).is_err(), "{other:?}");
        }
        let newer = record.in_format(i16::MAX);
        assert_eq!(keys.check_record(&newer), Err(CryptoError::UnknownFormat));
    }
}
