//! JSON Web Tokens of others (RFC 7519), by the rules of RFC 8725. There is one way from a text to claims that anything may
//! rest on: [`Presented::verify`].

use std::ops::Deref;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use strongroom_domain::Time;
use strongroom_domain::method::Algorithm;

use super::keys::{KeySet, is_key_id};

const MAX_BYTES: usize = 8192;
/// Seconds by which the issuer's clock and ours may differ.
const LEEWAY: i64 = 30;
/// Headers that would have us look elsewhere, understand something else, or unpack.
const REFUSED: &[&str] = &[
    "jku", "jwk", "x5u", "x5c", "crit", "cty", "zip", "enc", "b64", "p2c", "p2s", "epk", "iv", "tag",
];
const TYPES: &[&str] = &["JWT", "JOSE", "at+jwt", "application/at+jwt"];

/// Why a token is refused: for the log. No variant holds anything of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    Malformed,
    Header,
    Algorithm,
    /// No key of the issuer has the id. It may have one that we have not seen yet.
    UnknownKey,
    Signature,
    Claims,
    Issuer,
    Audience,
    Expired,
    NotYet,
    /// It would be valid for longer than is taken.
    LongLived,
}

impl TokenFault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Header => "token_header",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::Claims => "token_claims",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet_valid",
            Self::LongLived => "token_long_lived",
        }
    }
}

/// What only verification makes.
#[derive(Clone)]
pub struct Verified<T>(pub(super) T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verified")
    }
}

/// The claims that every token has, typed, and all of them as they stand.
#[derive(Clone)]
pub struct OutsideClaims {
    pub iss: Option<String>,
    pub sub: String,
    pub aud: Vec<String>,
    /// Seconds since 1970.
    pub exp: i64,
    pub nonce: Option<String>,
    pub all: Map<String, Value>,
}

impl std::fmt::Debug for OutsideClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OutsideClaims")
    }
}

/// What a token must be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// None: its subject says where it is from, and its keys were chosen by that.
    pub issuer: Option<&'a str>,
    /// One of these must be among the token's.
    pub audiences: &'a [String],
    pub algorithms: &'a [Algorithm],
    /// Seconds from its making, or from now, to its end.
    pub max_lifetime: u32,
}

/// A token's parts, with nothing proven of them.
pub struct Presented<'t> {
    algorithm: Algorithm,
    key: String,
    message: &'t [u8],
    signature: Vec<u8>,
    payload: Vec<u8>,
    as_svids: bool,
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented")
    }
}

/// A JSON object in which no name stands twice: which one counts would be each reader's own idea.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
                let mut map = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if map.insert(name, value).is_some() {
                        return Err(A::Error::custom("twice"));
                    }
                }
                Ok(Object(map))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

#[derive(Deserialize)]
struct Registered {
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A claim that is there has its type: `null` is not the same as absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'t> Presented<'t> {
    /// Its form alone.
    pub fn parse(token: &'t str) -> Result<Self, TokenFault> {
        if token.len() > MAX_BYTES {
            return Err(TokenFault::Malformed);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed);
        };
        let decoded = |part: &str| {
            BASE64URL_NOPAD
                .decode(part.as_bytes())
                .map_err(|_| TokenFault::Malformed)
        };
        let Object(head) = serde_json::from_slice(&decoded(header)?).map_err(|_| TokenFault::Malformed)?;
        if REFUSED.iter().any(|name| head.contains_key(*name)) {
            return Err(TokenFault::Header);
        }
        let kind = head.get("typ").map(|kind| kind.as_str().unwrap_or_default());
        if kind.is_some_and(|kind| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind))) {
            return Err(TokenFault::Header);
        }
        let algorithm = head.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let key = head.get("kid").and_then(Value::as_str).filter(|id| is_key_id(id));
        let message = token.as_bytes().get(..header.len() + 1 + payload.len());
        Ok(Self {
            algorithm: algorithm.ok_or(TokenFault::Algorithm)?,
            key: key.ok_or(TokenFault::Header)?.to_owned(),
            message: message.ok_or(TokenFault::Malformed)?,
            signature: decoded(signature)?,
            payload: decoded(payload)?,
            as_svids: head.keys().all(|name| matches!(name.as_str(), "alg" | "kid" | "typ"))
                && matches!(kind, None | Some("JWT" | "JOSE")),
        })
    }

    /// The id of the key that it says has signed it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether its header is one that a JWT-SVID may have: how it was signed, and one of their two types or none.
    pub fn is_headed_as_svids(&self) -> bool {
        self.as_svids
    }

    /// The claims, if one of these keys signed them and they are what is expected, now.
    pub fn verify(
        &self,
        keys: &KeySet,
        expected: &Expected<'_>,
        now: Time,
    ) -> Result<Verified<OutsideClaims>, TokenFault> {
        if !expected.algorithms.contains(&self.algorithm) {
            return Err(TokenFault::Algorithm);
        }
        if !keys.has(&self.key) {
            return Err(TokenFault::UnknownKey);
        }
        if !keys.verifies(&self.key, self.algorithm, self.message, &self.signature) {
            return Err(TokenFault::Signature);
        }
        let Object(all) = serde_json::from_slice(&self.payload).map_err(|_| TokenFault::Claims)?;
        let registered = Registered::deserialize(&Value::Object(all.clone())).map_err(|_| TokenFault::Claims)?;
        check_times(&registered, expected, now)?;
        let Registered {
            iss,
            sub,
            aud,
            exp,
            nonce,
            ..
        } = registered;
        let aud = match aud {
            Audience::One(one) => vec![one],
            Audience::Many(many) => many,
        };
        if sub.is_empty() || sub.len() > 1024 {
            return Err(TokenFault::Claims);
        }
        if expected.issuer.is_some_and(|issuer| iss.as_deref() != Some(issuer)) {
            return Err(TokenFault::Issuer);
        }
        if !aud.iter().any(|audience| expected.audiences.contains(audience)) {
            return Err(TokenFault::Audience);
        }
        Ok(Verified(OutsideClaims {
            iss,
            sub,
            aud,
            exp,
            nonce,
            all,
        }))
    }
}

fn check_times(claims: &Registered, expected: &Expected<'_>, now: Time) -> Result<(), TokenFault> {
    let now = now.seconds();
    let soon = now.saturating_add(LEEWAY);
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(TokenFault::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > soon) || claims.iat.is_some_and(|iat| iat > soon) {
        return Err(TokenFault::NotYet);
    }
    let from = claims.iat.unwrap_or(now);
    if claims.exp < from || claims.exp.saturating_sub(from) > i64::from(expected.max_lifetime) {
        return Err(TokenFault::LongLived);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
