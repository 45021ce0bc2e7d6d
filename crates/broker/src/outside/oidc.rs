//! People, by OpenID Connect: here by the authorization code flow with PKCE (RFC 7636). The state carries what the login needs,
//! sealed, so that a start keeps nothing; what makes it good for one login is the record of its use.

use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXUPPER};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_crypto::{Expected, Presented};
use strongroom_domain::method::{MethodConfig, OidcMethod, claim};
use strongroom_domain::{Error, Name, Result};
use strongroom_ports::{Call, CallBody, Fetched};
use zeroize::Zeroizing;

use super::{Fault, Outcome, Vouched, Wants};
use crate::Broker;
use crate::issuers::{Discovery, IssuerFault, Source};
use crate::methods::Standing;
use crate::request::Request;

/// A person looks for a password for no longer.
const VALID: Duration = Duration::from_mins(10);
/// Seconds.
const MAX_TOKEN_LIFETIME: u32 = 86_400;
const MAX_CODE: usize = 4096;
const MAX_CALLED: usize = 128;

/// Where to send a browser.
pub struct Started {
    pub authorization_url: String,
    pub state: String,
    /// Seconds until the state is good no more.
    pub expires_in: u64,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Started")
    }
}

/// A browser comes back with a code.
#[derive(Serialize, Deserialize)]
struct Browser {
    redirect_uri: String,
    verifier: String,
    nonce: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Broker {
    /// Begins a person's login in a browser of the same machine.
    pub async fn start_login(&self, request: &Request, method: &str, redirect_uri: &str) -> Result<Started> {
        check_redirect(redirect_uri)?;
        let starting = async {
            let found = self.method_of_people(method).await?;
            match found {
                Ok((standing, config)) => self.started(&standing, &config, redirect_uri).await,
                Err(fault) => Ok(Err(fault)),
            }
        };
        self.begin(request, method, starting).await
    }

    pub(super) async fn method_of_people(&self, method: &str) -> Outcome<(Standing, OidcMethod)> {
        let Ok(name) = Name::parse(method) else {
            return Ok(Err(Fault::NoMethod));
        };
        let Some(standing) = self.load_method(&name).await?.value else {
            return Ok(Err(Fault::NoMethod));
        };
        let MethodConfig::Oidc(config) = &standing.body.config else {
            return Ok(Err(Fault::OtherProof));
        };
        let config = config.clone();
        Ok(Ok((standing, config)))
    }

    async fn started(&self, standing: &Standing, method: &OidcMethod, redirect_uri: &str) -> Outcome<Started> {
        let discovery = match self.discovered(method).await {
            Ok(discovery) => discovery,
            Err(fault) => return Ok(Err(fault)),
        };
        let Some(endpoint) = &discovery.authorization_endpoint else {
            return Ok(Err(Fault::Issuer(IssuerFault::NoDocument)));
        };
        let random = || BASE64URL_NOPAD.encode(&self.0.entropy.bytes::<32>());
        let (verifier, nonce) = (random(), random());
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
        let flow = Browser {
            redirect_uri: redirect_uri.to_owned(),
            verifier,
            nonce: nonce.clone(),
        };
        let sealed = self.sealed_state(standing, VALID, flow)?;
        // What passes through the browser is no proof: the state itself goes to who began alone.
        let shown = BASE64URL_NOPAD.encode(&Sha256::digest(sealed.as_bytes()));
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &method.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scope(method)),
            ("state", &shown),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let join = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Ok(Started {
            authorization_url: format!("{endpoint}{join}{}", query.as_str()),
            state: sealed,
            expires_in: VALID.as_secs(),
        }))
    }

    pub(super) async fn discovered(&self, method: &OidcMethod) -> Result<Discovery, Fault> {
        let source = Source::discovered(&method.issuer, method.ca_pem.as_deref());
        let now = || self.0.clock.now();
        let held = self
            .0
            .outside
            .issuers
            .held(&self.0.connectors.fetch, now, &source, None)
            .await?;
        held.discovery.clone().ok_or(Fault::Issuer(IssuerFault::NoDocument))
    }

    pub(super) async fn vouch_browser(
        &self,
        standing: &Standing,
        method: &OidcMethod,
        secret: Option<&SecretString>,
        state: &str,
        code: &SecretString,
    ) -> Outcome<Vouched> {
        let (flow, record) = match self.opened_state::<Browser>(standing, state).await? {
            Ok(opened) => opened,
            Err(fault) => return Ok(Err(fault)),
        };
        let vouched = self.exchange(method, secret, &flow, code).await;
        Ok(vouched.map(|vouched| vouched.by_state(record)))
    }

    async fn exchange(
        &self,
        method: &OidcMethod,
        secret: Option<&SecretString>,
        flow: &Browser,
        code: &SecretString,
    ) -> Result<Vouched, Fault> {
        let code = code.expose_secret();
        if code.is_empty() || code.len() > MAX_CODE {
            return Err(Fault::State("code_refused"));
        }
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &flow.redirect_uri),
            ("code_verifier", &flow.verifier),
        ];
        let endpoint = self.discovered(method).await?.token_endpoint;
        let answer = self.asked_as_client(method, secret, endpoint, &fields).await?;
        if matches!(answer.status, 400..=499) {
            return Err(Fault::State("code_refused"));
        }
        self.person_of(method, &answer, Some(&flow.nonce)).await
    }

    /// What the issuer answers there to who shows that it is its client.
    pub(super) async fn asked_as_client(
        &self,
        method: &OidcMethod,
        secret: Option<&SecretString>,
        endpoint: Option<String>,
        fields: &[(&str, &str)],
    ) -> Result<Fetched, Fault> {
        let endpoint = endpoint.ok_or(Fault::Issuer(IssuerFault::NoDocument))?;
        let client = [("client_id", method.client_id.as_str())];
        let secret = secret.map(|secret| ("client_secret", secret.expose_secret()));
        let fields: Vec<_> = fields.iter().copied().chain(client).chain(secret).collect();
        let body = CallBody::Form(Zeroizing::new(form(&fields).as_bytes().to_vec()));
        let call = Call::post(&endpoint, body).trusting(method.ca_pem.as_deref());
        let answer = self.0.connectors.fetch.fetch(call).await;
        answer.map_err(|error| Fault::Issuer(IssuerFault::Fetch(error)))
    }

    /// Whom the ID token of an answer is about, which is of the login with this nonce, where that had one.
    pub(super) async fn person_of(
        &self,
        method: &OidcMethod,
        answer: &Fetched,
        nonce: Option<&str>,
    ) -> Result<Vouched, Fault> {
        let id_token = id_token(answer)?;
        let presented = Presented::parse(&id_token)?;
        let expected = Expected {
            issuer: Some(&method.issuer),
            audiences: std::slice::from_ref(&method.client_id),
            algorithms: method.algorithms(),
            max_lifetime: MAX_TOKEN_LIFETIME,
        };
        let source = Source::discovered(&method.issuer, method.ca_pem.as_deref());
        let claims = self.verified(&source, &presented, &expected).await?;
        if claims.nonce.as_deref() != nonce {
            return Err(Fault::State("nonce"));
        }
        // Of several audiences it says which one asked.
        let azp = claims.all.get("azp");
        if azp.is_some_and(|azp| azp != method.client_id.as_str()) || (claims.aud.len() > 1 && azp.is_none()) {
            return Err(Fault::State("authorized_party"));
        }
        let called = ["preferred_username", "email", "name"]
            .iter()
            .find_map(|name| claims.all.get(*name)?.as_str())
            .filter(|called| called.len() <= MAX_CALLED && !called.contains(char::is_control));
        let mut vouched = Vouched::of(&claims, &method.issuer, Wants::Groups(groups(method, &claims.all)));
        vouched.called = called.map(str::to_owned);
        Ok(vouched)
    }
}

/// `openid`, and what the method asks for beside it.
pub(super) fn scope(method: &OidcMethod) -> String {
    let scopes = std::iter::once("openid").chain(method.scopes.iter().map(String::as_str));
    scopes.collect::<Vec<_>>().join(" ")
}

fn id_token(answer: &Fetched) -> Result<Zeroizing<String>, Fault> {
    match answer.status {
        200 => serde_json::from_slice::<Tokens>(&answer.body)
            .map(|tokens| Zeroizing::new(tokens.id_token))
            .map_err(|_| Fault::State("no_id_token")),
        status => Err(Fault::Issuer(IssuerFault::Status(status))),
    }
}

/// Those of ours that theirs are.
fn groups(method: &OidcMethod, claims: &serde_json::Map<String, serde_json::Value>) -> Vec<Name> {
    let listed = method.groups_claim.as_ref().and_then(|name| claim(claims, name));
    let theirs: Vec<&str> = match listed {
        Some(serde_json::Value::Array(items)) => items.iter().filter_map(serde_json::Value::as_str).collect(),
        Some(serde_json::Value::String(one)) => vec![one],
        _ => Vec::new(),
    };
    let mut ours: Vec<Name> = theirs
        .iter()
        .filter_map(|group| method.groups.get(*group).cloned())
        .collect();
    ours.sort();
    ours.dedup();
    ours
}

/// Back to the person's own machine and nowhere else (RFC 8252).
fn check_redirect(uri: &str) -> Result<()> {
    let rest = uri
        .strip_prefix("http://127.0.0.1:")
        .or_else(|| uri.strip_prefix("http://[::1]:"));
    let fits = rest.and_then(|rest| rest.split_once('/')).is_some_and(|(port, path)| {
        port.parse::<u16>()
            .is_ok_and(|number| number > 0 && number.to_string() == port)
            && path.len() <= 256
            && path
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
    });
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(
            "'redirect_uri' is http://127.0.0.1:PORT/PATH: a login comes back to one's own machine.",
        ))
    }
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                text.push(char::from(byte));
            } else {
                text.push('%');
                text.push_str(&HEXUPPER.encode(&[byte]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_comes_back_to_this_machine_alone() {
        for good in [
            "http://127.0.0.1:8250/callback",
            "http://[::1]:1/",
            "http://127.0.0.1:65535/a/b",
        ] {
            check_redirect(good).unwrap();
        }
        for bad in [
            "http://127.0.0.1/callback",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:080/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:1",
            "http://127.0.0.1:1@evil.test/",
            "http://127.0.0.1.evil.test:1/",
            "http://localhost:1/",
            "https://127.0.0.1:1/",
            "http://evil.test:1/",
            "http://127.0.0.1:1/?a=b",
            "http://127.0.0.1:1/#a",
            "http://127.0.0.1:1/a b",
            "",
        ] {
            assert!(check_redirect(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fields_are_encoded_whole() {
        let text = form(&[("a", "x y&z=1"), ("b", "é/~-._"), ("c", "")]);
        assert_eq!(text.as_str(), "a=x%20y%26z%3D1&b=%C3%A9%2F~-._&c=");
    }
}
