//! Calls of webhooks, signed as Standard Webhooks has it (<https://www.standardwebhooks.com>).

use std::fmt;

use strongroom_crypto::WebhookKey;
use strongroom_domain::Payload;
use strongroom_domain::target::Target;
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
    Call(FetchError),
    Status(u16),
}

impl fmt::Display for WebhookFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("the target's credential is no 'whsec_…' key of 24 to 64 bytes"),
            Self::Call(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "the webhook answered {status}"),
        }
    }
}

impl WebhookFault {
    /// Whether asking again cannot help until somebody changes something.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Key => true,
            Self::Call(error) => matches!(
                error,
                FetchError::Url | FetchError::Forbidden(_) | FetchError::Certificates | FetchError::Redirected
            ),
            // What asks to come again later, or does not feel well, may.
            Self::Status(status) => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
        }
    }
}

impl Broker {
    pub(crate) async fn send(&self, target: &Target, key: &Payload, message: Message<'_>) -> Result<(), WebhookFault> {
        let text = std::str::from_utf8(&key.bytes).map_err(|_| WebhookFault::Key)?;
        let key = WebhookKey::parse(text).map_err(|_| WebhookFault::Key)?;
        let (config, now) = (&target.config, self.0.clock.now());
        let signature = key.sign(message.id, now, &message.body);
        let call = Call::post(&config.address, CallBody::Json(message.body))
            .trusting(config.ca_pem.as_deref())
            .with_headers(vec![
                ("webhook-id", message.id.to_owned()),
                ("webhook-timestamp", now.seconds().to_string()),
                ("webhook-signature", signature),
            ]);
        let answer = self.0.connectors.fetch.fetch(call).await.map_err(WebhookFault::Call)?;
        if (200..300).contains(&answer.status) {
            Ok(())
        } else {
            Err(WebhookFault::Status(answer.status))
        }
    }
}
