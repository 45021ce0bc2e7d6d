//! Acknowledged changes in order, and what readers saw. An answer is right if it is that of a state which a request
//! sent then may see: not older than the last change acknowledged before it was sent, not newer than the last one
//! begun before it was answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a secret shows to somebody who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Absent,
    Deleted,
    Value(Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grants {
    /// The client whose tokens are good.
    pub(crate) generation: u32,
    pub(crate) policy_reads: bool,
    pub(crate) role_has_policy: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Unknown,
    Denied,
    Shown(Shown),
    /// A failure of the server's own (503): nothing was shown and nothing said.
    Refused,
}

impl Answer {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unknown => "401",
            Self::Denied => "403",
            Self::Shown(Shown::Absent) => "absent",
            Self::Shown(Shown::Deleted) => "deleted",
            Self::Shown(Shown::Value(_)) => "value",
            Self::Refused => "503",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
    pub(crate) secret: usize,
    pub(crate) generation: u32,
    pub(crate) answer: Answer,
}

#[derive(Debug)]
struct Step {
    begun: Instant,
    acknowledged: Instant,
    grants: Grants,
}

/// The states since the beginning; the first is that before any change.
#[derive(Debug)]
pub(crate) struct History {
    steps: Vec<Step>,
    /// Of each secret: from which state on it shows what.
    shown: HashMap<usize, Vec<(usize, Shown)>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) checked: usize,
    pub(crate) refused: usize,
    /// Answers sent for after a change was acknowledged by less than ten milliseconds.
    pub(crate) close: usize,
    pub(crate) wrong: Vec<String>,
    /// What was shown, and what was due.
    pub(crate) kinds: BTreeMap<(&'static str, &'static str), usize>,
}

impl History {
    pub(crate) fn new(grants: Grants, at: Instant) -> Self {
        Self {
            steps: vec![Step {
                begun: at,
                acknowledged: at,
                grants,
            }],
            shown: HashMap::new(),
        }
    }

    pub(crate) fn grants(&self) -> Grants {
        self.steps.last().unwrap().grants
    }

    /// A change, one after the other: what grants are after it, and what a secret shows.
    pub(crate) fn push(
        &mut self,
        begun: Instant,
        acknowledged: Instant,
        grants: Grants,
        shown: Option<(usize, Shown)>,
    ) {
        if let Some((secret, shown)) = shown {
            self.shown.entry(secret).or_default().push((self.steps.len(), shown));
        }
        self.steps.push(Step {
            begun,
            acknowledged,
            grants,
        });
    }

    fn answer(&self, state: usize, secret: usize, generation: u32) -> Answer {
        let grants = self.steps[state].grants;
        if generation != grants.generation {
            return Answer::Unknown;
        }
        if !(grants.policy_reads && grants.role_has_policy) {
            return Answer::Denied;
        }
        let shown = self.shown.get(&secret).map_or(&[][..], Vec::as_slice);
        let at = shown.partition_point(|(since, _)| *since <= state);
        Answer::Shown(at.checked_sub(1).map_or(Shown::Absent, |at| shown[at].1.clone()))
    }

    /// Judges what was seen. `earlier`: as if every change had been acknowledged that much sooner, which must make some of
    /// it wrong if this check is worth anything.
    pub(crate) fn judge<'a>(&self, seen: impl IntoIterator<Item = &'a Seen>, earlier: Duration) -> Verdict {
        let mut verdict = Verdict::default();
        for seen in seen {
            verdict.checked += 1;
            if seen.answer == Answer::Refused {
                verdict.refused += 1;
                continue;
            }
            let oldest = self
                .steps
                .partition_point(|step| step.acknowledged <= seen.sent + earlier)
                .max(1)
                - 1;
            let newest = self.steps.partition_point(|step| step.begun <= seen.answered).max(1) - 1;
            verdict.close += usize::from(seen.sent - self.steps[oldest].acknowledged < Duration::from_millis(10));
            let fits = |state| self.answer(state, seen.secret, seen.generation) == seen.answer;
            if !(oldest..=newest.max(oldest)).any(fits) {
                let due = self.answer(oldest, seen.secret, seen.generation);
                *verdict.kinds.entry((seen.answer.kind(), due.kind())).or_default() += 1;
                verdict
                    .wrong
                    .push(format!("{seen:?} in states {oldest} to {newest}; {oldest} is {due:?}"));
            }
        }
        verdict
    }
}

#[test]
fn a_stale_answer_is_found() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let value = |text: &str| Shown::Value(text.into());
    let all = Grants {
        generation: 0,
        policy_reads: true,
        role_has_policy: true,
    };
    let mut history = History::new(all, start);
    history.push(at(10), at(20), all, Some((0, value("a"))));
    history.push(at(30), at(40), all, Some((0, value("b"))));
    history.push(
        at(50),
        at(60),
        Grants {
            policy_reads: false,
            ..all
        },
        None,
    );
    history.push(at(70), at(80), Grants { generation: 1, ..all }, None);
    let seen = |sent, answered, generation, answer| Seen {
        sent: at(sent),
        answered: at(answered),
        secret: 0,
        generation,
        answer,
    };
    let a = || Answer::Shown(value("a"));
    let b = || Answer::Shown(value("b"));
    let right = [
        seen(21, 25, 0, a()),
        seen(35, 39, 0, a()),
        seen(35, 39, 0, b()),
        seen(39, 90, 0, Answer::Denied),
        seen(61, 65, 0, Answer::Denied),
        seen(61, 65, 0, Answer::Refused),
        seen(81, 85, 0, Answer::Unknown),
        seen(81, 85, 1, b()),
    ];
    let verdict = history.judge(&right, Duration::ZERO);
    assert_eq!(
        (verdict.checked, verdict.refused, verdict.wrong.len()),
        (8, 1, 0),
        "{verdict:?}"
    );
    let wrong = [
        seen(41, 45, 0, a()),
        seen(61, 65, 0, b()),
        seen(61, 100, 0, b()),
        seen(81, 85, 0, b()),
        seen(81, 85, 1, a()),
        seen(21, 25, 0, b()),
        seen(41, 45, 0, Answer::Shown(Shown::Deleted)),
    ];
    assert_eq!(history.judge(&wrong, Duration::ZERO).wrong.len(), wrong.len());
    assert_eq!(
        history.judge(&right, Duration::from_millis(10)).wrong.len(),
        1,
        "the second would be stale then"
    );
}
