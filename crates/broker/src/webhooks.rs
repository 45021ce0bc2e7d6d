//! Calls of webhooks, signed as Standard Webhooks has it (<https://www.standardwebhooks.com>).

use std::fmt;

use serde::Deserialize;
use strongroom_crypto::WebhookKey;
use strongroom_domain::target::{Format, Target};
use strongroom_domain::{Payload, PayloadKind};
use strongroom_ports::{Call, CallBody, FetchError};
use zeroize::Zeroizing;

use crate::Broker;

/// What is sent: JSON, under an id that is the same each time.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why a webhook did not take a message.
#[derive(Debug)]
pub(crate) enum WebhookFault {
    Key,
    Url,
    Call(FetchError),
    Status(u16),
}

impl fmt::Display for WebhookFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("the target's credential has no 'whsec_…' key of 24 to 64 bytes"),
            Self::Url => {
                f.write_str("the 'url' of the target's credential does not begin as the target's address does")
            }
            Self::Call(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "the webhook answered {status}"),
        }
    }
}

impl WebhookFault {
    /// Whether asking again cannot help until somebody changes something.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Key | Self::Url => true,
            Self::Call(error) => matches!(
                error,
                FetchError::Url | FetchError::Forbidden(_) | FetchError::Certificates | FetchError::Redirected
            ),
            // What asks to come again later, or does not feel well, may.
            Self::Status(status) => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
        }
    }
}

/// What the credential of a webhook says.
struct Credential {
    key: Option<WebhookKey>,
    /// What is called in the place of the address.
    url: Option<Zeroizing<String>>,
}

impl Credential {
    fn read(payload: &Payload) -> Result<Self, WebhookFault> {
        #[derive(Deserialize)]
        struct Fields {
            key: Option<String>,
            url: Option<String>,
        }
        let key = |text: &str| WebhookKey::parse(text).map_err(|_| WebhookFault::Key);
        if payload.kind != PayloadKind::Json {
            let text = std::str::from_utf8(&payload.bytes).map_err(|_| WebhookFault::Key)?;
            let key = Some(key(text)?);
            return Ok(Self { key, url: None });
        }
        let fields: Fields = serde_json::from_slice(&payload.bytes).map_err(|_| WebhookFault::Key)?;
        let text = fields.key.map(Zeroizing::new);
        Ok(Self {
            key: text.map(|text| key(&text)).transpose()?,
            url: fields.url.map(Zeroizing::new),
        })
    }
}

/// Whether a URL leads to where the address does: whoever writes the credential does not choose who is called. Refused is what a
/// URL's reader takes for a way up, or away (WHATWG URL, "path state").
fn is_below(address: &str, url: &str) -> bool {
    let Some(rest) = url.strip_prefix(address.trim_end_matches('/')) else {
        return false;
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let leads_on = |other: char| other == '\\' || other.is_whitespace() || other.is_control();
    let is_dots = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
    (rest.is_empty() || rest.starts_with(['/', '?'])) && !rest.contains(leads_on) && !path.split('/').any(is_dots)
}

impl Broker {
    pub(crate) async fn send(
        &self,
        target: &Target,
        credential: &Payload,
        message: Message<'_>,
    ) -> Result<(), WebhookFault> {
        let Credential { key, url } = Credential::read(credential)?;
        let (config, now) = (&target.config, self.0.clock.now());
        let url = match &url {
            None => &config.address,
            Some(url) if is_below(&config.address, url) => &**url,
            Some(_) => return Err(WebhookFault::Url),
        };
        let mut headers = vec![
            ("webhook-id", message.id.to_owned()),
            ("webhook-timestamp", now.seconds().to_string()),
        ];
        match key {
            Some(key) => headers.push(("webhook-signature", key.sign(message.id, now, &message.body))),
            // Who posts to a channel is known by its URL.
            None if config.format == Format::Slack => {}
            None => return Err(WebhookFault::Key),
        }
        let call = Call::post(url, CallBody::Json(message.body))
            .trusting(config.ca_pem.as_deref())
            .with_headers(headers);
        let answer = self.0.connectors.fetch.fetch(call).await.map_err(WebhookFault::Call)?;
        if (200..300).contains(&answer.status) {
            Ok(())
        } else {
            Err(WebhookFault::Status(answer.status))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_credential_is_a_key_or_an_object_with_one() {
        let read = |payload: Payload| Credential::read(&payload).map(|read| (read.key.is_some(), read.url));
        let json = |text: String| read(Payload::json(text).unwrap());
        assert!(matches!(read(Payload::text(KEY.into())), Ok((true, None))));
        assert!(read(Payload::text("no key".into())).is_err());
        let (has_key, url) = json(format!(r#"{{"url":"https://hooks.test/a","key":"{KEY}","more":1}}"#)).unwrap();
        assert_eq!(
            (has_key, url.as_deref().map(String::as_str)),
            (true, Some("https://hooks.test/a"))
        );
        assert!(matches!(
            json(r#"{"url":"https://hooks.test/a"}"#.into()),
            Ok((false, Some(_)))
        ));
        for bad in [r#"{"key":"no key"}"#, r#"{"key":1}"#, r#"{"url":1}"#] {
            assert!(json(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_credential_chooses_who_is_called() {
        for (address, url, below) in [
            ("https://hooks.test", "https://hooks.test/services/T/B/x", true),
            ("https://hooks.test/", "https://hooks.test/services", true),
            ("https://hooks.test", "https://hooks.test", true),
            ("https://hooks.test", "https://hooks.test?key=x", true),
            ("https://hooks.test/services", "https://hooks.test/services/T", true),
            ("https://hooks.test/services", "https://hooks.test/servicesx", false),
            ("https://hooks.test", "https://hooks.test.evil.test/x", false),
            ("https://hooks.test", "https://hooks.test@evil.test/x", false),
            ("https://hooks.test", "https://hooks.test:8443/x", false),
            ("https://hooks.test", "http://hooks.test/x", false),
            ("https://hooks.test/a", "https://hooks.test/a/../b", false),
            ("https://hooks.test/a", "https://hooks.test/a/.%2E/b", false),
            ("https://hooks.test/a", "https://hooks.test/a/%2e%2e/b", false),
            ("https://hooks.test/a", "https://hooks.test/a/..\\b", false),
            ("https://hooks.test/a", "https://hooks.test/a/.\t./b", false),
            ("https://hooks.test/a", "https://hooks.test/a/..", false),
            ("https://hooks.test/a", "https://hooks.test/a/..b?c=../d", true),
            ("https://hooks.test", "https://hooks.tes", false),
            ("https://hooks.test", "", false),
        ] {
            assert_eq!(is_below(address, url), below, "{address} {url}");
        }
    }
}
