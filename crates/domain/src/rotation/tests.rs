use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Code, PrincipalId};

mod writes;

const SECOND: Duration = Duration::from_secs(1);
const SERVER: &str = "postgres db";
const START: Time = Time(1_000_000_000_000_000);

fn policy(fields: serde_json::Value) -> RotationPolicy {
    serde_json::from_value(fields).unwrap()
}

fn generated() -> Rotation {
    let every = policy(json!({ "rotator": "generate", "interval": "1h" }));
    Rotation::new(ObjectId([7; 16]), every, SERVER.into(), START)
}

fn at_target() -> Rotation {
    let every = policy(json!({ "rotator": "postgres", "target": "db", "interval": "1h" }));
    Rotation::new(ObjectId([7; 16]), every, SERVER.into(), START)
}

fn head(current: i64, previous: i64, pending: i64, next: i64) -> Seen {
    Seen {
        current,
        previous,
        pending,
        next,
        retired: None,
    }
}

fn answered(rotation: &Rotation, answer: Answer, seen: Seen, now: Time) -> Stepped {
    let event = Event::Answered(rotation.fence, answer);
    rotation.step(&event, seen, now).unwrap()
}

fn failed(permanent: bool) -> Answer {
    Answer::Failed {
        reason: "no".into(),
        permanent,
    }
}

/// Due, taken, its version made.
fn begun() -> (Rotation, Time) {
    let rotation = at_target();
    let now = rotation.next_at;
    let taken = rotation.step(&Event::Take, head(1, 0, 0, 2), now).unwrap();
    assert_eq!(taken.effect, Effect::Create);
    (taken.rotation, now)
}

#[test]
fn a_policy_says_what_it_needs() {
    for wrong in [
        json!({ "rotator": "generate" }),
        json!({ "rotator": "generate", "interval": "1h", "cron": "0 0 * * *" }),
        json!({ "rotator": "generate", "interval": "1h", "target": "db" }),
        json!({ "rotator": "generate", "interval": "1h", "users": ["a"] }),
        json!({ "rotator": "postgres", "interval": "1h" }),
        json!({ "rotator": "webhook", "interval": "1h" }),
        json!({ "rotator": "manual", "interval": "1h", "recipe": {} }),
        json!({ "rotator": "postgres", "interval": "1h", "target": "db", "users": ["a", "a"] }),
        json!({ "rotator": "postgres", "interval": "1h", "target": "db", "users": ["a", "b", "c"] }),
        json!({ "rotator": "postgres", "interval": "1h", "target": "db", "users": [""] }),
        json!({ "rotator": "generate", "interval": "1h", "jitter": "10m" }),
        json!({ "rotator": "generate", "interval": "1h", "colour": "red" }),
    ] {
        let sent = serde_json::from_value::<RotationFields>(wrong.clone()).ok();
        assert!(
            sent.is_none_or(|fields| RotationPolicy::try_from(fields).is_err()),
            "{wrong}"
        );
    }
    let whole = json!({
        "rotator": "mysql", "target": "db", "users": ["a", "b"], "cron": "0 3 * * 1", "time_zone": "Europe/Berlin",
        "window": "22:00-04:00", "jitter": "1m", "recipe": { "length": 20 }, "retries": 3, "alert_after": "2h",
    });
    let read = policy(whole);
    let again = policy(serde_json::to_value(&read).unwrap());
    assert_eq!(read, again);
}

#[test]
fn what_is_nowhere_else_is_replaced_in_one_change() {
    let rotation = generated();
    let early = rotation.step(&Event::Take, head(1, 0, 0, 2), START);
    assert_eq!(early.unwrap_err().code, Code::RotationRunning);
    let now = rotation.next_at;
    let done = rotation.step(&Event::Take, head(1, 0, 0, 2), now).unwrap();
    assert_eq!(
        (done.effect, done.news),
        (Effect::Replace, Some(News::Succeeded { version: 2 }))
    );
    assert_eq!(done.rotation.due(), Some(now + SECOND * 3600));
    assert!(done.rotation.run.is_none() && done.rotation.claim.is_none());
}

#[test]
fn a_run_goes_through_its_steps() {
    let (rotation, now) = begun();
    assert_eq!(
        rotation.act(),
        Act::Set {
            version: 2,
            tried: false
        }
    );
    let seen = head(1, 0, 2, 3);
    let set = answered(&rotation, Answer::Done, seen, now);
    assert_eq!(
        (set.rotation.act(), set.effect),
        (Act::Test { version: 2 }, Effect::Nothing)
    );
    let tested = answered(&set.rotation, Answer::Done, seen, now);
    assert_eq!(
        (tested.rotation.act(), tested.effect),
        (Act::Test { version: 2 }, Effect::Finish(2))
    );
    let over = answered(&tested.rotation, Answer::Done, head(2, 1, 0, 3), now);
    assert_eq!(
        (over.rotation.act(), over.news),
        (Act::Rest, Some(News::Succeeded { version: 2 }))
    );
}

#[test]
fn whoever_was_too_slow_is_refused() {
    let (rotation, now) = begun();
    let late = now + CLAIM;
    let seen = head(1, 0, 2, 3);
    assert!(rotation.step(&Event::Take, seen, now + SECOND).is_err());
    let other = rotation.step(&Event::Take, seen, late).unwrap().rotation;
    assert_eq!(
        other.act(),
        Act::Set {
            version: 2,
            tried: true
        }
    );
    assert!(other.fence > rotation.fence);
    let old = Event::Answered(rotation.fence, Answer::Done);
    assert_eq!(other.step(&old, seen, late).unwrap_err().code, Code::RotationRunning);
}

#[test]
fn failures_are_tried_again_told_once_and_stop_where_trying_cannot_help() {
    let (mut rotation, mut now) = begun();
    let seen = head(1, 0, 2, 3);
    let (mut told, mut waited) = (0, Vec::new());
    for _ in 0..20 {
        let step = answered(&rotation, failed(false), seen, now);
        told += usize::from(step.news == Some(News::Failed));
        let due = step.rotation.due().unwrap();
        waited.push(due.since(now));
        rotation = step.rotation.step(&Event::Take, seen, due).unwrap().rotation;
        now = due;
    }
    assert_eq!(told, 1);
    assert_eq!(
        (waited[0], waited[1], waited[19]),
        (SECOND * 2, SECOND * 4, SECOND * 3600)
    );
    let stopped = answered(&rotation, failed(true), seen, now);
    assert_eq!((stopped.rotation.due(), stopped.news), (None, Some(News::Failed)));
    let told = stopped.rotation.step(&Event::Told(Told::Rotate), seen, now).unwrap();
    assert_eq!(told.rotation.due(), Some(now));
}

#[test]
fn a_value_that_nobody_can_make_stops_before_anything_is_written() {
    let rotation = at_target();
    let unable = Event::Unable("there is no user".into());
    let stopped = rotation.step(&unable, head(1, 0, 0, 2), rotation.next_at).unwrap();
    assert_eq!((stopped.effect, stopped.rotation.due()), (Effect::Nothing, None));
    assert_eq!(stopped.rotation.run.unwrap().step, Step::Create);
}

#[test]
fn what_somebody_wrote_meanwhile_is_not_overwritten() {
    let (rotation, now) = begun();
    let set = answered(&rotation, Answer::Done, head(1, 0, 2, 3), now).rotation;
    // They wrote version 3, which is current now.
    let seen = head(3, 1, 2, 4);
    let again = answered(&set, Answer::Done, seen, now);
    assert_eq!((again.effect, again.news), (Effect::Nothing, None));
    let taken = again.rotation.step(&Event::Take, seen, now).unwrap();
    assert_eq!(taken.effect, Effect::Create);
    assert_eq!(
        taken.rotation.act(),
        Act::Set {
            version: 4,
            tried: false
        }
    );
}

#[test]
fn a_password_that_was_changed_behind_us_is_set_again() {
    let (rotation, now) = begun();
    let set = answered(&rotation, Answer::Done, head(1, 0, 2, 3), now).rotation;
    let moved = answered(&set, Answer::Done, head(1, 0, 2, 3), now).rotation;
    let seen = head(2, 1, 0, 3);
    let refused = answered(&moved, Answer::LoginRefused, seen, now).rotation;
    let again = refused
        .step(&Event::Take, seen, refused.due().unwrap())
        .unwrap()
        .rotation;
    assert_eq!(
        again.act(),
        Act::Set {
            version: 2,
            tried: true
        }
    );
    let set = answered(&again, Answer::Done, seen, now).rotation;
    let tested = answered(&set, Answer::Done, seen, now);
    assert_eq!(tested.effect, Effect::Nothing, "it is current already");
    let over = answered(&tested.rotation, Answer::Done, seen, now);
    assert_eq!(over.news, Some(News::Succeeded { version: 2 }));
}

#[test]
fn a_rollback_sets_and_tests_what_was_before() {
    let rotation = at_target();
    let tell = Event::Told(Told::Rollback);
    assert_eq!(
        rotation.step(&tell, head(1, 0, 0, 2), START).unwrap_err().code,
        Code::NotFound
    );
    let seen = head(2, 1, 0, 3);
    let begun = rotation.step(&tell, seen, START).unwrap();
    assert_eq!(begun.effect, Effect::Keep(1));
    let taken = begun.rotation.step(&Event::Take, seen, START).unwrap().rotation;
    assert_eq!(
        taken.act(),
        Act::Set {
            version: 1,
            tried: true
        }
    );
    assert!(taken.step(&tell, seen, START).is_err(), "it is under way");
    let set = answered(&taken, Answer::Done, seen, START).rotation;
    let tested = answered(&set, Answer::Done, seen, START);
    assert_eq!(tested.effect, Effect::Finish(1));
    let here = generated().step(&tell, seen, START).unwrap();
    assert_eq!((here.effect, here.rotation.run), (Effect::Finish(1), None));
}

#[test]
fn a_manual_rotation_waits_for_a_person() {
    let every = policy(json!({ "rotator": "manual", "interval": "1h" }));
    let rotation = Rotation::new(ObjectId([7; 16]), every, SERVER.into(), START);
    let mut now = rotation.next_at;
    let waiting = rotation.step(&Event::Take, head(1, 0, 0, 2), now).unwrap();
    assert_eq!((waiting.effect, waiting.news), (Effect::Nothing, Some(News::Overdue)));
    now = waiting.rotation.due().unwrap();
    let still = waiting.rotation.step(&Event::Take, head(1, 0, 0, 2), now).unwrap();
    assert_eq!(still.news, None);
    now = still.rotation.due().unwrap();
    let put = still.rotation.step(&Event::Take, head(1, 0, 2, 3), now).unwrap();
    assert_eq!(
        (put.effect, put.news),
        (Effect::Finish(2), Some(News::Succeeded { version: 2 }))
    );
}

#[test]
fn a_paused_rotation_ends_what_goes_well_and_begins_nothing() {
    let (rotation, now) = begun();
    let seen = head(1, 0, 2, 3);
    let pause = Event::Told(Told::Pause);
    let paused = rotation.step(&pause, seen, now).unwrap().rotation;
    let set = answered(&paused, Answer::Done, seen, now).rotation;
    assert_eq!(set.act(), Act::Test { version: 2 });
    assert_eq!(answered(&set, failed(false), seen, now).rotation.due(), None);
    let fresh = at_target().step(&pause, seen, now).unwrap().rotation;
    assert_eq!(fresh.due(), None);
    let rotate = Event::Told(Told::Rotate);
    assert_eq!(fresh.step(&rotate, seen, now).unwrap_err().code, Code::Conflict);
    let resumed = fresh.step(&Event::Told(Told::Resume), seen, now).unwrap().rotation;
    assert_eq!(resumed.due(), Some(resumed.next_at));
}

#[test]
fn another_policy_begins_a_run_anew_unless_it_makes_the_same() {
    let (rotation, now) = begun();
    let slower = policy(json!({ "rotator": "postgres", "target": "db", "interval": "2h" }));
    let next = rotation.with_policy(slower, SERVER.into(), now).unwrap();
    assert_eq!(
        (next.run.clone(), next.next_at),
        (rotation.run.clone(), now + SECOND * 7200)
    );
    let other = policy(json!({ "rotator": "postgres", "target": "other", "interval": "1h" }));
    let refused = rotation.with_policy(other.clone(), SERVER.into(), now).unwrap_err();
    assert_eq!(refused.code, Code::RotationRunning);
    let later = now + CLAIM;
    let anew = rotation.with_policy(other, SERVER.into(), later).unwrap();
    assert_eq!(
        (anew.run.clone().unwrap().step, anew.due()),
        (Step::Create, Some(later))
    );
}

#[test]
fn a_head_keeps_what_a_rotation_needs() {
    let new = |id: &str, labels: &[&str]| crate::secret::NewVersion {
        id: id.into(),
        digest: crate::Digest::ZERO,
        by: PrincipalId([1; 16]),
        cas: None,
        labels: Some(labels.iter().map(|label| (*label).to_owned()).collect()),
    };
    let mut head = Head::new(START);
    head.put(new("a", &["current"]), 2, START).unwrap();
    let (pending, _) = head.put(new("b", &["pending"]), 2, START).unwrap();
    head.begin_rotation(pending);
    for label in ["current", "previous", "pending"] {
        assert_eq!(
            head.move_label(label, 1, START).unwrap_err().code,
            Code::RotationRunning
        );
        assert_eq!(head.remove_label(label, START).unwrap_err().code, Code::RotationRunning);
    }
    assert_eq!(head.delete_current(START).unwrap_err().code, Code::RotationRunning);
    head.move_label("mine", 1, START).unwrap();
    for id in ["c", "d", "e"] {
        head.put(new(id, &["other"]), 2, START).unwrap();
    }
    assert!(head.entry(pending).is_some(), "kept, however many follow");
    head.finish_rotation(pending, START).unwrap();
    let seen = Seen::of(Some(&head), START);
    assert_eq!((seen.current, seen.previous, seen.pending), (2, 1, 0));
    head.move_label("current", 1, START).unwrap();
}

fn events() -> impl Strategy<Value = (Event, bool)> {
    let answer = prop_oneof![
        4 => Just(Answer::Done),
        1 => Just(Answer::LoginRefused),
        1 => any::<bool>().prop_map(failed),
    ];
    let told = prop::sample::select(vec![Told::Rotate, Told::Pause, Told::Resume, Told::Rollback]);
    let event = prop_oneof![
        4 => Just(Event::Take),
        6 => answer.prop_map(|answer| Event::Answered(0, answer)),
        1 => told.prop_map(Event::Told),
    ];
    (event, any::<bool>())
}

proptest! {
    /// Whatever happens in whichever order: nothing becomes current that was not tested, the fence never falls, and who is
    /// not stopped or paused is looked at again.
    #[test]
    fn only_what_was_tested_becomes_current(steps in prop::collection::vec((events(), 0_u64..60), 1..120)) {
        let mut rotation = at_target();
        let (mut seen, mut now) = (head(1, 0, 0, 2), START);
        let mut tested = std::collections::BTreeSet::from([1]);
        for ((event, writes), seconds) in steps {
            now = now + SECOND * u32::try_from(seconds * 60).unwrap();
            if writes && seconds == 0 {
                // Somebody puts a value of their own.
                tested.insert(seen.next);
                (seen.previous, seen.current, seen.next) = (seen.current, seen.next, seen.next + 1);
            }
            let event = match event {
                Event::Answered(_, answer) => Event::Answered(rotation.fence, answer),
                other => other,
            };
            if let (Event::Answered(_, Answer::Done), Act::Test { version }) = (&event, rotation.act()) {
                tested.insert(version);
            }
            let Ok(step) = rotation.step(&event, seen, now) else { continue };
            prop_assert!(step.rotation.fence >= rotation.fence);
            match step.effect {
                Effect::Create => (seen.pending, seen.next) = (seen.next, seen.next + 1),
                Effect::Finish(version) => {
                    prop_assert!(tested.contains(&version), "{version} was not tested");
                    if version != seen.current {
                        seen.previous = seen.current;
                    }
                    (seen.current, seen.pending) = (version, 0);
                }
                Effect::Replace => prop_assert!(false, "there is a target"),
                Effect::Nothing | Effect::Keep(_) => {}
            }
            rotation = step.rotation;
            let stopped = rotation.run.as_ref().is_some_and(Run::is_stopped);
            prop_assert!(rotation.due().is_some() || rotation.paused || stopped);
        }
    }
}
