use proptest::prelude::*;
use serde_json::json;

use super::tests::{at, schedule};
use super::*;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
];

fn zones() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(ZONES.to_vec())
}

/// Days on which clocks are changed somewhere, and any others, to the microsecond.
fn times() -> impl Strategy<Value = Time> {
    let change = [
        "2026-03-08",
        "2026-03-29",
        "2026-04-05",
        "2026-10-04",
        "2026-10-25",
        "2026-11-01",
        "2027-02-07",
    ];
    let near = (
        proptest::sample::select(change.to_vec()),
        -36 * 3600 * MICROS..36 * 3600 * MICROS,
    );
    let near = near.prop_map(|(day, by)| Time(at(&format!("{day}T12:00:00Z")).0 + by));
    let any = (0..4_000_000_000 * MICROS).prop_map(Time);
    prop_oneof![3 => near, 1 => any]
}

fn minutes() -> impl Strategy<Value = String> {
    (0..24, 0..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
}

fn windows() -> impl Strategy<Value = Option<String>> {
    proptest::option::of((minutes(), minutes()).prop_filter("no window", |(from, to)| from != to))
        .prop_map(|window| window.map(|(from, to)| format!("{from}-{to}")))
}

fn crons() -> impl Strategy<Value = String> {
    let field = |values: std::ops::RangeInclusive<u8>| {
        let steps = *values.end();
        prop_oneof![
            2 => Just("*".to_owned()),
            2 => proptest::collection::vec(values, 1..3).prop_map(|values| {
                values.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
            }),
            1 => (2..=steps).prop_map(|step| format!("*/{step}")),
        ]
    };
    (field(0..=59), field(0..=23), field(1..=28), field(1..=12), field(0..=6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let every = prop_oneof![
        (1_u64..400 * 86_400).prop_map(|seconds| (Period::from_seconds(seconds), None)),
        crons().prop_map(|cron| (None, Some(cron))),
    ];
    (every, zones(), windows(), 0_u64..=100).prop_map(|((interval, cron), zone, window, percent)| {
        let fields = ScheduleFields {
            interval,
            cron,
            time_zone: Some(zone.into()),
            window,
            jitter: None,
        };
        let mut schedule = Schedule::try_from(fields).unwrap();
        let shortest = match &schedule.every {
            Every::Interval(interval) => u64::from(interval.seconds()),
            Every::Cron { cron, .. } => (shortest_gap(cron).unwrap() / MICROS).unsigned_abs(),
        };
        schedule.jitter = Period::from_seconds(shortest / 10 * percent / 100);
        schedule.check_jitter().unwrap();
        schedule
    })
}

/// Whether cron would run then, told by its fields alone.
fn comes(cron: &str, local: &Zoned) -> bool {
    let fields: Vec<&str> = cron.split(' ').collect();
    let fits = |field: &str, value: i8, lowest: i8| {
        field.split(',').any(|part| match part.strip_prefix("*/") {
            Some(step) => (value - lowest) % step.parse::<i8>().unwrap() == 0,
            None => part == "*" || part.parse() == Ok(value),
        })
    };
    let day = fits(fields[2], local.day(), 1);
    let weekday = fits(fields[4], local.weekday().to_sunday_zero_offset(), 0);
    let either = fields[2] != "*" && fields[4] != "*";
    fits(fields[0], local.minute(), 0)
        && fits(fields[1], local.hour(), 0)
        && fits(fields[3], local.month(), 1)
        && if either { day || weekday } else { day && weekday }
}

proptest! {
    #[test]
    fn always_later_and_within_the_window(schedule in schedules(), after in times(), seed: u64) {
        let due = schedule.next(after, seed);
        prop_assert!(due > after && due < last());
        prop_assert!(schedule.is_open(due), "{due}");
        prop_assert_eq!(schedule.next(after, seed), due);
        let planned = schedule.planned(after).unwrap();
        let most = schedule.jitter.map_or(0, |jitter| i64::from(jitter.seconds()) * MICROS);
        prop_assert!((planned.0..=planned.0 + most).contains(&due.0));
        let stored = serde_json::to_string(&schedule).unwrap();
        let again: Schedule = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(again.next(after, seed), due);
    }

    /// No minute between was one at which cron runs. In UTC, where no clock jumps.
    #[test]
    fn the_next_run_is_the_first(cron in crons(), after in times()) {
        let schedule = schedule(json!({ "cron": cron })).unwrap();
        let due = schedule.next(after, 0);
        prop_assert!(comes(&cron, &schedule.local(due).unwrap()), "{due}");
        let minute = 60 * MICROS;
        let first_minute = Time(after.minute().0 + minute);
        let between = (0..5_000).map(|n| Time(first_minute.0 + n * minute)).take_while(|at| *at < due);
        for at in between {
            prop_assert!(!comes(&cron, &schedule.local(at).unwrap()), "{at} before {due}");
        }
    }

    /// No minute between was within the window, except where the clock jumped over its beginning.
    #[test]
    fn a_window_is_not_missed(window in windows(), zone in zones(), after in times()) {
        let schedule = schedule(json!({ "interval": "1s", "window": window, "time_zone": zone })).unwrap();
        let opens = schedule.opens(after).unwrap();
        prop_assert!(opens >= after && schedule.is_open(opens));
        let minute = 60 * MICROS;
        let minutes = (1..=4 * 1440).map(|n| Time(after.minute().0 + n * minute));
        let missed = minutes.take_while(|at| *at < opens).find(|at| schedule.is_open(*at));
        if let Some(missed) = missed {
            let before = schedule.local(Time(missed.0 - 90 * minute)).unwrap().offset();
            let behind = schedule.local(Time(missed.0 + 90 * minute)).unwrap().offset();
            prop_assert!(before < behind, "{missed} before {opens}");
        }
    }

    #[test]
    fn a_calendar_is_in_order(schedule in schedules(), due in times(), from in times(), days in 1_i64..40) {
        let to = Time(from.0 + days * 86_400 * MICROS);
        let runs = schedule.runs(due, from, to, 50);
        prop_assert!(runs.len() <= 50 && runs.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(runs.iter().all(|run| (from..to).contains(run)));
        prop_assert!(runs.iter().filter(|run| **run != due).all(|run| schedule.is_open(*run)));
    }

    #[test]
    fn any_text_is_taken_or_refused(
        any in ".{0,60}",
        cron in "[0-9*,/LW#?@+ -]{0,30}",
        fields in "[0-9*/,-]{1,5}( [0-9*/,LW#?+-]{1,6}){4}",
        window in "[0-9:+-]{0,12}",
    ) {
        for cron in [&any, &cron, &fields] {
            let taken = schedule(json!({ "cron": cron, "jitter": "1s" }));
            if let Ok(schedule) = taken {
                let now = at("2026-02-28T23:59:59.999999Z");
                prop_assert!(schedule.next(now, 0) > now);
            }
        }
        let _ = schedule(json!({ "interval": "1d", "window": window, "time_zone": any }));
    }
}
