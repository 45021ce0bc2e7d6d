//! What comes of each event.

use std::time::Duration;

use super::{Answer, CLAIM, Claim, Effect, Failure, Goal, News, RotatorKind, Run, Seen, Step, Stepped, Told, running};
use crate::{Code, Error, Result, Time, backoff};

/// How often is looked whether somebody has put the value that a manual rotation waits for.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

impl Stepped {
    pub(super) fn take(&mut self, seen: Seen, now: Time) -> Result<()> {
        let step = self.begin(now)?;
        let is_left_behind = self.rotation.run.as_ref().is_some_and(|run| run.is_left_behind(seen));
        if seen.retired.is_some() {
            // Whoever restores the secret finds it going on soon.
            self.put_off(now + backoff::LONGEST);
            return Ok(());
        }
        if is_left_behind {
            self.leave(seen, now);
            return Ok(());
        }
        match step {
            Step::Create => self.create(seen, now),
            Step::Await => self.awaited(seen, now),
            Step::Set => {
                if let Some(run) = &mut self.rotation.run {
                    run.tried = true;
                }
                self.claim(now);
            }
            Step::Test | Step::Verify => self.claim(now),
        }
        Ok(())
    }

    /// Whoever wrote meanwhile has the last word: a rotation begins anew with that, and nothing is rolled back.
    fn leave(&mut self, seen: Seen, now: Time) {
        let Some(run) = &self.rotation.run else { return };
        match (run.step, run.goal, run.tried) {
            (Step::Verify, ..) => self.succeeded(run.version, now),
            // Whose password was set for a rollback may be the user of what was written: that gets one that works.
            (_, Goal::Rotate, _) | (_, Goal::Rollback, true) => {
                self.run_with(seen.current, 0, Step::Create);
                self.put_off(now);
            }
            (_, Goal::Rollback, false) => {
                // It stays current, and nothing is kept for a rotation any more.
                self.effect = Effect::Finish(seen.current);
                (self.rotation.run, self.rotation.claim) = (None, None);
            }
        }
    }

    /// Nobody else has it, and it is due: the step it is at.
    fn begin(&mut self, now: Time) -> Result<Step> {
        let rotation = &mut self.rotation;
        if rotation.due().is_none_or(|due| due > now) {
            return Err(running());
        }
        rotation.fence = (rotation.fence + 1).max(now.0);
        Ok(rotation.run.get_or_insert(Run::new(now)).step)
    }

    pub(super) fn unable(&mut self, reason: &str, now: Time) -> Result<()> {
        self.begin(now)?;
        self.failed(reason, true, now);
        Ok(())
    }

    fn claim(&mut self, now: Time) {
        self.rotation.claim = Some(Claim { until: now + CLAIM });
    }

    fn put_off(&mut self, until: Time) {
        self.rotation.claim = None;
        match &mut self.rotation.run {
            Some(run) => run.at = until,
            None => self.rotation.next_at = until,
        }
    }

    fn create(&mut self, seen: Seen, now: Time) {
        match (self.rotation.policy.rotator, self.rotation.policy.is_outside()) {
            (RotatorKind::Manual, _) => self.awaited(seen, now),
            (_, false) => {
                self.effect = Effect::Replace;
                self.succeeded(seen.next, now);
            }
            (_, true) => {
                self.effect = Effect::Create;
                self.run_with(seen.current, seen.next, Step::Set);
                self.claim(now);
            }
        }
    }

    fn run_with(&mut self, base: i64, version: i64, step: Step) {
        if let Some(run) = &mut self.rotation.run {
            (run.base, run.version, run.step) = (base, version, step);
            if step == Step::Create {
                run.goal = Goal::Rotate;
            }
        }
    }

    /// Looks whether somebody has put the value.
    fn awaited(&mut self, seen: Seen, now: Time) {
        if seen.pending == 0 {
            // They are told as soon as it is due.
            self.overdue();
            self.run_with(seen.current, 0, Step::Await);
            return self.put_off(now + LOOK_AGAIN);
        }
        self.run_with(seen.current, seen.pending, Step::Test);
        if self.rotation.policy.is_outside() {
            self.effect = Effect::Keep(seen.pending);
            self.claim(now);
        } else {
            self.effect = Effect::Finish(seen.pending);
            self.succeeded(seen.pending, now);
        }
    }

    pub(super) fn answered(&mut self, fence: i64, answer: &Answer, seen: Seen, now: Time) -> Result<()> {
        let mine = self.rotation.claim.is_some() && self.rotation.fence == fence;
        let Some(run) = self.rotation.run.as_ref().filter(|_| mine) else {
            return Err(running());
        };
        if seen.retired.is_some() {
            self.put_off(now + backoff::LONGEST);
            return Ok(());
        }
        if run.is_left_behind(seen) {
            self.leave(seen, now);
            return Ok(());
        }
        let (step, version, base) = (run.step, run.version, run.base);
        match (step, answer) {
            (Step::Set, Answer::Done) => self.go_on_with(Step::Test, now),
            (Step::Test, Answer::Done) => {
                if seen.current != version {
                    self.effect = Effect::Finish(version);
                }
                self.go_on_with(Step::Verify, now);
            }
            (Step::Verify, Answer::Done) => self.succeeded(version, now),
            // The target has another password by now: it is set again.
            (Step::Test | Step::Verify, Answer::LoginRefused) if self.is_set() => {
                let base = if step == Step::Verify { version } else { base };
                self.run_with(base, version, Step::Set);
                self.failed("the target refuses a login with the new version", false, now);
            }
            (Step::Test | Step::Verify, Answer::LoginRefused) => {
                self.failed("the target refuses a login with the new version", true, now);
            }
            // Its own password may be under way; but nobody is locked out by trying for ever.
            (_, Answer::LoginRefused) => {
                let tried = self.rotation.run.as_ref().and_then(|run| run.failure.as_ref());
                let tried = tried.map_or(0, |failure| failure.count);
                let lasts = tried >= self.rotation.policy.retries();
                self.failed("the target refuses the administrator's login", lasts, now);
            }
            (_, Answer::Failed { reason, permanent }) => self.failed(reason, *permanent, now),
            (Step::Create | Step::Await, Answer::Done) => return Err(running()),
        }
        Ok(())
    }

    /// Whether the value is set by us, and not by a person.
    fn is_set(&self) -> bool {
        self.rotation.policy.rotator != RotatorKind::Manual
    }

    fn go_on_with(&mut self, step: Step, now: Time) {
        if let Some(run) = &mut self.rotation.run {
            (run.step, run.failure) = (step, None);
        }
        self.claim(now);
    }

    fn succeeded(&mut self, version: i64, now: Time) {
        let rotation = &mut self.rotation;
        (rotation.run, rotation.claim, rotation.overdue_told) = (None, None, false);
        rotation.next_at = rotation.policy.schedule.next(now, rotation.id.seed());
        rotation.rotated_at = Some(now);
        self.news = Some(News::Succeeded { version });
    }

    fn overdue(&mut self) {
        if !self.rotation.overdue_told {
            self.rotation.overdue_told = true;
            self.news = Some(News::Overdue);
        }
    }

    fn failed(&mut self, reason: &str, permanent: bool, now: Time) {
        let told = self.rotation.policy.retries() + 1;
        let Some(run) = &mut self.rotation.run else { return };
        let count = run.failure.as_ref().map_or(0, |failure| failure.count) + 1;
        run.failure = Some(Failure {
            reason: reason.to_owned(),
            at: now,
            permanent,
            count,
        });
        if permanent || count == told {
            self.news = Some(News::Failed);
        } else if self.rotation.is_overdue(now) {
            self.overdue();
        }
        self.put_off(now + backoff::after(count));
    }

    pub(super) fn told(&mut self, told: Told, seen: Seen, now: Time) -> Result<()> {
        match told {
            Told::Pause => self.rotation.paused = true,
            Told::Rotate if self.rotation.paused => {
                return Err(Error::new(Code::Conflict, "The rotation is paused: resume it first."));
            }
            // One that is under way goes on.
            Told::Rotate if self.rotation.is_claimed(now) => {}
            Told::Rotate => {
                if let Some(run) = self.rotation.run.as_mut().filter(|run| run.goal == Goal::Rollback) {
                    *run = run.another(now);
                }
                self.go_on(now);
            }
            Told::Resume => {
                self.rotation.paused = false;
                if self.rotation.run.is_some() && !self.rotation.is_claimed(now) {
                    self.go_on(now);
                }
            }
            Told::Rollback => {
                self.rotation.check_unclaimed(now)?;
                self.roll_back(seen, now)?;
            }
        }
        Ok(())
    }

    /// At once, whatever failed before.
    fn go_on(&mut self, now: Time) {
        self.rotation.claim = None;
        match &mut self.rotation.run {
            Some(run) => (run.failure, run.at) = (None, now),
            None => self.rotation.run = Some(Run::new(now)),
        }
    }

    fn roll_back(&mut self, seen: Seen, now: Time) -> Result<()> {
        if seen.previous == 0 {
            return Err(Error::new(
                Code::NotFound,
                "There is no previous version to go back to.",
            ));
        }
        if !self.rotation.policy.is_outside() {
            self.effect = Effect::Finish(seen.previous);
            self.succeeded(seen.previous, now);
            return Ok(());
        }
        self.effect = Effect::Keep(seen.previous);
        self.rotation.claim = None;
        let before = self.rotation.run.take();
        self.rotation.run = Some(Run {
            goal: Goal::Rollback,
            step: if self.is_set() { Step::Set } else { Step::Test },
            base: seen.current,
            version: seen.previous,
            ..before.map_or_else(|| Run::new(now), |run| run.another(now))
        });
        Ok(())
    }
}
