//! Access tokens: JWTs (RFC 7519) in the profile of RFC 9068, signed with Ed25519 (RFC 8037). The checks are those of
//! RFC 8725: one algorithm bound to the key, `kid` an exact look-up, no header that points elsewhere, every claim typed
//! and required. Time is an argument, so the library's own clock checks are off and ours stand in [`Keys::verify`].

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strongroom_domain::grant::{Generation, MAX_ACCESS_TOKEN_TTL};
use strongroom_domain::{NamespaceId, ObjectId, PrincipalId, Time};
use zeroize::Zeroize;

use crate::{CryptoError, Keys, Purpose, Random};

pub const TOKEN_TYPE: &str = "at+jwt";
/// Seconds by which a verifier's and an issuer's clock may differ.
const LEEWAY: i64 = 30;
const MAX_BYTES: usize = 8192;
/// Seconds for which others may keep the published keys: a new one signs only after that.
pub const KEYS_FRESH_FOR: u32 = 300;
/// What a new signing key waits, so that who keeps the published keys has seen it: twice that time.
const PUBLISHED_BEFORE: Duration = Duration::from_secs(2 * KEYS_FRESH_FOR as u64);
/// After this no token can hold that a key signed before another took its place.
const OUTLIVED: Duration = Duration::from_secs(MAX_ACCESS_TOKEN_TTL as u64 + LEEWAY as u64);

/// Who issues, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    pub issuer: String,
    pub audience: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: PrincipalId,
    /// A client's id; of who logged in by another method, the principal's.
    pub client_id: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: String,
    pub namespace: NamespaceId,
    /// The login method's name.
    pub method: String,
    pub role: String,
    /// Of a client's login: which of its secrets it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<ObjectId>,
    pub generations: Generations,
}

/// Those of what the token was issued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Generations {
    pub principal: Generation,
    /// Of a client's login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Generation>,
    pub role: Generation,
    pub method: Generation,
}

/// What namespace a token says it is of, unproven: where to look for what proves it, and compared with that.
pub fn claimed_namespace(token: &str) -> Option<NamespaceId> {
    #[derive(Deserialize)]
    struct Claimed {
        namespace: NamespaceId,
    }
    let payload = token.split('.').nth(1).filter(|_| token.len() <= MAX_BYTES)?;
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let claimed: Claimed = serde_json::from_slice(&payload).ok()?;
    Some(claimed.namespace)
}

fn key_pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, CryptoError> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::UnknownKey)
}

fn kid(id: i64) -> String {
    format!("k{id}")
}

impl Keys {
    /// Signs with the newest key that has been published for long enough; where none has, with the oldest there is.
    pub fn sign(&self, claims: &Claims, now: Time) -> Result<String, CryptoError> {
        let mut keys = self.of_purpose(Purpose::TokenSigning);
        let oldest = keys.next().ok_or(CryptoError::UnknownKey)?;
        let ready = keys.filter(|(id, _)| self.made_at(*id).is_some_and(|at| at + PUBLISHED_BEFORE <= now));
        let (id, seed) = ready.last().unwrap_or(oldest);
        let document = key_pair(seed)?.to_pkcs8().map_err(|_| CryptoError::UnknownKey)?;
        let mut der = document.as_ref().to_vec();
        let header = Header {
            typ: Some(TOKEN_TYPE.into()),
            kid: Some(kid(id)),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&der));
        der.zeroize();
        token.map_err(|_| CryptoError::BadToken)
    }

    /// The claims of a token that holds now, and the id of the key that signed it.
    pub fn verify(&self, token: &str, issuer: &Issuer, now: Time) -> Result<(Claims, i64), CryptoError> {
        if token.len() > MAX_BYTES || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(CryptoError::BadToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| CryptoError::BadToken)?;
        let points_elsewhere = header.jku.is_some()
            || header.jwk.is_some()
            || header.x5u.is_some()
            || header.x5c.is_some()
            || header.x5t.is_some()
            || header.x5t_s256.is_some()
            || header.crit.is_some()
            || header.cty.is_some();
        if points_elsewhere || header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(CryptoError::BadToken);
        }
        let named = header.kid.ok_or(CryptoError::BadToken)?;
        let (id, seed) = self
            .of_purpose(Purpose::TokenSigning)
            .find(|(id, _)| kid(*id) == named)
            .ok_or(CryptoError::BadToken)?;
        let public = BASE64URL_NOPAD.encode(key_pair(seed)?.public_key().as_ref());
        let key = DecodingKey::from_ed_components(&public).map_err(|_| CryptoError::BadToken)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&issuer.issuer]);
        validation.set_audience(&[&issuer.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| CryptoError::BadToken)?
            .claims;
        let now = now.seconds();
        let in_time = claims.exp > now
            && claims.nbf <= now.saturating_add(LEEWAY)
            && claims.iat <= now.saturating_add(LEEWAY)
            && claims.iat <= claims.exp
            && claims.exp.saturating_sub(claims.iat) <= i64::from(MAX_ACCESS_TOKEN_TTL);
        if in_time && claims.iss == issuer.issuer && claims.aud == issuer.audience {
            Ok((claims, id))
        } else {
            Err(CryptoError::BadToken)
        }
    }

    /// The same ring with one more key to sign tokens, which is published at once and signs later. The ones before go on.
    pub fn with_next_token_signing(&self, now: Time, random: Random<'_>) -> Result<Self, CryptoError> {
        self.with_key(Purpose::TokenSigning, None, now, random)
    }

    /// When the newest signing key was made.
    pub fn token_signing_made_at(&self) -> Option<Time> {
        let newest = self.of_purpose(Purpose::TokenSigning).last();
        newest.and_then(|(id, _)| self.made_at(id))
    }

    /// The newest signing key that has signed for so long that no token of an older one can hold, if there is an older one.
    pub fn outlived_signing_keys(&self, now: Time) -> Option<i64> {
        let mut keys = self.of_purpose(Purpose::TokenSigning);
        keys.next()?;
        let long_signing = |id: &i64| {
            self.made_at(*id)
                .is_some_and(|at| at + PUBLISHED_BEFORE + OUTLIVED <= now)
        };
        keys.map(|(id, _)| id).filter(long_signing).last()
    }

    /// The public signing keys, as RFC 7517 writes them.
    pub fn jwks(&self) -> Result<serde_json::Value, CryptoError> {
        let mut keys = Vec::new();
        for (id, seed) in self.of_purpose(Purpose::TokenSigning) {
            let public = BASE64URL_NOPAD.encode(key_pair(seed)?.public_key().as_ref());
            keys.push(serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid(id), "x": public,
            }));
        }
        Ok(serde_json::json!({ "keys": keys }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ring::keys;

    const NOW: Time = Time(1_000_000_000_000);

    fn issuer() -> Issuer {
        Issuer {
            issuer: "https://s".into(),
            audience: "strongroom".into(),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://s", "aud": "strongroom", "sub": PrincipalId([2; 16]), "client_id": "c",
            "iat": 1_000_000, "nbf": 1_000_000, "exp": 1_000_300, "jti": "j",
            "namespace": NamespaceId([1; 16]), "role": "r", "method": "client", "credential": ObjectId([4; 16]),
            "generations": {"principal": 1, "client": 2, "role": 3, "method": 0},
        })
    }

    fn forge(header: &Value, claims: &Value) -> String {
        let keys = keys(0);
        let (_, seed) = keys.newest(Purpose::TokenSigning, None).unwrap();
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = key_pair(seed).unwrap().sign(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    fn header() -> Value {
        let (id, _) = keys(0)
            .newest(Purpose::TokenSigning, None)
            .map(|(id, key)| (id, *key))
            .unwrap();
        json!({"typ": TOKEN_TYPE, "alg": "EdDSA", "kid": kid(id)})
    }

    fn with(mut value: Value, key: &str, new: Value) -> Value {
        value[key] = new;
        value
    }

    fn without(mut value: Value, key: &str) -> Value {
        value.as_object_mut().unwrap().remove(key);
        value
    }

    #[test]
    fn ours_verify_until_they_expire() {
        let keys = keys(0);
        let claims: Claims = serde_json::from_value(claims()).unwrap();
        let token = keys.sign(&claims, NOW).unwrap();
        assert_eq!(keys.verify(&token, &issuer(), NOW).unwrap().0, claims);
        let at = |seconds: i64| keys.verify(&token, &issuer(), Time(seconds * 1_000_000));
        assert!(at(1_000_299).is_ok());
        assert_eq!(
            at(1_000_300).unwrap_err(),
            CryptoError::BadToken,
            "expired means refused at once"
        );
        assert_eq!(at(999_900).unwrap_err(), CryptoError::BadToken);
    }

    #[test]
    fn a_new_signing_key_voids_every_token_and_nothing_else() {
        let keys = keys(0);
        let claims: Claims = serde_json::from_value(claims()).unwrap();
        let token = keys.sign(&claims, NOW).unwrap();
        let newer = keys.with_new_token_signing(Time(2), &|| [77; 32]).unwrap();
        assert_eq!(newer.verify(&token, &issuer(), NOW).unwrap_err(), CryptoError::BadToken);
        let again = newer.sign(&claims, NOW).unwrap();
        assert!(newer.verify(&again, &issuer(), NOW).is_ok());
        assert!(keys.verify(&again, &issuer(), NOW).is_err(), "its id was never used");
        assert_eq!(newer.jwks().unwrap()["keys"].as_array().unwrap().len(), 1);
        let (id, hash) = keys.hash_client_secret("src_x").unwrap();
        assert!(newer.check_client_secret("src_x", id, &hash));
    }

    #[test]
    fn a_new_key_is_published_first_and_the_old_one_goes_last() {
        let first = keys(0);
        let claims: Claims = serde_json::from_value(claims()).unwrap();
        let made = NOW;
        let both = first.with_next_token_signing(made, &|| [77; 32]).unwrap();
        let at = |seconds: i64| Time(made.0 + seconds * 1_000_000);
        let kid_at = |seconds: i64| {
            let token = both.sign(&claims, at(seconds)).unwrap();
            jsonwebtoken::decode_header(&token).unwrap().kid.unwrap()
        };
        let published = both.jwks().unwrap();
        assert_eq!(published["keys"].as_array().unwrap().len(), 2, "both at once");
        let (old, new) = (published["keys"][0]["kid"].clone(), published["keys"][1]["kid"].clone());
        assert_eq!(
            (kid_at(0), kid_at(599)),
            (old.as_str().unwrap().into(), old.as_str().unwrap().into())
        );
        assert_eq!(kid_at(600), new.as_str().unwrap());
        let token = first.sign(&claims, NOW).unwrap();
        assert!(
            both.verify(&token, &issuer(), NOW).is_ok(),
            "what was issued before goes on"
        );
        assert_eq!(both.outlived_signing_keys(at(600 + 3600 + 29)), None);
        let newest = both.outlived_signing_keys(at(600 + 3600 + 30)).unwrap();
        let left = both.without_token_signing_before(newest).unwrap();
        assert_eq!(left.jwks().unwrap()["keys"], serde_json::json!([published["keys"][1]]));
        assert_eq!(left.outlived_signing_keys(at(i64::from(u32::MAX))), None);
        assert!(left.verify(&token, &issuer(), NOW).is_err());
    }

    #[test]
    fn a_claimed_namespace_is_read_from_anything() {
        let token = keys(0).sign(&serde_json::from_value(claims()).unwrap(), NOW).unwrap();
        assert_eq!(claimed_namespace(&token), Some(NamespaceId([1; 16])));
        for wrong in ["", "srs_x", "a.b.c", "..", "a.e30.c"] {
            assert_eq!(claimed_namespace(wrong), None);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let keys = keys(0);
        assert!(keys.verify(&forge(&header(), &claims()), &issuer(), NOW).is_ok());
        let mut bad = vec![
            String::new(),
            "a.b".into(),
            "a.b.c".into(),
            "a.b.c.d".into(),
            "x".repeat(9000),
        ];
        for key in [
            "iss",
            "aud",
            "sub",
            "client_id",
            "iat",
            "nbf",
            "exp",
            "jti",
            "namespace",
            "role",
            "method",
            "generations",
        ] {
            bad.push(forge(&header(), &without(claims(), key)));
            bad.push(forge(&header(), &with(claims(), key, json!(["x"]))));
            bad.push(forge(&header(), &with(claims(), key, json!({}))));
        }
        for key in ["iat", "nbf", "exp"] {
            bad.push(forge(&header(), &with(claims(), key, json!("1000300"))));
            bad.push(forge(&header(), &with(claims(), key, json!(i64::MAX))));
        }
        bad.push(forge(&header(), &with(claims(), "aud", json!(["strongroom", "other"]))));
        bad.push(forge(&header(), &with(claims(), "aud", json!([]))));
        bad.push(forge(&header(), &with(claims(), "exp", json!(1_004_000))));
        for (key, value) in [
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("alg", json!("ES256")),
            ("typ", json!("JWT")),
            ("kid", json!("other")),
            ("jku", json!("https://evil")),
            ("x5u", json!("https://evil")),
            ("crit", json!(["x"])),
            ("cty", json!("JWT")),
        ] {
            bad.push(forge(&with(header(), key, value), &claims()));
        }
        bad.push(forge(&without(header(), "kid"), &claims()));
        bad.push(forge(&without(header(), "typ"), &claims()));
        // The public key in several encodings as an HMAC secret.
        let public = keys.jwks().unwrap()["keys"][0]["x"].as_str().unwrap().to_owned();
        let raw = BASE64URL_NOPAD.decode(public.as_bytes()).unwrap();
        let hex = data_encoding::HEXLOWER.encode(&raw).into_bytes();
        for secret in [raw, hex, public.into_bytes()] {
            let head = Header {
                typ: Some(TOKEN_TYPE.into()),
                kid: Some("k5".into()),
                ..Header::new(Algorithm::HS256)
            };
            bad.push(jsonwebtoken::encode(&head, &claims(), &EncodingKey::from_secret(&secret)).unwrap());
        }
        let good = forge(&header(), &claims());
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            if altered != good {
                bad.push(altered);
            }
        }
        for token in bad {
            assert_eq!(
                keys.verify(&token, &issuer(), NOW).unwrap_err(),
                CryptoError::BadToken,
                "{token}"
            );
        }
    }
}
