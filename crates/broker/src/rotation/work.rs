//! Rotations that are due, step by step. Each step is persisted before and after: whoever dies is followed by another.

use strongroom_domain::audit::Action;
use strongroom_domain::notice::Happened;
use strongroom_domain::rotation::{Act, Answer, CLAIM, Effect as Outcome, Event, News, Rotation, Seen, Step};
use strongroom_domain::secret::{Head, PENDING, Selector};
use strongroom_domain::target::Event as TargetEvent;
use strongroom_domain::{Code, Error, Payload, Result, SecretPath, Time, Write};
use tokio::time::Instant;

use super::value::make;
use super::{RotationView, view};
use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::faults;
use crate::put::PutSecret;
use crate::read::no_secret;
use crate::record::{Attempt, Effect};
use crate::request::Request;
use crate::rows::{Checked, touch};
use crate::stats::count;
use crate::targets::within;

/// Whose work that is.
pub(crate) const JOB: &str = "rotation";

/// What is written of a secret, and what is put on record of it.
#[derive(Default)]
struct Written {
    fresh: Vec<crate::cache::Fresh>,
    writes: Vec<Write>,
    touches: Vec<strongroom_domain::Touch>,
    effects: Vec<Effect>,
    current: i64,
}

impl Broker {
    /// Works on a rotation that is due, until it is over, put off, or another's.
    pub(crate) async fn rotate(&self, path: &SecretPath) -> Result<()> {
        let mut event = Event::Take;
        loop {
            // From before the claim: whoever stands still in between orders nothing when another may have it.
            let until = Instant::now() + within();
            let Some(view) = self.step_by_job(path, &event).await? else {
                break;
            };
            faults::after(named(&view.rotation)).await;
            let act = view.rotation.act();
            if act == Act::Rest {
                if view.rotation.run.is_none() {
                    count(&self.0.stats.rotations);
                }
                break;
            }
            let answer = self.reach(path, &view.rotation, act, until).await?;
            if let Answer::Failed { reason, permanent } = &answer {
                tracing::warn!(rotation = %view.rotation.id, reason, permanent, "a step of a rotation failed");
                count(&self.0.stats.rotations_failed);
            }
            event = Event::Answered(view.rotation.fence, answer);
        }
        Ok(())
    }

    /// `None`: another has it, or it is gone.
    async fn step_by_job(&self, path: &SecretPath, event: &Event) -> Result<Option<RotationView>> {
        let request = Request::of_job(JOB, self.request_id());
        let asked = Asked {
            id: ChangeId::Version(self.new_id().to_string()),
            needs: Vec::new(),
            ..self.about_rotation(&request, Action::RotationTake, path, b"")
        };
        let stepped = self
            .change(&request, asked, |attempt| async move {
                match self.step_rotation(&attempt, path, event).await {
                    Ok(Some(decision)) => Ok(Decided::Write(decision)),
                    Err(error) if error.code != Code::RotationRunning => Err(error),
                    // Nothing happened that is to be put on record.
                    _ => Err(Error::from(Code::Unsettled)),
                }
            })
            .await;
        match stepped {
            Ok(view) => Ok(Some(view)),
            Err(error) if error.code == Code::Unsettled => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What an event comes to, as one change of rotation and secret.
    pub(super) async fn step_rotation(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
        event: &Event,
    ) -> Result<Option<Decision<RotationView>>> {
        let Some(old) = self.load_rotation(path).await? else {
            return Ok(None);
        };
        let head = self.head(path).await?;
        let seen = Seen::of(head.as_ref().map(|head| &head.body), attempt.now);
        let mut stepped = old.body.step(event, seen, attempt.now)?;
        if let Some(claim) = &mut stepped.rotation.claim {
            faults::hasten(&mut claim.until, attempt.now, CLAIM);
        }
        let mut value = None;
        if matches!(stepped.effect, Outcome::Create | Outcome::Replace) {
            match self
                .make_value(&stepped.rotation, path, head.as_ref(), attempt.now)
                .await?
            {
                Ok(made) => value = Some(made),
                Err(reason) => stepped = old.body.step(&Event::Unable(reason), seen, attempt.now)?,
            }
        }
        let mut written = match value {
            Some(value) => {
                let pending = stepped.effect == Outcome::Create;
                match self.write_version(attempt, path, head.as_ref(), value, pending) {
                    // Nor can it be stored until somebody changes something: that is told.
                    Err(error) if !matches!(error.code, Code::Internal | Code::IntegrityFailed) => {
                        stepped = old.body.step(&Event::Unable(error.detail), seen, attempt.now)?;
                        Written {
                            current: seen.current,
                            ..Written::default()
                        }
                    }
                    written => written?,
                }
            }
            None => self.write_labels(attempt.now, path, head, stepped.effect)?,
        };
        let done = done(&old.body, event, stepped.effect);
        written
            .effects
            .splice(0..0, done.map(|action| Effect::new(action, path.as_str())));
        if let Some(news) = stepped.news {
            let happened = happened(news, path, &stepped.rotation, attempt.now);
            written.writes.extend(self.notices(happened).await?);
        }
        written
            .writes
            .push(self.write_rotation(Some(&old.record), path, &stepped.rotation)?);
        faults::before(named(&stepped.rotation)).await;
        Ok(Some(Decision {
            fresh: written.fresh,
            writes: written.writes,
            touches: written.touches,
            effects: written.effects,
            answer: RotationView {
                current_version: written.current,
                ..view(path, stepped.rotation, None, attempt.now)
            },
        }))
    }

    async fn make_value(
        &self,
        rotation: &Rotation,
        path: &SecretPath,
        head: Option<&Checked<Head>>,
        now: Time,
    ) -> Result<Result<Payload, String>> {
        let target = match &rotation.policy.target {
            Some(name) => self.load_target(name).await?,
            None => None,
        };
        let current = self.current_of(path, head, now).await?;
        Ok(make(rotation, target.as_ref(), current.as_ref(), &*self.0.entropy))
    }

    pub(super) async fn current_of(
        &self,
        path: &SecretPath,
        head: Option<&Checked<Head>>,
        now: Time,
    ) -> Result<Option<Payload>> {
        let Some(head) = head else { return Ok(None) };
        match head.body.select(&Selector::default(), now) {
            Ok(entry) => Ok(Some(self.open_version_of(path, head, entry.number, now).await?)),
            Err(_) => Ok(None),
        }
    }

    pub(crate) async fn open_version_of(
        &self,
        path: &SecretPath,
        head: &Checked<Head>,
        version: i64,
        now: Time,
    ) -> Result<Payload> {
        let entry = head.body.entry(version).ok_or_else(no_secret)?;
        let (row, _) = self.load_version(now, head.record.id, entry).await?;
        self.open_payload(&row, path.as_str()).await
    }

    fn write_version(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
        old: Option<&Checked<Head>>,
        payload: Payload,
        pending: bool,
    ) -> Result<Written> {
        let mut head = old.map_or_else(|| Head::new(attempt.now), |old| old.body.clone());
        let (action, labels) = if pending {
            head.begin_rotation(head.next);
            (Action::RotationCreate, Some(vec![PENDING.to_owned()]))
        } else {
            head.end_rotation(attempt.now);
            (Action::RotationFinish, None)
        };
        let before = head.current();
        let put = PutSecret {
            path: path.clone(),
            payload,
            cas: Some(before),
            id: None,
            labels,
            unless_same: false,
        };
        put.check(self.0.settings.payload_bytes)?;
        let decision = self.add_version(attempt, action, &put, old.map(|old| &old.record), head)?;
        Ok(Written {
            current: if pending { before } else { decision.answer.version },
            fresh: decision.fresh,
            writes: decision.writes,
            touches: decision.touches,
            effects: decision.effects,
        })
    }

    fn write_labels(
        &self,
        now: Time,
        path: &SecretPath,
        head: Option<Checked<Head>>,
        outcome: Outcome,
    ) -> Result<Written> {
        let mut written = Written {
            current: head.as_ref().map_or(0, |head| head.body.current()),
            ..Written::default()
        };
        let Some(old) = head.filter(|_| outcome != Outcome::Nothing) else {
            return Ok(written);
        };
        let mut head = old.body;
        let action = match outcome {
            Outcome::Keep(from) => {
                head.begin_rotation(from);
                Action::RotationTake
            }
            Outcome::Finish(version) => {
                head.finish_rotation(version, now)?;
                written.current = version;
                Action::RotationFinish
            }
            Outcome::Nothing | Outcome::Create | Outcome::Replace => return Ok(written),
        };
        let (record, write) = self.write_head(Some(&old.record), old.record.id, path, &head)?;
        if action == Action::RotationFinish {
            written.effects.push(Effect {
                version: Some(written.current),
                digest: Some(record.digest()),
                ..Effect::new(action, path.as_str())
            });
        }
        written.touches.push(touch(record.key(), action, None));
        written.writes.push(write);
        Ok(written)
    }
}

fn happened(news: News, path: &SecretPath, rotation: &Rotation, at: Time) -> Happened {
    let failure = rotation.run.as_ref().and_then(|run| run.failure.as_ref());
    let (event, version) = match news {
        News::Succeeded { version } => (TargetEvent::RotationSucceeded, Some(version)),
        News::Failed => (TargetEvent::RotationFailed, None),
        News::Overdue => (TargetEvent::RotationOverdue, None),
    };
    Happened {
        event,
        at,
        about: path.to_string(),
        version,
        due: None,
        reason: failure.map(|failure| failure.reason.clone()),
    }
}

/// The step of which a rotation is written, as fail points name it: what others are done at a target.
fn named(rotation: &Rotation) -> &'static str {
    match rotation.act() {
        Act::Set { tried: false, .. } => "rotation.create",
        Act::Test { .. } if rotation.run.as_ref().is_some_and(|run| run.step == Step::Verify) => "rotation.finish",
        _ => "rotation.other",
    }
}

/// What is put on record of a step, beside what became of versions and labels.
fn done(old: &Rotation, event: &Event, outcome: Outcome) -> Option<Action> {
    match event {
        Event::Told(_) => None,
        Event::Take => matches!(outcome, Outcome::Nothing | Outcome::Keep(_)).then_some(Action::RotationTake),
        Event::Answered(_, Answer::Done) => match old.run.as_ref().map(|run| run.step) {
            Some(Step::Set) => Some(Action::RotationSet),
            Some(Step::Verify) => Some(Action::RotationEnd),
            _ => Some(Action::RotationTest),
        },
        Event::Unable(_) | Event::Answered(..) => Some(Action::RotationFail),
    }
}
