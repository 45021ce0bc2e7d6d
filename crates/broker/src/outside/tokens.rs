//! Tokens of others, verified by the keys of the one issuer that the method names.

use secrecy::{ExposeSecret as _, SecretString};
use strongroom_crypto::{Expected, KeyUse, OutsideClaims, Presented, TokenFault, Verified};
use strongroom_domain::Name;
use strongroom_domain::method::{Algorithm, JwtMethod, SpiffeMethod};

use super::{Fault, Vouched, Wants};
use crate::Broker;
use crate::issuers::Source;

/// JWT-SVIDs are made by these alone.
const SVID_ALGORITHMS: [Algorithm; 8] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
];
/// JWT-SVIDs are short-lived by their nature.
const SVID_LIFETIME: u32 = 86_400;

impl Broker {
    /// The claims of a token, by the newest keys that its own key's id asks for.
    pub(super) async fn verified(
        &self,
        source: &Source,
        presented: &Presented<'_>,
        expected: &Expected<'_>,
    ) -> Result<Verified<OutsideClaims>, Fault> {
        let now = || self.0.clock.now();
        let issuers = &self.0.outside.issuers;
        let held = issuers
            .held(&self.0.connectors.fetch, now, source, Some(presented.key()))
            .await?;
        Ok(presented.verify(&held.keys, expected, now())?)
    }

    pub(super) async fn vouch_jwt(&self, method: &JwtMethod, role: &str, jwt: &SecretString) -> Result<Vouched, Fault> {
        let presented = Presented::parse(jwt.expose_secret())?;
        let expected = Expected {
            issuer: Some(method.issuer()),
            audiences: &method.audiences,
            algorithms: method.algorithms(),
            max_lifetime: method.max_token_lifetime(),
        };
        let source = Source::new(method.issuer(), &method.keys, KeyUse::Signatures);
        let claims = self.verified(&source, &presented, &expected).await?;
        Ok(Vouched::of(&claims, method.issuer(), Wants::Role(role_of(role)?)))
    }

    pub(super) async fn vouch_svid(
        &self,
        method: &SpiffeMethod,
        role: &str,
        jwt: &SecretString,
    ) -> Result<Vouched, Fault> {
        let presented = Presented::parse(jwt.expose_secret())?;
        if !presented.is_headed_as_svids() {
            return Err(TokenFault::Header.into());
        }
        let expected = Expected {
            issuer: None,
            audiences: &method.audiences,
            algorithms: &SVID_ALGORITHMS,
            max_lifetime: SVID_LIFETIME,
        };
        let source = Source::new("", &method.keys, KeyUse::JwtSvid);
        let claims = self.verified(&source, &presented, &expected).await?;
        if !is_of_trust_domain(&claims.sub, &method.trust_domain) {
            return Err(TokenFault::Issuer.into());
        }
        let trust_domain = format!("spiffe://{}", method.trust_domain);
        let mut vouched = Vouched::of(&claims, &trust_domain, Wants::Role(role_of(role)?));
        vouched.spiffe_id = Some(claims.sub.clone());
        Ok(vouched)
    }
}

impl Vouched {
    pub(super) fn of(claims: &Verified<OutsideClaims>, issuer: &str, wants: Wants) -> Self {
        Self {
            issuer: issuer.to_owned(),
            subject: claims.sub.clone(),
            called: None,
            audiences: claims.aud.clone(),
            claims: claims.all.clone(),
            service_account: None,
            spiffe_id: None,
            dns_names: Vec::new(),
            common_name: None,
            wants,
            state: None,
        }
    }
}

pub(super) fn role_of(role: &str) -> Result<Name, Fault> {
    Name::parse(role).map_err(|_| Fault::NoRole)
}

/// Whether it is a SPIFFE ID of a workload there: `spiffe://TRUST-DOMAIN/PATH`.
fn is_of_trust_domain(id: &str, trust_domain: &str) -> bool {
    let path = id
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.strip_prefix(trust_domain))
        .and_then(|rest| rest.strip_prefix('/'));
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    path.is_some_and(|path| path.split('/').all(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_are_of_one_trust_domain() {
        for good in ["spiffe://example.org/a", "spiffe://example.org/ns/shop/sa/app"] {
            assert!(is_of_trust_domain(good, "example.org"), "{good}");
        }
        for bad in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org//a",
            "spiffe://example.org/a/",
            "spiffe://example.org/../a",
            "spiffe://example.org.evil/a",
            "spiffe://evil/example.org/a",
            "SPIFFE://example.org/a",
            "spiffe://example.org/a?b",
            "https://example.org/a",
            "example.org/a",
        ] {
            assert!(!is_of_trust_domain(bad, "example.org"), "{bad}");
        }
    }
}
