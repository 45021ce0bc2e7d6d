//! The value of a secret that is a signing key: `{"private":…,"next":…,"jwks":{"keys":[…]}}`. Signers sign with `private`,
//! verifiers publish `jwks`. The next key is published for one rotation before it signs, and one that signed for one
//! rotation after, so that neither side has to hear of a rotation at the same time as the other.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_domain::{Payload, PayloadKind};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{CryptoError, Random};

/// More than any value has: it is written without being moved, which would leave copies behind.
const CAPACITY: usize = 2048;

/// The value that follows `current`; the first one where there is none.
pub fn next_signing_key(current: Option<&Payload>, random: Random<'_>) -> Result<Payload, CryptoError> {
    let fresh = || KeyPair::new(Zeroizing::new(random()));
    match current {
        None => write(None, &fresh()?, &fresh()?),
        Some(current) => {
            let (private, next) = read(current)?;
            write(Some(&private), &next, &fresh()?)
        }
    }
}

/// Ed25519 (RFC 8037).
struct KeyPair {
    seed: Zeroizing<[u8; 32]>,
    public: String,
}

impl KeyPair {
    fn new(seed: Zeroizing<[u8; 32]>) -> Result<Self, CryptoError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| CryptoError::MalformedSigningKey)?;
        Ok(Self {
            public: BASE64URL_NOPAD.encode(pair.public_key().as_ref()),
            seed,
        })
    }

    fn read(jwk: &Stored<'_>) -> Result<Self, CryptoError> {
        let malformed = CryptoError::MalformedSigningKey;
        let seed = BASE64URL_NOPAD.decode(jwk.d.as_bytes()).map(Zeroizing::new);
        let seed = seed.map_err(|_| malformed)?.as_slice().try_into().map(Zeroizing::new);
        let pair = Self::new(seed.map_err(|_| malformed)?)?;
        let is_ours =
            jwk.kty == "OKP" && jwk.crv == "Ed25519" && bool::from(jwk.x.as_bytes().ct_eq(pair.public.as_bytes()));
        is_ours.then_some(pair).ok_or(malformed)
    }

    fn jwk<'a>(&'a self, d: Option<&'a str>) -> Jwk<'a> {
        Jwk {
            kty: "OKP",
            crv: "Ed25519",
            usage: "sig",
            alg: "EdDSA",
            kid: self.thumbprint(),
            x: &self.public,
            d,
        }
    }

    /// RFC 7638, so that a key has the same id wherever it is met.
    fn thumbprint(&self) -> String {
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.public);
        BASE64URL_NOPAD.encode(&Sha256::digest(members))
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(self.seed.as_slice()))
    }
}

/// What is read back: all else follows from it.
#[derive(Deserialize)]
struct StoredKeys<'a> {
    #[serde(borrow)]
    private: Stored<'a>,
    #[serde(borrow)]
    next: Stored<'a>,
}

#[derive(Deserialize)]
struct Stored<'a> {
    kty: &'a str,
    crv: &'a str,
    x: &'a str,
    d: &'a str,
}

#[derive(Serialize)]
struct Keys<'a> {
    private: Jwk<'a>,
    next: Jwk<'a>,
    jwks: KeySet<'a>,
}

#[derive(Serialize)]
struct KeySet<'a> {
    keys: Vec<Jwk<'a>>,
}

#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<&'a str>,
}

fn read(current: &Payload) -> Result<(KeyPair, KeyPair), CryptoError> {
    let stored: StoredKeys<'_> =
        serde_json::from_slice(&current.bytes).map_err(|_| CryptoError::MalformedSigningKey)?;
    Ok((KeyPair::read(&stored.private)?, KeyPair::read(&stored.next)?))
}

fn write(previous: Option<&KeyPair>, private: &KeyPair, next: &KeyPair) -> Result<Payload, CryptoError> {
    let (private_text, next_text) = (private.text(), next.text());
    let published = previous.into_iter().chain([private, next]);
    let keys = Keys {
        private: private.jwk(Some(private_text.as_str())),
        next: next.jwk(Some(next_text.as_str())),
        jwks: KeySet {
            keys: published.map(|pair| pair.jwk(None)).collect(),
        },
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(CAPACITY));
    serde_json::to_writer(&mut *bytes, &keys).map_err(|_| CryptoError::MalformedSigningKey)?;
    Ok(Payload {
        kind: PayloadKind::Json,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Another seed by each call.
    fn chance() -> impl Fn() -> [u8; 32] {
        let calls = Cell::new(0);
        move || {
            calls.set(calls.get() + 1);
            [calls.get(); 32]
        }
    }

    fn value(payload: &Payload) -> Value {
        serde_json::from_slice(&payload.bytes).unwrap()
    }

    fn payload(value: &Value) -> Payload {
        Payload::json(value.to_string()).unwrap()
    }

    fn published(value: &Value) -> Vec<&str> {
        let keys = value["jwks"]["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap()).collect()
    }

    /// RFC 8037, appendices A.1 to A.3.
    #[test]
    fn the_published_key() {
        let jwk = Stored {
            kty: "OKP",
            crv: "Ed25519",
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        };
        let pair = KeyPair::read(&jwk).unwrap();
        assert_eq!(pair.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_after() {
        let random = chance();
        let mut values = vec![next_signing_key(None, &random).unwrap()];
        for _ in 0..4 {
            values.push(next_signing_key(values.last(), &random).unwrap());
        }
        assert!(
            values
                .iter()
                .all(|value| value.bytes.capacity() == CAPACITY && value.kind == PayloadKind::Json)
        );
        let values: Vec<Value> = values.iter().map(value).collect();
        let kid = |value: &Value, name: &str| value[name]["kid"].as_str().unwrap().to_owned();
        assert_eq!(
            published(&values[0]),
            [kid(&values[0], "private"), kid(&values[0], "next")]
        );
        for pair in values.windows(2) {
            let [before, after] = pair else { unreachable!() };
            assert_eq!(
                after["private"], before["next"],
                "it has the same id as when it was published"
            );
            let expected = [kid(before, "private"), kid(after, "private"), kid(after, "next")];
            assert_eq!(published(after), expected);
        }
        let mut all: Vec<String> = values.iter().map(|value| kid(value, "private")).collect();
        all.dedup();
        assert_eq!(all.len(), 5);
    }

    /// Whatever of two values in a row a signer and a verifier have.
    #[test]
    fn what_one_side_signs_the_other_verifies() {
        let random = chance();
        let first = next_signing_key(None, &random).unwrap();
        let second = next_signing_key(Some(&first), &random).unwrap();
        let third = next_signing_key(Some(&second), &random).unwrap();
        for (signer, verifier, good) in [
            (&second, &second, true),
            (&second, &third, true),
            (&third, &second, true),
            (&first, &third, false),
        ] {
            let (signer, verifier) = (value(signer), value(verifier));
            let bytes = |text: &Value| BASE64URL_NOPAD.decode(text.as_str().unwrap().as_bytes()).unwrap();
            let pair = Ed25519KeyPair::from_seed_unchecked(&bytes(&signer["private"]["d"])).unwrap();
            let signature = pair.sign(b"message");
            let keys = verifier["jwks"]["keys"].as_array().unwrap();
            assert!(keys.iter().all(|key| key.get("d").is_none() && key["alg"] == "EdDSA"));
            let known = keys.iter().find(|key| key["kid"] == signer["private"]["kid"]);
            let verified = known.map(|key| UnparsedPublicKey::new(&ED25519, bytes(&key["x"])));
            assert_eq!(
                verified.is_some_and(|key| key.verify(b"message", signature.as_ref()).is_ok()),
                good
            );
        }
    }

    /// A value that is not one of these is somebody's, and stays.
    #[test]
    fn what_is_no_signing_key_is_refused() {
        let good = value(&next_signing_key(None, &chance()).unwrap());
        let with = |pointer: &str, part: Value| {
            let mut value = good.clone();
            *value.pointer_mut(pointer).unwrap() = part;
            payload(&value)
        };
        for wrong in [
            Payload::text("secret".into()),
            payload(&json!({ "private": good["private"] })),
            with("/next", good["jwks"]["keys"][1].clone()),
            with("/private/x", good["next"]["x"].clone()),
            with("/private/d", json!("AQ")),
            with("/private/d", json!("*")),
            with("/private/kty", json!("EC")),
            with("/next/crv", json!("X25519")),
        ] {
            let refused = next_signing_key(Some(&wrong), &chance()).unwrap_err();
            assert_eq!(refused, CryptoError::MalformedSigningKey);
        }
        assert!(next_signing_key(Some(&with("/jwks/keys", json!([]))), &chance()).is_ok());
    }

    proptest! {
        #[test]
        fn any_value_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(next_signing_key(Some(&Payload::binary(bytes)), &chance()).is_err());
        }
    }
}
