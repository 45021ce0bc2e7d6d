//! What webhooks are told: written in the same change as what happened, and sent until it is taken. What is not taken for too
//! long becomes a dead letter: it is sent no more unless somebody says so.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Event;
use crate::{Name, ObjectId, Period, Time};

/// How long a node has to send one.
pub const CLAIM: Duration = Duration::from_secs(30);
/// How long is waited after a failure: this, doubled by each, and no longer than the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// For how long it is tried, unless its target says otherwise.
pub const TRIED_FOR: Period = Period::days(3);
/// How long a dead letter is kept.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// Dead letters of a namespace. Of more the oldest go.
pub const MOST_DEAD: u16 = 1000;

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
    /// Why it was not taken the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When somebody had it sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Time>,
}

/// A message that its webhook did not take for as long as it was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message's.
    pub id: ObjectId,
    pub target: Name,
    pub happened: Happened,
    pub tries: u32,
    /// Why it was not taken the last time.
    pub reason: String,
    pub died_at: Time,
}

/// What becomes of a message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    Waits(Notice),
    Dies(DeadLetter),
}

/// What is done with a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetterAction {
    /// It is sent again, as any message: under its id, signed anew, and for as long as any is tried.
    Retry,
    /// It is forgotten.
    Discard,
}

impl DeadLetter {
    /// By age, so that the oldest stand first.
    pub fn row_name(&self) -> String {
        format!("{:020}.{}", self.died_at.0, self.id)
    }

    /// When it is forgotten.
    pub fn due(&self) -> Time {
        self.died_at + KEPT
    }

    pub fn again(self, now: Time) -> Notice {
        Notice {
            id: self.id,
            target: self.target,
            happened: self.happened,
            due: now,
            failures: 0,
            reason: None,
            again_at: Some(now),
        }
    }
}

impl Notice {
    pub fn new(id: ObjectId, target: Name, happened: Happened) -> Self {
        Self {
            id,
            target,
            due: happened.at,
            happened,
            failures: 0,
            reason: None,
            again_at: None,
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

    /// It was not taken, and is tried again unless it has been tried for that long.
    pub fn failed(self, reason: &str, tried_for: Period, now: Time) -> Untaken {
        let waited = BACKOFF.0.saturating_mul(1 << self.failures.min(16)).min(BACKOFF.1);
        let tries = self.failures.saturating_add(1);
        let since = self.again_at.unwrap_or(self.happened.at);
        if now.since(since) < tried_for.into() {
            return Untaken::Waits(Self {
                due: now + waited,
                failures: tries,
                reason: Some(reason.to_owned()),
                ..self
            });
        }
        Untaken::Dies(DeadLetter {
            id: self.id,
            target: self.target,
            happened: self.happened,
            tries,
            reason: reason.to_owned(),
            died_at: now,
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
        let first = Notice::new(ObjectId([1; 16]), Name::parse("hook").unwrap(), happened);
        let mut notice = first.clone();
        // The same once more after somebody had it sent again.
        for began in [Time(0), Time(0) + 2 * KEPT] {
            let (mut now, mut tries) = (began, 0);
            let letter = loop {
                match notice.claimed(now).failed("no", TRIED_FOR, now) {
                    Untaken::Waits(next) => {
                        assert!(next.due > now && next.due.since(now) <= BACKOFF.1);
                        assert_eq!(next.reason.as_deref(), Some("no"));
                        (now, notice, tries) = (next.due, next, tries + 1);
                    }
                    Untaken::Dies(letter) => break letter,
                }
            };
            assert!(now.since(began) >= TRIED_FOR.into());
            assert!((72..100).contains(&tries), "{tries}");
            assert_eq!((letter.tries, letter.died_at), (tries + 1, now));
            assert_eq!((letter.id, &letter.happened), (first.id, &first.happened));
            notice = letter.again(Time(0) + 2 * KEPT);
        }
    }

    #[test]
    fn the_oldest_letters_stand_first() {
        let letter = |died_at| DeadLetter {
            id: ObjectId([9; 16]),
            target: Name::parse("hook").unwrap(),
            happened: Happened {
                event: Event::LeaseStuck,
                at: Time(0),
                about: "r".into(),
                version: None,
                due: None,
                reason: None,
            },
            tries: 1,
            reason: "no".into(),
            died_at: Time(died_at),
        };
        let names = [1, 999, 1000, 1_800_000_000_000_000, i64::MAX].map(|at| letter(at).row_name());
        assert!(names.is_sorted(), "{names:?}");
    }
}
