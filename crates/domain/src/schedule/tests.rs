use serde_json::{Value, json};

use super::*;
use crate::rotation::{RotationFields, RotationPolicy};

pub(super) fn schedule(value: Value) -> Result<Schedule> {
    serde_json::from_value::<ScheduleFields>(value).unwrap().try_into()
}

pub(super) fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// What follows `after`, one by one, as they are in the schedule's own zone.
fn following(value: Value, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(value).unwrap();
    let runs = std::iter::successors(Some(at(after)), |run| Some(schedule.next(*run, 0)));
    let text = |run| schedule.local(run).unwrap().strftime("%m-%d %H:%M%:z").to_string();
    runs.skip(1).take(count).map(text).collect()
}

#[test]
fn an_interval_follows_what_was() {
    let two_seconds = schedule(json!({ "interval": "2s" })).unwrap();
    assert_eq!(
        two_seconds.next(at("2026-01-01T00:00:00.5Z"), 9),
        at("2026-01-01T00:00:02.5Z")
    );
    let quarter = schedule(json!({ "interval": "90d", "time_zone": "Europe/Berlin" })).unwrap();
    assert_eq!(
        quarter.next(at("2026-01-01T12:00:00Z"), 9),
        at("2026-04-01T12:00:00Z"),
        "90 times 24 hours"
    );
}

/// As cron has it: where day of month and day of week are both named, either counts.
#[test]
fn either_kind_of_day_counts() {
    let runs = following(json!({ "cron": "0 3 13 * 5" }), "2026-02-01T00:00:00Z", 6);
    let days: Vec<&str> = runs.iter().map(|run| &run[..5]).collect();
    assert_eq!(days, ["02-06", "02-13", "02-20", "02-27", "03-06", "03-13"]);
    let runs = following(json!({ "cron": "0 3 14 * 5" }), "2026-02-06T04:00:00Z", 3);
    assert_eq!(runs, ["02-13 03:00+00:00", "02-14 03:00+00:00", "02-20 03:00+00:00"]);
    let by_month = following(json!({ "cron": "0 3 13 * *" }), "2026-02-01T00:00:00Z", 2);
    assert_eq!(by_month, ["02-13 03:00+00:00", "03-13 03:00+00:00"]);
    let by_week = following(json!({ "cron": "0 3 * * fri" }), "2026-02-01T00:00:00Z", 2);
    assert_eq!(by_week, ["02-06 03:00+00:00", "02-13 03:00+00:00"]);
}

/// A time that a clock jumps over comes at the end of the jump; one that comes twice is one run, unless it is one of many.
#[test]
fn clocks_that_jump() {
    let daily = |zone: &str, cron: &str, after: &str| following(json!({ "cron": cron, "time_zone": zone }), after, 3);
    assert_eq!(
        daily("Europe/Berlin", "30 2 * * *", "2026-03-28T00:00:00Z"),
        ["03-28 02:30+01:00", "03-29 03:00+02:00", "03-30 02:30+02:00"]
    );
    assert_eq!(
        daily("Europe/Berlin", "30 2 * * *", "2026-10-24T00:00:00Z"),
        ["10-24 02:30+02:00", "10-25 02:30+02:00", "10-26 02:30+01:00"]
    );
    assert_eq!(
        daily("Europe/Berlin", "30 * * * *", "2026-10-24T23:45:00Z"),
        ["10-25 02:30+02:00", "10-25 02:30+01:00", "10-25 03:30+01:00"]
    );
    assert_eq!(
        daily("America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z"),
        ["03-08 03:00-04:00", "03-09 02:30-04:00", "03-10 02:30-04:00"]
    );
    assert_eq!(
        daily("America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z"),
        ["11-01 01:30-04:00", "11-02 01:30-05:00", "11-03 01:30-05:00"]
    );
    // Half an hour, at two in the morning.
    assert_eq!(
        daily("Australia/Lord_Howe", "15 2 * * *", "2026-10-02T12:00:00Z"),
        ["10-03 02:15+10:30", "10-04 02:30+11:00", "10-05 02:15+11:00"]
    );
    assert_eq!(
        daily("Australia/Lord_Howe", "45 1 * * *", "2026-04-03T12:00:00Z"),
        ["04-04 01:45+11:00", "04-05 01:45+11:00", "04-06 01:45+10:30"]
    );
}

#[test]
fn what_is_due_at_another_time_waits_for_the_window() {
    let hours = |window: &str, after: &str, count| {
        let every = json!({ "interval": "5h", "window": window, "time_zone": "Europe/Berlin" });
        following(every, after, count)
    };
    assert_eq!(
        hours("22:00-04:00", "2026-06-01T12:00:00Z", 4),
        [
            "06-01 22:00+02:00",
            "06-02 03:00+02:00",
            "06-02 22:00+02:00",
            "06-03 03:00+02:00"
        ]
    );
    assert_eq!(
        hours("02:00-03:00", "2026-03-28T12:00:00Z", 1),
        ["03-30 02:00+02:00"],
        "jumped over"
    );
    assert_eq!(
        hours("02:00-05:00", "2026-03-28T12:00:00Z", 1),
        ["03-29 03:00+02:00"],
        "half of it"
    );
    assert_eq!(
        hours("02:30-02:40", "2026-10-24T12:00:00Z", 2),
        ["10-25 02:30+02:00", "10-26 02:30+01:00"]
    );
    // Due between the two of them.
    assert_eq!(hours("02:30-02:40", "2026-10-24T19:50:00Z", 1), ["10-25 02:30+01:00"]);
    let daily = json!({ "cron": "0 12 * * *", "window": "22:00-04:00" });
    assert_eq!(
        following(daily, "2026-06-01T00:00:00Z", 2),
        ["06-01 22:00+00:00", "06-02 22:00+00:00"]
    );
}

#[test]
fn jitter_is_spread_over_all_that_it_may_be() {
    let daily = schedule(json!({ "interval": "1d", "jitter": "2h" })).unwrap();
    let start = at("2026-01-01T00:00:00Z");
    let late = |seed| (daily.next(start, seed).0 - at("2026-01-02T00:00:00Z").0) / 60 / MICROS;
    let minutes: Vec<i64> = (0..1_000).map(late).collect();
    for tenth in 0..10 {
        let there = minutes.iter().filter(|late| **late / 12 == tenth).count();
        assert!((70..=130).contains(&there), "{tenth}: {there}");
    }
    assert!(minutes.iter().all(|late| (0..=120).contains(late)));
    // Where the window closes sooner, over what is left of it.
    let nightly = schedule(json!({ "interval": "1d", "jitter": "2h", "window": "23:50-00:00" })).unwrap();
    let spread: std::collections::BTreeSet<i64> = (0..1_000)
        .map(|seed| nightly.next(start, seed).0 / 60 / MICROS)
        .collect();
    assert_eq!(spread.len(), 10);
}

#[test]
fn a_calendar_begins_with_what_is_due() {
    let (from, to) = (at("2026-01-10T00:00:00Z"), at("2026-01-12T00:00:00Z"));
    let days = |value: Value, due: &str, most: usize| {
        let runs = schedule(value).unwrap().runs(at(due), from, to, most);
        runs.into_iter()
            .map(|run| run.to_string()[5..16].to_owned())
            .collect::<Vec<_>>()
    };
    let daily = json!({ "interval": "1d", "jitter": "1h" });
    assert_eq!(
        days(daily.clone(), "2026-01-10T05:00:00Z", 9),
        ["01-10T05:00", "01-11T05:00"]
    );
    assert_eq!(
        days(daily.clone(), "2020-02-03T05:00:00Z", 9),
        ["01-10T05:00", "01-11T05:00"]
    );
    assert_eq!(days(daily.clone(), "2026-01-09T00:00:00Z", 1), ["01-10T00:00"]);
    assert_eq!(days(daily.clone(), "2026-01-12T00:00:00Z", 9), [""; 0]);
    assert_eq!(
        days(json!({ "interval": "2s" }), "1970-01-01T00:00:00Z", 500).len(),
        500
    );
    let cron = json!({ "cron": "0 */12 * * *" });
    assert_eq!(
        days(cron.clone(), "2026-01-10T13:13:13Z", 2),
        ["01-10T13:13", "01-11T00:00"]
    );
    assert_eq!(days(cron, "2000-01-01T00:00:00Z", 2), ["01-10T00:00", "01-10T12:00"]);
}

#[test]
fn what_cannot_be_followed_is_refused_with_what_to_change() {
    for (wrong, says) in [
        (json!({}), "either 'interval' or 'cron'"),
        (
            json!({ "interval": "1d", "cron": "0 0 * * *" }),
            "either 'interval' or 'cron'",
        ),
        (json!({ "cron": "" }), "five fields"),
        (json!({ "cron": "0 0 0 * * *" }), "five fields"),
        (json!({ "cron": "60 0 * * *" }), "five fields"),
        (json!({ "cron": "0 0 * * * 2027" }), "five fields"),
        (json!({ "cron": "0 0 * * ü" }), "five fields"),
        (
            json!({ "cron": format!("{} * * * *", "1,".repeat(100)) }),
            "five fields",
        ),
        (json!({ "cron": "0 0 30 2 *" }), "never comes"),
        (json!({ "interval": "1d", "time_zone": "Berlin" }), "IANA name"),
        (json!({ "interval": "1d", "time_zone": "" }), "IANA name"),
        (json!({ "interval": "1d", "time_zone": "Etc/Unknown" }), "IANA name"),
        (
            json!({ "interval": "1d", "time_zone": "../../etc/passwd" }),
            "IANA name",
        ),
        (json!({ "interval": "1d", "window": "22-04" }), "two different times"),
        (json!({ "interval": "1d", "window": "22:00" }), "two different times"),
        (
            json!({ "interval": "1d", "window": "22:00-22:00" }),
            "two different times",
        ),
        (
            json!({ "interval": "1d", "window": "22:00-24:00" }),
            "two different times",
        ),
        (
            json!({ "interval": "1d", "window": "22:00:01-23:00" }),
            "two different times",
        ),
        (
            json!({ "interval": "1d", "jitter": "2h25m" }),
            "at most a tenth of the time between two runs: 2h24m here",
        ),
        (json!({ "interval": "9s", "jitter": "1s" }), "leave it out"),
        (json!({ "cron": "0,30 * * * *", "jitter": "4m" }), "3m here"),
        (json!({ "cron": "0 0 13 * 5", "jitter": "3h" }), "2h24m here"),
    ] {
        let refused = schedule(wrong.clone()).unwrap_err();
        assert!(refused.detail.contains(says), "{wrong}: {}", refused.detail);
        assert!(
            serde_json::from_value::<Schedule>(wrong).is_err(),
            "what is stored is checked too"
        );
    }
    for right in [
        json!({ "interval": "1d", "jitter": "2h24m", "window": "23:59-00:00", "time_zone": "europe/berlin" }),
        json!({ "cron": "0 0 29 2 *", "jitter": "90d" }),
        json!({ "cron": "59 23 L * *" }),
        json!({ "cron": "0 4 * jan-mar,OCT sun#1" }),
    ] {
        let parsed = schedule(right.clone()).unwrap();
        let stored = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&stored).unwrap(), parsed, "{right}");
    }
    let written = serde_json::to_value(schedule(json!({ "interval": 3600, "time_zone": "europe/berlin" })).unwrap());
    assert_eq!(
        written.unwrap(),
        json!({ "interval": "1h", "time_zone": "Europe/Berlin" })
    );
}

#[test]
fn far_away_times_end_with_the_calendar() {
    for value in [
        json!({ "interval": "90d", "jitter": "9d" }),
        json!({ "interval": "90d", "window": "22:00-04:00", "time_zone": "Europe/Berlin" }),
        json!({ "cron": "0 0 * * *" }),
    ] {
        let schedule = schedule(value).unwrap();
        for far in [Time(i64::MAX), last(), Time(last().0 - 1)] {
            assert_eq!(schedule.next(far, 1), last());
            assert!(schedule.runs(far, far, Time(i64::MAX), 5).len() <= 1);
        }
        assert!(schedule.next(at("4998-01-01T00:00:00Z"), 1) < at("4998-07-01T00:00:00Z"));
        let early = schedule.next(Time(i64::MIN), 1);
        assert!(early > first() && early <= last());
        assert_eq!(schedule.next(last(), 1).to_string(), "9999-12-30T22:00:00.000000Z");
    }
}

#[test]
fn types_that_age() {
    let days = |secret_type: SecretType| secret_type.due_after().map(|period| period.to_string());
    assert_eq!(days(SecretType::Database), Some("90d".into()));
    assert_eq!(days(SecretType::Password), Some("90d".into()));
    assert_eq!(days(SecretType::SigningKey), Some("30d".into()));
    assert_eq!(days(SecretType::Generic), None);
}

/// Its fields stand among those of whatever has a schedule.
/// What is stored was checked when it was written.
#[test]
fn the_runs_of_a_stored_policy_are_not_looked_at_each_time() {
    let policy = json!({ "rotator": "generate", "cron": "0 * * * *", "jitter": "10m" });
    let sent: RotationFields = serde_json::from_value(policy.clone()).unwrap();
    assert!(RotationPolicy::try_from(sent).is_err());
    assert!(serde_json::from_value::<RotationPolicy>(policy).is_ok());
}

#[test]
fn a_schedule_within_another_object() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Policy {
        rotator: String,
        #[serde(flatten)]
        schedule: Schedule,
        alert_after: Option<Period>,
    }
    let sent =
        json!({ "rotator": "generate", "cron": "0 4 * * *", "window": "04:00-05:00", "jitter": 60, "alert_after": 90 });
    let policy: Policy = serde_json::from_value(sent).unwrap();
    assert_eq!(
        policy.schedule.next(at("2026-01-01T00:00:00Z"), 0).minute(),
        at("2026-01-01T04:00:00Z")
    );
    let stored = serde_json::to_value(&policy).unwrap();
    assert_eq!(
        stored,
        json!({
            "rotator": "generate", "cron": "0 4 * * *", "window": "04:00-05:00", "jitter": "1m",
            "alert_after": "1m30s",
        })
    );
    assert_eq!(serde_json::from_value::<Policy>(stored).unwrap(), policy);
    let neither = json!({ "rotator": "generate", "alert_after": null });
    let refused = serde_json::from_value::<Policy>(neither).unwrap_err().to_string();
    assert!(
        refused.contains("A schedule has either 'interval' or 'cron'."),
        "{refused}"
    );
    let schema = schemars::schema_for!(Policy).to_value();
    let mut named: Vec<&str> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "alert_after",
            "cron",
            "interval",
            "jitter",
            "rotator",
            "time_zone",
            "window"
        ]
    );
    assert_eq!(schema["required"], json!(["rotator"]));
}
