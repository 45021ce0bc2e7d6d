//! Access tokens: JWTs (RFC 7519) in the profile of RFC 9068, signed with Ed25519 (RFC 8037). The checks are those of
//! RFC 8725: one algorithm bound to the key, `kid` an exact look-up, no header that points elsewhere, every claim typed
//! and required. Time is an argument, so the library's own clock checks are off and ours stand in [`Keys::verify`].

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strongroom_domain::{NamespaceId, ObjectId, PrincipalId, Time};
use zeroize::Zeroize;

use crate::{CryptoError, Keys, Purpose};

pub const TOKEN_TYPE: &str = "at+jwt";
/// Seconds by which a verifier's and an issuer's clock may differ.
const LEEWAY: i64 = 30;
const MAX_BYTES: usize = 8192;

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
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: String,
    pub namespace: NamespaceId,
    #[serde(flatten)]
    pub bearer: Bearer,
}

/// Whose token it is, by a claim that says so: a token of one kind can never be read as one of the other. An operator's
/// has no `client_id`, so that nobody who verifies it takes it for a workload's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "principal_kind", rename_all = "snake_case")]
pub enum Bearer {
    Workload {
        client_id: String,
        role: String,
    },
    Operator {
        operator: ObjectId,
        /// Names the password that it was had for.
        credential: ObjectId,
    },
}

fn key_pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, CryptoError> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::UnknownKey)
}

fn kid(id: i64) -> String {
    format!("k{id}")
}

impl Keys {
    pub fn sign(&self, claims: &Claims) -> Result<String, CryptoError> {
        let (id, seed) = self.newest(Purpose::TokenSigning, None)?;
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
            && claims.exp.saturating_sub(claims.iat) <= i64::from(strongroom_domain::grant::MAX_ACCESS_TOKEN_TTL);
        if in_time && claims.iss == issuer.issuer && claims.aud == issuer.audience {
            Ok((claims, id))
        } else {
            Err(CryptoError::BadToken)
        }
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
            "namespace": NamespaceId([1; 16]), "role": "r", "principal_kind": "workload",
        })
    }

    fn operators() -> Value {
        let mut claims = claims();
        let fields = claims.as_object_mut().unwrap();
        fields.retain(|name, _| name != "client_id" && name != "role");
        fields.insert("principal_kind".into(), json!("operator"));
        fields.insert("operator".into(), json!(ObjectId([3; 16])));
        fields.insert("credential".into(), json!(ObjectId([4; 16])));
        claims
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
        let token = keys.sign(&claims).unwrap();
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
        let token = keys.sign(&claims).unwrap();
        let newer = keys.with_new_token_signing(Time(2), &|| [77; 32]).unwrap();
        assert_eq!(newer.verify(&token, &issuer(), NOW).unwrap_err(), CryptoError::BadToken);
        let again = newer.sign(&claims).unwrap();
        assert!(newer.verify(&again, &issuer(), NOW).is_ok());
        assert!(keys.verify(&again, &issuer(), NOW).is_err(), "its id was never used");
        assert_eq!(newer.jwks().unwrap()["keys"].as_array().unwrap().len(), 1);
        let (id, hash) = keys.hash_client_secret("src_x").unwrap();
        assert!(newer.check_client_secret("src_x", id, &hash));
    }

    #[test]
    fn whose_a_token_is_stands_in_one_claim() {
        let keys = keys(0);
        let bearer = |claims: &Value| {
            let read = keys.verify(&forge(&header(), claims), &issuer(), NOW);
            read.map(|(claims, _)| claims.bearer)
        };
        let workload = Bearer::Workload {
            client_id: "c".into(),
            role: "r".into(),
        };
        let operator = Bearer::Operator {
            operator: ObjectId([3; 16]),
            credential: ObjectId([4; 16]),
        };
        assert_eq!(bearer(&claims()).unwrap(), workload);
        assert_eq!(bearer(&operators()).unwrap(), operator);
        let signed: Claims = serde_json::from_value(operators()).unwrap();
        assert_eq!(
            keys.verify(&keys.sign(&signed).unwrap(), &issuer(), NOW).unwrap().0,
            signed
        );
        // All the fields of both, and the claim alone decides.
        let mut both = operators();
        both["client_id"] = json!("c");
        both["role"] = json!("r");
        assert_eq!(bearer(&both).unwrap(), operator);
        both["principal_kind"] = json!("workload");
        assert_eq!(bearer(&both).unwrap(), workload);
        for (claims, others) in [(claims(), "operator"), (operators(), "workload")] {
            for kind in [
                json!(others),
                json!(""),
                json!("Operator"),
                Value::Null,
                json!(["operator"]),
            ] {
                assert!(bearer(&with(claims.clone(), "principal_kind", kind)).is_err());
            }
            assert!(bearer(&without(claims, "principal_kind")).is_err());
        }
        for field in ["operator", "credential"] {
            assert!(bearer(&without(operators(), field)).is_err());
            for value in [json!(""), json!("c"), json!([]), Value::Null] {
                assert!(bearer(&with(operators(), field, value)).is_err());
            }
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
            "principal_kind",
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
