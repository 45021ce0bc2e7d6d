//! What webhooks are told: written in the same change as what happened, and sent until it is taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::Event;
use crate::{Name, ObjectId, Time};

/// How long a node has to send one.
pub const CLAIM: Duration = Duration::from_secs(30);
/// How long is waited after a failure: this, doubled by each, and no longer than the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// How long it is tried.
const LASTS: Duration = Duration::from_hours(72);

/// What happened to what. A secret by its path, a lease by its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    pub event: Event,
    pub at: Time,
    pub about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When what is told ahead comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A message to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub id: ObjectId,
    pub target: Name,
    pub happened: Happened,
    pub due: Time,
    pub failures: u32,
}

impl Notice {
    pub fn new(id: ObjectId, target: Name, happened: Happened) -> Self {
        Self {
            id,
            target,
            due: happened.at,
            happened,
            failures: 0,
        }
    }

    /// A node sends it: others leave it alone meanwhile.
    #[must_use]
    pub fn claimed(self, now: Time) -> Self {
        Self {
            due: now + CLAIM,
            ..self
        }
    }

    /// It was not taken; `None`: it has been tried for long enough.
    pub fn failed(self, now: Time) -> Option<Self> {
        let waited = BACKOFF.0.saturating_mul(1 << self.failures.min(16)).min(BACKOFF.1);
        (now.since(self.happened.at) < LASTS).then(|| Self {
            due: now + waited,
            failures: self.failures + 1,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_less_and_less_often_and_then_no_more() {
        let happened = Happened {
            event: Event::RotationFailed,
            at: Time(0),
            about: "a/b".into(),
            version: None,
            due: None,
            reason: Some("no".into()),
        };
        let mut notice = Notice::new(ObjectId([1; 16]), Name::parse("hook").unwrap(), happened);
        let (mut now, mut tries) = (Time(0), 0);
        while let Some(next) = notice.clone().claimed(now).failed(now) {
            assert!(next.due > now && next.due.since(now) <= BACKOFF.1);
            (now, notice, tries) = (next.due, next, tries + 1);
        }
        assert!(now.since(Time(0)) >= LASTS);
        assert!((72..100).contains(&tries), "{tries}");
    }
}
