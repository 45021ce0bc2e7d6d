//! JSON Web Key Sets (RFC 7517) of others. A key takes the algorithms of its kind, or the one that it names, and is found by
//! its id alone.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::Value;
use strongroom_domain::method::Algorithm;

use crate::CryptoError;

const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
/// Bytes of an RSA modulus: 2,048 to 8,192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
const MAX_EXPONENT: usize = 8;

/// What the keys of a set are published for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// `sig`, or not said.
    Signatures,
    /// `jwt-svid`, and said.
    JwtSvid,
}

/// The keys of one issuer that can be used.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    id: String,
    algorithms: Vec<Algorithm>,
    public: Public,
}

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point on a curve, as its algorithm reads it.
    Point(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members that are known, of any kind of key.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Of private and of shared keys.
    d: Option<Value>,
    k: Option<Value>,
}

impl KeySet {
    /// Keys that cannot be used are passed over, as the standard asks: other kinds, other uses, weak ones, private ones,
    /// those without an id. A set that is none, or too large, is refused.
    pub fn parse(json: &[u8], usage: KeyUse) -> Result<Self, CryptoError> {
        if json.len() > MAX_BYTES {
            return Err(CryptoError::BadKeySet);
        }
        let document: Document = serde_json::from_slice(json).map_err(|_| CryptoError::BadKeySet)?;
        if document.keys.len() > MAX_KEYS {
            return Err(CryptoError::BadKeySet);
        }
        let keys = document.keys.into_iter().filter_map(|value| key(value, usage));
        Ok(Self(keys.collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key of this id is there, whatever it can be used for.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// Whether the one key of this id that takes this algorithm made the signature. Two of them would be a choice, and
    /// the choice is nobody's.
    pub(super) fn verifies(&self, id: &str, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.id == id && key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => key.public.verifies(algorithm, message, signature),
            _ => false,
        }
    }
}

impl Public {
    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &RsaParameters| match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(parameters, message, signature)
                .is_ok(),
            Self::Point(_) => false,
        };
        let point = |verifier: &'static dyn VerificationAlgorithm| match self {
            Self::Point(point) => UnparsedPublicKey::new(verifier, point)
                .verify(message, signature)
                .is_ok(),
            Self::Rsa { .. } => false,
        };
        match algorithm {
            Algorithm::Rs256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => point(&ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => point(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => point(&ED25519),
        }
    }
}

fn key(value: Value, usage: KeyUse) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let used = match usage {
        KeyUse::Signatures => jwk.usage.as_deref().is_none_or(|usage| usage == "sig"),
        KeyUse::JwtSvid => jwk.usage.as_deref() == Some("jwt-svid"),
    };
    let verifies = |operations: &Vec<String>| operations.iter().any(|operation| operation == "verify");
    if !used || !jwk.key_ops.as_ref().is_none_or(verifies) || jwk.d.is_some() || jwk.k.is_some() {
        return None;
    }
    let id = jwk.kid.clone().filter(|id| is_key_id(id))?;
    let (public, mut algorithms) = public(&jwk)?;
    if let Some(named) = &jwk.alg {
        let named = Algorithm::parse(named)?;
        algorithms.retain(|algorithm| *algorithm == named);
    }
    (!algorithms.is_empty()).then_some(Key { id, algorithms, public })
}

/// What is looked up: 1 to 128 of letters, digits, `_`, `-` and `.`.
pub(super) fn is_key_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn public(jwk: &Jwk) -> Option<(Public, Vec<Algorithm>)> {
    let member = |member: &Option<String>| BASE64URL_NOPAD.decode(member.as_deref()?.as_bytes()).ok();
    let coordinate = |text: &Option<String>, bytes| member(text).filter(|found| found.len() == bytes);
    match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (number(&member(&jwk.n)?), number(&member(&jwk.e)?));
            let strong = MODULUS.contains(&n.len()) && n.first().is_some_and(|first| n.len() > 256 || *first >= 0x80);
            let rsa = Algorithm::ALL.into_iter().filter(|algorithm| {
                matches!(
                    algorithm,
                    Algorithm::Rs256
                        | Algorithm::Rs384
                        | Algorithm::Rs512
                        | Algorithm::Ps256
                        | Algorithm::Ps384
                        | Algorithm::Ps512
                )
            });
            (strong && e.len() <= MAX_EXPONENT).then(|| (Public::Rsa { n, e }, rsa.collect()))
        }
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            let (bytes, algorithm) = if curve == "P-256" {
                (32, Algorithm::Es256)
            } else {
                (48, Algorithm::Es384)
            };
            let (x, y) = (coordinate(&jwk.x, bytes)?, coordinate(&jwk.y, bytes)?);
            let point = [&[4_u8], x.as_slice(), &y].concat();
            Some((Public::Point(point), vec![algorithm]))
        }
        ("OKP", Some("Ed25519")) => Some((Public::Point(coordinate(&jwk.x, 32)?), vec![Algorithm::EdDsa])),
        _ => None,
    }
}

/// Without the zeros before it, which some write and the library does not take.
fn number(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}
