//! People who confirm a login on another device (RFC 8628). The code of ours carries the issuer's, sealed, as a state does:
//! a start keeps nothing, and the record of its use makes it good for one login.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use strongroom_domain::Result;
use strongroom_domain::method::OidcMethod;
use strongroom_ports::Fetched;

use super::oidc::scope;
use super::{Fault, Outcome, Vouched};
use crate::Broker;
use crate::issuers::IssuerFault;
use crate::methods::Standing;
use crate::request::Request;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds for which a code is taken at most, whatever the issuer says.
const LONGEST: u64 = 1800;
/// Seconds between two questions, where the issuer does not say.
const USUAL_INTERVAL: u64 = 5;
const LONGEST_INTERVAL: u64 = 60;
/// Seconds by which `slow_down` makes it longer.
const SLOWER: u64 = 5;
const MAX_CODE: usize = 4096;
const MAX_USER_CODE: usize = 64;
const MAX_ADDRESS: usize = 2048;

/// What to show a person, and what to ask with.
pub struct DeviceStarted {
    pub device_code: SecretString,
    pub user_code: String,
    pub verification_uri: String,
    /// With the code in it.
    pub verification_uri_complete: Option<String>,
    /// Seconds until the codes are good no more.
    pub expires_in: u64,
    /// Seconds between two questions.
    pub interval: u64,
}

impl std::fmt::Debug for DeviceStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceStarted")
    }
}

/// The issuer's answer.
#[derive(Deserialize)]
struct Codes {
    device_code: String,
    user_code: String,
    /// Some call it as it was called in drafts.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

impl Codes {
    /// Fit to be shown to a person and to be asked with.
    fn are_fit(&self) -> bool {
        let address = |text: &str| {
            let of_the_web = text.starts_with("https://") || text.starts_with("http://");
            of_the_web && text.len() <= MAX_ADDRESS && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        (1..=MAX_CODE).contains(&self.device_code.len())
            && (1..=MAX_USER_CODE).contains(&self.user_code.len())
            && !self.user_code.contains(char::is_control)
            && address(&self.verification_uri)
            && self.verification_uri_complete.as_deref().is_none_or(address)
    }
}

/// How the login goes on.
#[derive(Serialize, Deserialize)]
struct Device {
    device_code: String,
    /// Seconds.
    interval: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Broker {
    /// Begins a person's login that is confirmed on another device.
    pub async fn start_device_login(&self, request: &Request, method: &str) -> Result<DeviceStarted> {
        let starting = async {
            match self.method_of_people(method).await? {
                Ok((standing, config)) => self.device_started(&standing, &config).await,
                Err(fault) => Ok(Err(fault)),
            }
        };
        self.begin(request, method, starting).await
    }

    async fn device_started(&self, standing: &Standing, method: &OidcMethod) -> Outcome<DeviceStarted> {
        if !method.device_code {
            return Ok(Err(Fault::State("no_device_code")));
        }
        let secret = self.method_secret(&standing.body)?;
        let codes = match self.codes(method, secret.as_ref()).await {
            Ok(codes) => codes,
            Err(fault) => return Ok(Err(fault)),
        };
        let expires_in = codes.expires_in.min(LONGEST);
        let interval = codes.interval.unwrap_or(USUAL_INTERVAL).clamp(1, LONGEST_INTERVAL);
        let flow = Device {
            device_code: codes.device_code,
            interval,
        };
        let sealed = self.sealed_state(standing, Duration::from_secs(expires_in), flow)?;
        Ok(Ok(DeviceStarted {
            device_code: sealed.into(),
            user_code: codes.user_code,
            verification_uri: codes.verification_uri,
            verification_uri_complete: codes.verification_uri_complete,
            expires_in,
            interval,
        }))
    }

    async fn codes(&self, method: &OidcMethod, secret: Option<&SecretString>) -> Result<Codes, Fault> {
        let endpoint = self.discovered(method).await?.device_authorization_endpoint;
        let scope = scope(method);
        let answer = self
            .asked_as_client(method, secret, endpoint, &[("scope", &scope)])
            .await?;
        if answer.status != 200 {
            return Err(Fault::Issuer(IssuerFault::Status(answer.status)));
        }
        let codes = serde_json::from_slice::<Codes>(&answer.body)
            .ok()
            .filter(Codes::are_fit);
        codes.ok_or(Fault::Issuer(IssuerFault::NoDeviceCode))
    }

    pub(super) async fn vouch_device(
        &self,
        standing: &Standing,
        method: &OidcMethod,
        secret: Option<&SecretString>,
        code: &SecretString,
    ) -> Outcome<Vouched> {
        let opened = self.opened_state::<Device>(standing, code.expose_secret()).await?;
        let (device, record) = match opened {
            Ok(opened) => opened,
            Err(fault) => return Ok(Err(fault)),
        };
        let vouched = self.confirmed(method, secret, &device).await;
        Ok(vouched.map(|vouched| vouched.by_state(record)))
    }

    async fn confirmed(
        &self,
        method: &OidcMethod,
        secret: Option<&SecretString>,
        device: &Device,
    ) -> Result<Vouched, Fault> {
        let endpoint = self.discovered(method).await?.token_endpoint;
        let fields = [("grant_type", GRANT), ("device_code", &device.device_code)];
        let answer = self.asked_as_client(method, secret, endpoint, &fields).await?;
        if matches!(answer.status, 400..=499) {
            return Err(not_yet(&answer, device.interval));
        }
        self.person_of(method, &answer, None).await
    }
}

/// What the issuer says instead of whom it is.
fn not_yet(answer: &Fetched, interval: u64) -> Fault {
    let said = serde_json::from_slice::<Refused>(&answer.body);
    match said.as_ref().map(|refused| refused.error.as_str()) {
        Ok("authorization_pending") => Fault::Pending,
        Ok("slow_down") => Fault::TooOften(Duration::from_secs(interval + SLOWER)),
        Ok("access_denied") => Fault::State("device_refused"),
        Ok("expired_token") => Fault::State("state_expired"),
        _ => Fault::State("code_refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(change: &serde_json::Value) -> Option<Codes> {
        let mut all = serde_json::json!({
            "device_code": "theirs", "user_code": "WDJB-MJHT", "verification_uri": "https://login.example/device",
            "expires_in": 600,
        });
        for (name, value) in change.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).ok().filter(Codes::are_fit)
    }

    #[test]
    fn what_is_shown_to_a_person_is_fit_for_it() {
        use serde_json::json;
        let complete = json!({ "verification_uri_complete": "https://login.example/device?user_code=WDJB-MJHT" });
        for good in [json!({}), json!({ "user_code": "123 456" }), complete] {
            assert!(codes(&good).is_some(), "{good}");
        }
        for bad in [
            json!({ "device_code": "" }),
            json!({ "device_code": "a".repeat(MAX_CODE + 1) }),
            json!({ "device_code": null }),
            json!({ "user_code": "" }),
            json!({ "user_code": "\u{1b}[2J" }),
            json!({ "user_code": "a".repeat(MAX_USER_CODE + 1) }),
            json!({ "verification_uri": "javascript:alert(1)" }),
            json!({ "verification_uri": "https://login.example/\nrm" }),
            json!({ "verification_uri": "https://login.example/".repeat(200) }),
            json!({ "verification_uri_complete": "file:///etc/passwd" }),
            json!({ "expires_in": "soon" }),
        ] {
            assert!(codes(&bad).is_none(), "{bad}");
        }
        let google = json!({ "verification_uri": null, "verification_url": "https://login.example/device" });
        assert!(codes(&google).is_none(), "one of the two names");
    }

    #[test]
    fn what_the_issuer_says_is_what_is_answered() {
        let told = |body: &str| {
            let answer = Fetched {
                status: 400,
                max_age: None,
                body: body.as_bytes().to_vec(),
            };
            not_yet(&answer, 7)
        };
        assert!(matches!(told(r#"{"error":"authorization_pending"}"#), Fault::Pending));
        let wait = Duration::from_secs(12);
        assert!(matches!(told(r#"{"error":"slow_down"}"#), Fault::TooOften(found) if found == wait));
        for (body, name) in [
            (r#"{"error":"access_denied"}"#, "device_refused"),
            (r#"{"error":"expired_token"}"#, "state_expired"),
            (r#"{"error":"invalid_grant"}"#, "code_refused"),
            ("", "code_refused"),
        ] {
            assert_eq!(told(body).name(), name, "{body}");
        }
    }
}
