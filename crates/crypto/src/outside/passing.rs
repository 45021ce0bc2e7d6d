//! What outside logins need of the ring: who stands behind a subject, the secret that a method shows to the other side,
//! and a login's state on its way through the browser.

use data_encoding::BASE64URL_NOPAD;
use strongroom_domain::canon::Canon;
use strongroom_domain::{Kind, NamespaceId, ObjectId, PrincipalId};
use zeroize::Zeroizing;

use crate::mac::hmac;
use crate::seal::{self, Place, Sealed};
use crate::{CryptoError, Keys, Purpose, labels};

fn method_place(namespace: NamespaceId, method: ObjectId, key: i64) -> Place<'static> {
    Place {
        label: labels::METHOD_SECRET,
        namespace,
        kind: Kind::Method,
        row: method,
        path: "",
        version: 1,
        payload: 0,
        epoch: key,
    }
}

fn state_place(label: &'static str, namespace: NamespaceId, epoch: i64) -> Place<'static> {
    Place {
        label,
        namespace,
        kind: Kind::UsedState,
        row: ObjectId([0; 16]),
        path: "",
        version: 1,
        payload: 0,
        epoch,
    }
}

impl Keys {
    /// Who a method's subject is, under every key, newest first: whoever logged in once stays the same.
    pub fn outside_principals(
        &self,
        method: ObjectId,
        issuer: &str,
        subject: &str,
    ) -> Result<Vec<PrincipalId>, CryptoError> {
        let who = Canon::new("subject")
            .bytes(method.as_slice())
            .text(issuer)
            .text(subject)
            .done();
        let id = |key: &[u8; 32]| {
            let digest = hmac(key, labels::OUTSIDE_PRINCIPAL, &who)?;
            let id = digest.0.first_chunk().ok_or(CryptoError::BadMac)?;
            Ok(PrincipalId(*id))
        };
        let mut ids = self
            .of_purpose(Purpose::TokenHash)
            .map(|(_, key)| id(key))
            .collect::<Result<Vec<_>, CryptoError>>()?;
        ids.reverse();
        Ok(ids)
    }

    /// Under a key that outlives data epochs, which end while nobody seals methods anew. `salt` must be fresh.
    pub fn seal_method_secret(
        &self,
        namespace: NamespaceId,
        method: ObjectId,
        salt: [u8; 32],
        secret: &[u8],
    ) -> Result<(i64, Vec<u8>), CryptoError> {
        let (id, key) = self.newest(Purpose::TokenHash, None)?;
        let sealed = seal::seal(key, salt, &method_place(namespace, method, id), secret)?;
        Ok((id, sealed.to_bytes()))
    }

    pub fn open_method_secret(
        &self,
        namespace: NamespaceId,
        method: ObjectId,
        key: i64,
        bytes: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let place = method_place(namespace, method, key);
        let (key, sealed) = (self.named(key, Purpose::TokenHash, None)?, Sealed::from_bytes(bytes)?);
        seal::open(key, &place, &sealed.salt, &sealed.commitment, &sealed.sealed)
    }

    /// A login's state, as a URL can carry it. `salt` must be fresh.
    pub fn seal_state(&self, namespace: NamespaceId, salt: [u8; 32], state: &[u8]) -> Result<String, CryptoError> {
        self.seal_for_url(labels::LOGIN_STATE, namespace, salt, state)
    }

    pub fn open_state(&self, namespace: NamespaceId, state: &str) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.open_from_url(labels::LOGIN_STATE, namespace, state)
    }

    /// What opens a stream of flags' changes, the same way.
    pub fn seal_stream(&self, namespace: NamespaceId, salt: [u8; 32], stream: &[u8]) -> Result<String, CryptoError> {
        self.seal_for_url(labels::FLAG_STREAM, namespace, salt, stream)
    }

    pub fn open_stream(&self, namespace: NamespaceId, stream: &str) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.open_from_url(labels::FLAG_STREAM, namespace, stream)
    }

    fn seal_for_url(
        &self,
        label: &'static str,
        namespace: NamespaceId,
        salt: [u8; 32],
        bytes: &[u8],
    ) -> Result<String, CryptoError> {
        let (epoch, key) = self.newest(Purpose::Data, Some(namespace))?;
        let sealed = seal::seal(key, salt, &state_place(label, namespace, epoch), bytes)?;
        Ok(BASE64URL_NOPAD.encode(&[epoch.to_be_bytes().as_slice(), &sealed.to_bytes()].concat()))
    }

    fn open_from_url(
        &self,
        label: &'static str,
        namespace: NamespaceId,
        text: &str,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let bytes = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| CryptoError::Unopened)?;
        let (epoch, sealed) = bytes.split_first_chunk::<8>().ok_or(CryptoError::Unopened)?;
        let epoch = i64::from_be_bytes(*epoch);
        let (key, sealed) = (
            self.named(epoch, Purpose::Data, Some(namespace))?,
            Sealed::from_bytes(sealed)?,
        );
        let place = state_place(label, namespace, epoch);
        seal::open(key, &place, &sealed.salt, &sealed.commitment, &sealed.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::keys;

    #[test]
    fn a_subject_is_one_principal_of_one_method_and_issuer() {
        let keys = keys(0);
        let id = |method, issuer: &str, subject: &str| {
            keys.outside_principals(ObjectId([method; 16]), issuer, subject)
                .unwrap()[0]
        };
        let ids = [
            id(1, "i", "s"),
            id(2, "i", "s"),
            id(1, "is", ""),
            id(1, "", "is"),
            id(1, "i", "t"),
        ];
        for (at, a) in ids.iter().enumerate() {
            assert!(ids.iter().skip(at + 1).all(|b| a != b));
        }
        assert_eq!(ids[0], id(1, "i", "s"));
    }

    #[test]
    fn a_methods_secret_opens_in_its_place_alone() {
        let keys = keys(0);
        let (namespace, method) = (NamespaceId([1; 16]), ObjectId([2; 16]));
        let (key, sealed) = keys.seal_method_secret(namespace, method, [3; 32], b"hunter2").unwrap();
        let opened = keys.open_method_secret(namespace, method, key, &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"hunter2");
        assert!(
            keys.open_method_secret(namespace, ObjectId([3; 16]), key, &sealed)
                .is_err()
        );
        assert!(
            keys.open_method_secret(NamespaceId([2; 16]), method, key, &sealed)
                .is_err()
        );
        assert!(keys.open_method_secret(namespace, method, key + 1, &sealed).is_err());
    }
}
