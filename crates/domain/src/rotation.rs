//! The rotation of a secret as a machine: [`Rotation::step`] takes what happened and gives the next state, and what is to
//! be written with it in one change. The steps have AWS's names: *create* a version labelled `pending`, *set* it at the
//! target, *test* it there, *finish* by moving `current`. Whoever resumes a run sends that same pending value.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::{Head, PENDING, PREVIOUS, State};
use crate::{Code, Error, ObjectId, Result, Time};

#[cfg(test)]
mod model;
mod plan;
mod policy;
mod step;
#[cfg(test)]
mod tests;

pub use policy::{RotationFields, RotationPolicy, RotatorKind, is_user};

/// How long a node has for one step. It goes on with the next by a claim of its own.
pub const CLAIM: Duration = Duration::from_secs(30);

/// What a run does next at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A new version is made: there is none yet, or the one there was will not do.
    Create,
    /// Somebody is to put the value under `pending`.
    Await,
    Set,
    Test,
    /// `current` is moved: a last login tells that it works.
    Verify,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    Rotate,
    Rollback,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub reason: String,
    pub at: Time,
    /// Nothing is tried until somebody says so.
    pub permanent: bool,
    /// In a row.
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    pub goal: Goal,
    pub step: Step,
    /// What was `current` when the version was made; 0: nothing.
    pub base: i64,
    /// What is to become `current`; 0: there is none yet.
    pub version: i64,
    pub began_at: Time,
    /// When it is gone on with.
    pub at: Time,
    /// An order to set it, or what this run or the one in whose place it came was at before, may have gone out already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tried: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Who works on it, and how long nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    pub until: Time,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rotation {
    pub id: ObjectId,
    pub policy: RotationPolicy,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// When the next rotation is due, or, while one runs, when that one was.
    pub next_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Grows with every taking. What comes of an earlier one is refused, also by targets that can keep it.
    pub fence: i64,
    /// Those whose password it is: of the policy, or, where that names nobody, of the value there was when it was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// What the target was when the policy was written: values go nowhere else. Empty: there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// When one succeeded last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,
    /// Somebody was told that it is overdue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue_told: bool,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What a rotation sees of its secret's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Seen {
    /// 0 of each: there is none.
    pub current: i64,
    pub previous: i64,
    pub pending: i64,
    /// The number that the next version takes.
    pub next: i64,
    /// The secret is pending deletion until then.
    pub retired: Option<Time>,
}

impl Seen {
    /// Of versions that are live: what nobody can read is neither gone back to nor waited for.
    pub fn of(head: Option<&Head>, now: Time) -> Self {
        let Some(head) = head else {
            return Self {
                next: 1,
                ..Self::default()
            };
        };
        let label = |label| {
            let number = head.labels.get(label).copied().unwrap_or(0);
            let live = head
                .entry(number)
                .is_some_and(|entry| entry.state_at(now) == State::Live);
            if live { number } else { 0 }
        };
        Self {
            current: head.current(),
            previous: label(PREVIOUS),
            pending: label(PENDING),
            next: head.next,
            retired: head.pending_until,
        }
    }
}

/// What a step at a target came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    Done,
    /// The target says no to a login with the version.
    LoginRefused,
    Failed {
        reason: String,
        permanent: bool,
    },
}

/// What somebody says to a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Rotate,
    Pause,
    Resume,
    Rollback,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A node takes what is due.
    Take,
    /// A node took what is due, and no value can be made, for this reason.
    Unable(String),
    /// What the step came to, of whoever took it under this fence.
    Answered(i64, Answer),
    Told(Told),
}

/// What is written beside the rotation, in the same change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    Nothing,
    /// A new version, labelled `pending`.
    Create,
    /// A new version, labelled `current`.
    Replace,
    /// Versions from this one on are kept.
    Keep(i64),
    /// `current` moves to this version.
    Finish(i64),
}

/// What a node that has it does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Lets go.
    Rest,
    Set {
        version: i64,
        tried: bool,
    },
    Test {
        version: i64,
    },
}

/// The next state, and what is written with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    pub rotation: Rotation,
    pub effect: Effect,
    /// It is news for whoever asked to be told.
    pub news: Option<News>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum News {
    Succeeded { version: i64 },
    Failed,
    Overdue,
}

impl Rotation {
    pub fn new(id: ObjectId, policy: RotationPolicy, server: String, now: Time) -> Self {
        Self {
            next_at: policy.schedule.next(now, id.seed()),
            id,
            policy,
            paused: false,
            run: None,
            claim: None,
            fence: 0,
            users: Vec::new(),
            server,
            rotated_at: None,
            overdue_told: false,
            created_at: now,
            updated_at: now,
        }
    }

    /// When a node is to look at it; none: when somebody says so.
    pub fn due(&self) -> Option<Time> {
        match (&self.claim, &self.run) {
            (Some(claim), _) => Some(claim.until),
            (None, Some(run)) if run.is_stopped() || self.paused && run.failure.is_some() => None,
            (None, Some(run)) => Some(run.at),
            (None, None) => Some(self.next_at).filter(|_| !self.paused),
        }
    }

    pub fn is_claimed(&self, now: Time) -> bool {
        self.claim.is_some_and(|claim| claim.until > now)
    }

    /// Whether it should have happened longer ago than is borne.
    pub fn is_overdue(&self, now: Time) -> bool {
        !self.paused && self.next_at + self.policy.alert_after() < now
    }

    /// What whoever claimed it does now.
    pub fn act(&self) -> Act {
        match (&self.claim, &self.run) {
            (Some(_), Some(run)) => match run.step {
                Step::Create | Step::Await => Act::Rest,
                Step::Set => Act::Set {
                    version: run.version,
                    tried: run.tried,
                },
                Step::Test | Step::Verify => Act::Test { version: run.version },
            },
            _ => Act::Rest,
        }
    }

    /// What comes of an event. Errors: the event does not fit the state, which is told to whoever caused it.
    pub fn step(&self, event: &Event, seen: Seen, now: Time) -> Result<Stepped> {
        let mut next = Stepped {
            rotation: Self {
                updated_at: now,
                ..self.clone()
            },
            effect: Effect::Nothing,
            news: None,
        };
        match event {
            Event::Take => next.take(seen, now)?,
            Event::Unable(reason) => next.unable(reason, now)?,
            Event::Answered(fence, answer) => next.answered(*fence, answer, seen, now)?,
            Event::Told(told) => next.told(*told, seen, now)?,
        }
        Ok(next)
    }

    /// Another policy in the place of this one. A run that it concerns begins anew.
    pub fn with_policy(&self, policy: RotationPolicy, server: String, now: Time) -> Result<Self> {
        let mut next = Self {
            updated_at: now,
            ..self.clone()
        };
        if policy.schedule != self.policy.schedule {
            next.next_at = policy.schedule.next(now, self.id.seed());
        }
        if !policy.is_for_the_same(&self.policy) {
            next.users.clear();
        }
        if !policy.makes_the_same(&self.policy) || server != self.server {
            self.check_unclaimed(now)?;
            if let Some(run) = &mut next.run {
                next.claim = None;
                *run = Run {
                    began_at: run.began_at,
                    ..run.another(now)
                };
            }
        }
        (next.policy, next.server) = (policy, server);
        Ok(next)
    }

    /// Refuses what would take a step from under whoever does it.
    pub fn check_unclaimed(&self, now: Time) -> Result<()> {
        if self.is_claimed(now) {
            return Err(running());
        }
        Ok(())
    }
}

fn running() -> Error {
    Error::new(
        Code::RotationRunning,
        "A step of this rotation is under way; it is over within seconds.",
    )
}

impl Run {
    fn new(now: Time) -> Self {
        Self {
            goal: Goal::Rotate,
            step: Step::Create,
            base: 0,
            version: 0,
            began_at: now,
            at: now,
            tried: false,
            failure: None,
        }
    }

    /// One in the place of this one, whose orders may have gone out.
    fn another(&self, now: Time) -> Self {
        Self {
            tried: self.tried,
            ..Self::new(now)
        }
    }

    /// Somebody wrote meanwhile: another version is current than this run goes by, or its own is wanted no more.
    fn is_left_behind(&self, seen: Seen) -> bool {
        let current = match self.step {
            Step::Create | Step::Await => return false,
            Step::Set | Step::Test => self.base,
            Step::Verify => self.version,
        };
        let is_wanted = self.goal == Goal::Rollback || self.version == current || self.version == seen.pending;
        seen.current != current || !is_wanted
    }

    /// Nothing goes on until somebody says so.
    pub fn is_stopped(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.permanent)
    }
}
