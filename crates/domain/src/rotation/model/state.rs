//! What the model remembers.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::super::{Act, Answer, Claim, Effect, Rotation, Run, Seen};
use super::index;
use crate::Time;

/// It stands still; what is to come lies at `LATER`, and time passes by moving it here.
pub(super) const NOW: Time = Time(1_000_000_000_000_000);
const LATER: Time = Time(NOW.0 + 1_000_000);
const WORKERS: usize = 2;
/// Who logs in with a version: the two that take turns, and one that somebody put in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum User {
    A,
    B,
    Other,
}

/// What is stored of the rotation and changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) paused: bool,
    pub(super) next_at: Time,
    pub(super) run: Option<Run>,
    pub(super) claim: Option<Claim>,
    pub(super) fence: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Idle,
    /// It read, and is about to write.
    Writing {
        fence: i64,
        answers: bool,
        next: Row,
        effect: Effect,
    },
    /// It is about to ask the target.
    Acting {
        fence: i64,
        act: Act,
    },
    /// It knows what came of that.
    Knows {
        fence: i64,
        answer: Answer,
    },
}

/// An order to the target: its version, and the fence it was given under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Order {
    pub(super) version: i64,
    pub(super) fence: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) row: Row,
    pub(super) seen: Seen,
    /// Of each version, the first is 1.
    pub(super) users: Vec<User>,
    /// Of each version, the first that had its password.
    pub(super) passwords: Vec<i64>,
    /// What the target lets A and B in with, and the fence that it keeps.
    pub(super) set: [Order; 2],
    pub(super) workers: [Worker; WORKERS],
    /// How often a rotation made a version current.
    pub(super) promoted: Vec<u8>,
    /// Somebody wrote who had been overtaken.
    pub(super) overtaken: bool,
}

impl Row {
    pub(super) fn of(rotation: &Rotation) -> Self {
        Self {
            paused: rotation.paused,
            next_at: rotation.next_at,
            run: rotation.run.clone(),
            claim: rotation.claim,
            fence: rotation.fence,
        }
    }

    pub(super) fn time_passes(&mut self) {
        self.next_at = if self.run.is_none() { NOW } else { self.next_at };
        if let Some(claim) = &mut self.claim {
            claim.until = NOW;
        }
        if let Some(run) = &mut self.run {
            run.at = NOW;
        }
    }

    /// Of times, whether they have come; of failures, whether there was one.
    fn forget_more(&mut self) {
        let coarse = |time: Time| if time > NOW { LATER } else { NOW };
        self.next_at = coarse(self.next_at);
        self.claim = self.claim.map(|claim| Claim {
            until: coarse(claim.until),
        });
        if let Some(run) = &mut self.run {
            (run.at, run.began_at) = (coarse(run.at), NOW);
            if let Some(failure) = &mut run.failure {
                (failure.at, failure.count) = (NOW, 1);
                failure.reason.clear();
            }
        }
    }
}

impl State {
    pub(super) fn user(&self, version: i64) -> Option<User> {
        self.users.get(usize::try_from(version - 1).ok()?).copied()
    }

    /// Whether the target lets somebody in with it.
    pub(super) fn lets_in(&self, version: i64) -> bool {
        let slot = match self.user(version) {
            None => return false,
            Some(User::Other) => return true,
            Some(User::A) => 0,
            Some(User::B) => 1,
        };
        self.set[slot].version > 0 && self.passwords[index(self.set[slot].version)] == self.passwords[index(version)]
    }

    pub(super) fn is_being_set(&self, user: User) -> bool {
        self.workers.iter().any(|worker| match worker {
            Worker::Acting {
                act: Act::Set { version, .. },
                ..
            } => self.user(*version) == Some(user),
            _ => false,
        })
    }

    pub(super) fn another_version(&mut self, user: User, password: i64) {
        self.users.push(user);
        self.passwords.push(password);
        self.promoted.push(0);
    }

    /// Somebody gives a user a password by hand, and puts it here.
    pub(super) fn somebody_writes(&mut self, user: User) {
        let version = self.seen.next;
        match user {
            User::A => self.set[0].version = version,
            User::B => self.set[1].version = version,
            User::Other => {}
        }
        self.somebody_puts(user, version);
    }

    /// Somebody changes something else of what is current.
    pub(super) fn somebody_edits(&mut self) {
        if let Some(user) = self.user(self.seen.current) {
            self.somebody_puts(user, self.passwords[index(self.seen.current)]);
        }
    }

    fn somebody_puts(&mut self, user: User, password: i64) {
        let version = self.seen.next;
        self.another_version(user, password);
        self.seen = Seen {
            previous: self.seen.current,
            current: version,
            next: version + 1,
            ..self.seen
        };
    }

    /// Fences, of which only the order counts.
    fn fences(&mut self) -> Vec<&mut i64> {
        let mut fences = vec![&mut self.row.fence];
        fences.extend(self.set.iter_mut().map(|order| &mut order.fence));
        for worker in &mut self.workers {
            match worker {
                Worker::Idle => {}
                Worker::Writing { fence, next, .. } => fences.extend([fence, &mut next.fence]),
                Worker::Acting { fence, .. } | Worker::Knows { fence, .. } => fences.push(fence),
            }
        }
        fences
    }

    pub(super) fn canonical(mut self) -> Self {
        self.row.forget_more();
        for worker in &mut self.workers {
            match worker {
                Worker::Writing { next, .. } => next.forget_more(),
                Worker::Knows {
                    answer: Answer::Failed { reason, .. },
                    ..
                } => reason.clear(),
                _ => {}
            }
        }
        let mut order: Vec<i64> = self.fences().iter().map(|fence| **fence).collect();
        order.sort_unstable();
        order.dedup();
        for fence in self.fences() {
            *fence = i64::try_from(order.partition_point(|other| *other < *fence)).unwrap();
        }
        // One is as good as the other.
        self.workers.sort_by_cached_key(|worker| {
            let mut hasher = DefaultHasher::new();
            worker.hash(&mut hasher);
            hasher.finish()
        });
        self
    }
}
