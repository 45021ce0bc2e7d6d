//! Webhooks signed as Standard Webhooks has it: whoever has the key knows who sent a message, when, and that it is whole.

use std::time::Duration;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, Tag};
use data_encoding::BASE64;
use strongroom_domain::Time;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::CryptoError;

const PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const SCHEME: &str = "v1,";
/// How far the clocks of both sides may be apart.
const TOLERANCE: Duration = Duration::from_mins(5);

/// What both sides share.
pub struct WebhookKey(Key);

impl std::fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookKey")
    }
}

/// A message as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more, so that a key can be replaced.
    pub signatures: &'a str,
    pub body: &'a [u8],
}

impl WebhookKey {
    /// `whsec_` and base64 of 24 to 64 bytes. What has no prefix is taken too, as receivers take it: a recipe can make it.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = BASE64.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| CryptoError::MalformedWebhookKey)?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(CryptoError::MalformedWebhookKey);
        }
        Ok(Self(Key::new(HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature` for a message whose id has no dot.
    pub fn sign(&self, id: &str, at: Time, body: &[u8]) -> String {
        let tag = self.tag(id, &at.seconds().to_string(), body);
        format!("{SCHEME}{}", BASE64.encode(tag.as_ref()))
    }

    /// As a receiver does it. It still has to refuse an id that it has seen.
    pub fn verify(&self, message: SignedMessage<'_>, now: Time) -> bool {
        let sent = message
            .timestamp
            .parse()
            .map(|seconds: i64| Time(seconds.saturating_mul(1_000_000)));
        let in_time = sent.is_ok_and(|sent| now.since(sent).max(sent.since(now)) <= TOLERANCE);
        let tag = self.tag(message.id, message.timestamp, message.body);
        let is_ours = |signature: &str| {
            let bytes = signature
                .strip_prefix(SCHEME)
                .map(|text| BASE64.decode(text.as_bytes()));
            bytes.is_some_and(|bytes| bytes.is_ok_and(|bytes| bytes.ct_eq(tag.as_ref()).into()))
        };
        in_time && message.signatures.split(' ').any(is_ours)
    }

    fn tag(&self, id: &str, timestamp: &str, body: &[u8]) -> Tag {
        let mut context = Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const AT: Time = Time(1_614_265_330_000_000);

    /// What the libraries of Standard Webhooks are tested with.
    const PUBLISHED: SignedMessage<'static> = SignedMessage {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        body: br#"{"test": 2432232314}"#,
    };

    #[test]
    fn the_published_signature() {
        for key in [KEY, KEY.strip_prefix(PREFIX).unwrap()] {
            let key = WebhookKey::parse(key).unwrap();
            assert_eq!(key.sign(PUBLISHED.id, AT, PUBLISHED.body), PUBLISHED.signatures);
            assert!(key.verify(PUBLISHED, AT));
        }
    }

    #[test]
    fn what_is_another_message_is_refused() {
        let key = WebhookKey::parse(KEY).unwrap();
        let stray = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=";
        let cut = &PUBLISHED.signatures[..PUBLISHED.signatures.len() - 4];
        let own = PUBLISHED.signatures;
        let among_others = format!(
            "{stray} v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {own}"
        );
        let with = |signatures| SignedMessage {
            signatures,
            ..PUBLISHED
        };
        assert!(key.verify(with(&among_others), AT));
        for signatures in ["", " ", "v1,", stray, cut, &own[3..], &own.replace("v1,", "v2,")] {
            assert!(!key.verify(with(signatures), AT), "{signatures}");
        }
        for message in [
            SignedMessage {
                id: "msg_p5jXN8AQM9LWM0D4loKWxJel",
                ..PUBLISHED
            },
            SignedMessage {
                body: br#"{"test":2432232314}"#,
                ..PUBLISHED
            },
            SignedMessage {
                timestamp: "1614265331",
                ..PUBLISHED
            },
            SignedMessage {
                timestamp: "+1614265330",
                ..PUBLISHED
            },
            SignedMessage {
                timestamp: "",
                ..PUBLISHED
            },
        ] {
            assert!(!key.verify(message, AT), "{message:?}");
        }
        assert!(
            !WebhookKey::parse(&KEY.replace("Mf", "mf"))
                .unwrap()
                .verify(PUBLISHED, AT)
        );
        let apart = |seconds: i64| key.verify(PUBLISHED, Time(AT.0 + seconds * 1_000_000));
        assert_eq!([-301, -300, 300, 301].map(apart), [false, true, true, false]);
    }

    #[test]
    fn a_key_has_24_to_64_bytes() {
        let of = |bytes: usize| WebhookKey::parse(&format!("whsec_{}", BASE64.encode(&vec![7; bytes])));
        for (bytes, taken) in [(0, false), (23, false), (24, true), (32, true), (64, true), (65, false)] {
            assert_eq!(of(bytes).is_ok(), taken, "{bytes}");
        }
        for wrong in [
            "whsec_",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_",
            "whsec-MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        ] {
            assert_eq!(
                WebhookKey::parse(wrong).unwrap_err(),
                CryptoError::MalformedWebhookKey,
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_as_it_is_alone(
            key in proptest::collection::vec(any::<u8>(), KEY_BYTES),
            id in "[a-zA-Z0-9_-]{1,40}",
            seconds in 0_i64..100_000_000_000,
            body in proptest::collection::vec(any::<u8>(), 1..200),
            flipped in any::<proptest::sample::Index>(),
        ) {
            let key = WebhookKey::parse(&BASE64.encode(&key)).unwrap();
            let at = Time(seconds * 1_000_000);
            let (timestamp, signatures) = (seconds.to_string(), key.sign(&id, at, &body));
            let message = SignedMessage { id: &id, timestamp: &timestamp, signatures: &signatures, body: &body };
            prop_assert!(key.verify(message, at));
            let mut other = body.clone();
            other[flipped.index(body.len())] ^= 1;
            let message = SignedMessage { body: &other, ..message };
            prop_assert!(!key.verify(message, at));
        }

        #[test]
        fn anything_may_arrive(id in ".{0,20}", timestamp in ".{0,20}", number: i64, signatures in ".{0,60}", now: i64) {
            let key = WebhookKey::parse(KEY).unwrap();
            for timestamp in [timestamp, number.to_string()] {
                let message = SignedMessage { id: &id, timestamp: &timestamp, signatures: &signatures, body: b"" };
                prop_assert!(!key.verify(message, Time(now)));
            }
        }
    }
}
