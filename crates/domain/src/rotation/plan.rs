//! When a rotation comes next, for the calendar.

use super::{Rotation, Step};
use crate::Time;

impl Rotation {
    /// When it is planned from `from` to before `to`, at most so many times. What is overdue comes as soon as it can, and what
    /// is under way when it is tried next; whatever follows is counted on from there. None: it is paused, or waits for
    /// somebody, and nobody knows for how long.
    pub fn planned(&self, now: Time, (from, to): (Time, Time), most: usize) -> Vec<Time> {
        let next = self.next_try().map(|next| next.max(now));
        next.map_or_else(Vec::new, |next| self.policy.schedule.runs(next, from, to, most))
    }

    fn next_try(&self) -> Option<Time> {
        let awaits = self.run.as_ref().is_some_and(|run| run.step == Step::Await);
        self.due().filter(|_| !self.paused && !awaits)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::{Answer, Event, RotationPolicy, Seen, Told};
    use super::*;
    use crate::ObjectId;

    const DAY: Duration = Duration::from_hours(24);
    const START: Time = Time(1_786_795_200_000_000);
    const SEEN: Seen = Seen {
        current: 1,
        previous: 0,
        pending: 0,
        next: 2,
        retired: None,
    };

    fn every_90_days(rotator: &str) -> Rotation {
        let policy = json!({ "rotator": rotator, "target": "db", "interval": "90d" });
        let policy: RotationPolicy = serde_json::from_value(policy).unwrap();
        Rotation::new(ObjectId([7; 16]), policy, String::new(), START)
    }

    fn step(rotation: &Rotation, event: &Event, now: Time) -> Rotation {
        let made = rotation.run.as_ref().map_or(0, |run| run.version);
        let seen = Seen { pending: made, ..SEEN };
        rotation.step(event, seen, now).unwrap().rotation
    }

    fn failed(rotation: &Rotation, permanent: bool, now: Time) -> Rotation {
        let taken = step(rotation, &Event::Take, now);
        let reason = "the target cannot be reached".into();
        let answer = Answer::Failed { reason, permanent };
        step(&taken, &Event::Answered(taken.fence, answer), now)
    }

    /// Within 200 days from then on.
    fn planned(rotation: &Rotation, now: Time) -> Vec<Time> {
        rotation.planned(now, (now, now + 200 * DAY), 100)
    }

    #[test]
    fn what_is_overdue_comes_at_once_and_the_others_are_counted_from_there() {
        let rotation = every_90_days("postgres");
        assert_eq!(planned(&rotation, START), [START + 90 * DAY, START + 180 * DAY]);
        let now = START + 91 * DAY;
        assert_eq!(planned(&rotation, now), [now, now + 90 * DAY, now + 180 * DAY]);
        let later = rotation.planned(now, (now + DAY, now + 100 * DAY), 100);
        assert_eq!(later, [now + 90 * DAY]);
    }

    #[test]
    fn what_fails_comes_when_it_is_tried_next() {
        let now = START + 91 * DAY;
        let failing = failed(&every_90_days("postgres"), false, now);
        let next = failing.run.as_ref().unwrap().at;
        assert!(next > now);
        assert_eq!(planned(&failing, now), [next, next + 90 * DAY, next + 180 * DAY]);
        let paused = step(&failing, &Event::Told(Told::Pause), now);
        assert_eq!(planned(&paused, now), []);
    }

    #[test]
    fn what_waits_for_somebody_is_not_planned() {
        let now = START + 91 * DAY;
        let stopped = failed(&every_90_days("postgres"), true, now);
        assert_eq!(planned(&stopped, now), []);
        let resumed = step(&stopped, &Event::Told(Told::Resume), now + DAY);
        assert_eq!(planned(&resumed, now + DAY)[0], now + DAY);
        let manual = every_90_days("manual");
        assert_eq!(planned(&manual, START), [START + 90 * DAY, START + 180 * DAY]);
        let awaited = step(&manual, &Event::Take, now);
        assert_eq!(planned(&awaited, now), []);
    }
}
