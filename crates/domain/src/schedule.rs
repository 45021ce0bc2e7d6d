//! When something is due again and again: after an interval or by cron, within a window, and spread. Pure: the same
//! arguments give the same time.

use std::str::FromStr as _;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metadata::SecretType;
use crate::period::Period;
use crate::{Error, Result, Time};

/// Jitter is at most this part of the time between two runs.
const MOST_JITTER: i64 = 10;
/// Enough for days, weeks and months to have met in all ways that matter.
const RUNS_LOOKED_AT: usize = 500;
const LONGEST_CRON: usize = 128;
/// A zone has no window on a day that it skips, or where its clock jumps over the window. It never does so twice in a row.
const DAYS_LOOKED_AT: usize = 4;
const MICROS: i64 = 1_000_000;

/// A schedule as it is sent and stored, unchecked. It stands among the fields of whatever has one, which knows what is unknown.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleFields {
    /// How long after one run the next is due; this or `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
    /// Minute, hour, day of month, month and day of week. Where both kinds of day are named, either counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The IANA name of the zone that `cron` and `window` are in. Usually UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When a run may begin, each day, such as `22:00-04:00`; what is due at another time waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// By how much runs are put off at most, each by another time; up to a tenth of the time between two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Period>,
}

/// A schedule that can be followed: what was parsed was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ScheduleFields", into = "ScheduleFields")]
pub struct Schedule {
    every: Every,
    zone: TimeZone,
    window: Option<Window>,
    jitter: Option<Period>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Every {
    Interval(Period),
    Cron { text: String, cron: Box<Cron> },
}

/// From one time of day to another, which is not in it; past midnight where that one is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: civil::Time,
    to: civil::Time,
}

impl TryFrom<ScheduleFields> for Schedule {
    type Error = Error;

    fn try_from(fields: ScheduleFields) -> Result<Self> {
        let schedule = Self::stored(fields)?;
        schedule.check_jitter()?;
        Ok(schedule)
    }
}

impl Schedule {
    /// One that was checked when it was written: its runs are not looked at again.
    pub(crate) fn stored(fields: ScheduleFields) -> Result<Self> {
        let every = match (fields.interval, fields.cron) {
            (Some(interval), None) => Every::Interval(interval),
            (None, Some(text)) => Every::Cron {
                cron: parse_cron(&text)?,
                text,
            },
            _ => return Err(Error::invalid("A schedule has either 'interval' or 'cron'.")),
        };
        Ok(Self {
            every,
            zone: fields.time_zone.as_deref().map_or(Ok(TimeZone::UTC), parse_zone)?,
            window: fields.window.as_deref().map(Window::parse).transpose()?,
            jitter: fields.jitter,
        })
    }
}

impl From<Schedule> for ScheduleFields {
    fn from(schedule: Schedule) -> Self {
        let (interval, cron) = match schedule.every {
            Every::Interval(interval) => (Some(interval), None),
            Every::Cron { text, .. } => (None, Some(text)),
        };
        Self {
            interval,
            cron,
            time_zone: schedule
                .zone
                .iana_name()
                .filter(|name| *name != "UTC")
                .map(str::to_owned),
            window: schedule.window.map(Window::text),
            jitter: schedule.jitter,
        }
    }
}

fn parse_cron(text: &str) -> Result<Box<Cron>> {
    let refused = || {
        Error::invalid(
            "'cron' has five fields: minute, hour, day of month, month and day of week, such as '30 2 * * 1-5'.",
        )
    };
    if text.len() > LONGEST_CRON || !text.is_ascii() {
        return Err(refused());
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser.parse(text).map(Box::new).map_err(|_| refused())
}

fn parse_zone(name: &str) -> Result<TimeZone> {
    // Of its own copy, so that all nodes know the same zones.
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    let known = zone.filter(|zone| !zone.is_unknown());
    known.ok_or_else(|| Error::invalid("'time_zone' is the IANA name of a zone, such as 'Europe/Berlin' or 'UTC'."))
}

impl Window {
    fn parse(text: &str) -> Result<Self> {
        let time = |text: &str| {
            let written = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
            civil::Time::from_str(text).ok().filter(|_| written)
        };
        let times = text
            .split_once('-')
            .and_then(|(from, to)| Some((time(from)?, time(to)?)));
        let window = times
            .filter(|(from, to)| from != to)
            .map(|(from, to)| Self { from, to });
        window.ok_or_else(|| {
            Error::invalid(
                "'window' is two different times of day, such as '22:00-04:00'; without it any time will do.",
            )
        })
    }

    fn text(self) -> String {
        format!("{}-{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }

    fn contains(self, time: civil::Time) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&time)
        } else {
            time >= self.from || time < self.to
        }
    }
}

impl Schedule {
    /// When it is due after `after`: later than that, and within the window. Others of the same schedule have another
    /// `seed`, and so another jitter. What would lie behind the year 9999 is due at its end.
    pub fn next(&self, after: Time, seed: u64) -> Time {
        let Some(planned) = self.planned(after) else {
            return last();
        };
        let Some(jitter) = self.jitter else {
            return planned;
        };
        let open_for = self.closes(planned).map_or(i64::MAX, |close| close.0 - planned.0 - 1);
        let most = (i64::from(jitter.seconds()) * MICROS).min(open_for).max(0);
        let part = i64::try_from(mix(seed ^ planned.0.cast_unsigned()) % (most.cast_unsigned() + 1)).unwrap_or(0);
        let due = Time(planned.0.saturating_add(part)).min(last());
        // Where the zone's clock jumps, the window may end sooner than its times say.
        if self.is_open(due) { due } else { planned }
    }

    /// What is planned from `from` to before `to`, at most so many: `due`, which is known, and what follows without jitter.
    pub fn runs(&self, due: Time, from: Time, to: Time, most: usize) -> Vec<Time> {
        let first = match &self.every {
            _ if due >= from => Some(due),
            Every::Cron { .. } => self.planned(Time(from.0.saturating_sub(1))),
            Every::Interval(interval) => {
                let interval = i64::from(interval.seconds()) * MICROS;
                let behind = from.0.saturating_sub(due.0);
                let past = behind.div_euclid(interval) + i64::from(behind.rem_euclid(interval) != 0);
                self.opens(Time(due.0.saturating_add(past.saturating_mul(interval))))
            }
        };
        let runs = std::iter::successors(first, |run| self.planned(*run).filter(|next| next > run));
        runs.take_while(|run| *run < to).take(most).collect()
    }

    fn check_jitter(&self) -> Result<()> {
        let shortest = match (&self.every, self.jitter) {
            (Every::Interval(interval), _) => i64::from(interval.seconds()) * MICROS,
            (Every::Cron { cron, .. }, Some(_)) => shortest_gap(cron)?,
            (Every::Cron { cron, .. }, None) => return first_run(cron).map(|_| ()),
        };
        let jitter = self.jitter.map_or(0, |jitter| i64::from(jitter.seconds()) * MICROS);
        if jitter.saturating_mul(MOST_JITTER) <= shortest {
            return Ok(());
        }
        let tenth = u64::try_from(shortest / MICROS / MOST_JITTER).ok();
        let most = tenth.and_then(Period::from_seconds);
        Err(Error::invalid(match most {
            Some(most) => format!("'jitter' is at most a tenth of the time between two runs: {most} here."),
            None => "'jitter' is at most a tenth of the time between two runs, which is less than a second here: leave it out.".into(),
        }))
    }

    /// When it is due without jitter; `None`: behind the year 9999.
    fn planned(&self, after: Time) -> Option<Time> {
        let after = after.max(first());
        let at = match &self.every {
            Every::Interval(interval) => after + (*interval).into(),
            Every::Cron { cron, .. } => time(&cron.find_next_occurrence(&self.local(after)?, false).ok()?),
        };
        self.opens(at).filter(|at| *at <= last())
    }

    fn local(&self, at: Time) -> Option<Zoned> {
        let at = Timestamp::from_microsecond(at.0).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }

    fn is_open(&self, at: Time) -> bool {
        let within = |window: Window| self.local(at).is_some_and(|local| window.contains(local.time()));
        self.window.is_none_or(within)
    }

    /// The first time from `at` on that is within the window.
    fn opens(&self, at: Time) -> Option<Time> {
        match self.window {
            Some(window) if !self.is_open(at) => self.reaches(window.from, at, |at| self.is_open(at)),
            _ => Some(at),
        }
    }

    /// When the window that is open at that time ends.
    fn closes(&self, at: Time) -> Option<Time> {
        self.reaches(self.window?.to, at, |close| close > at)
    }

    /// When it is that time of day, from `at` on, for the first time that will do. Where the clock is put back, one of
    /// the two times may; where it jumps over that time, it is as long before the jump, or behind it.
    fn reaches(&self, time_of_day: civil::Time, at: Time, will_do: impl Fn(Time) -> bool) -> Option<Time> {
        let days = self.local(at)?.date().series(jiff::Span::new().days(1));
        let both = |day: civil::Date| {
            let then = self.zone.to_ambiguous_timestamp(day.to_datetime(time_of_day));
            [then.earlier(), then.later()]
        };
        days.take(DAYS_LOOKED_AT)
            .flat_map(both)
            .filter_map(|then| Some(Time(then.ok()?.as_microsecond())))
            .find(|then| *then >= at && will_do(*then))
    }
}

/// In UTC and from a fixed day on: the same schedule is always taken or refused.
fn first_run(cron: &Cron) -> Result<Zoned> {
    let start = civil::date(2024, 1, 1)
        .to_zoned(TimeZone::UTC)
        .map_err(Error::internal)?;
    cron.find_next_occurrence(&start, false)
        .map_err(|_| Error::invalid("'cron' names a day that never comes."))
}

/// The shortest time between two of its runs.
fn shortest_gap(cron: &Cron) -> Result<i64> {
    let next = |run: &Zoned| cron.find_next_occurrence(run, false).ok();
    let mut before = first_run(cron)?;
    let mut shortest = i64::MAX;
    for _ in 0..RUNS_LOOKED_AT {
        let Some(run) = next(&before) else { break };
        shortest = shortest.min(time(&run).0 - time(&before).0);
        before = run;
    }
    Ok(shortest)
}

fn time(at: &Zoned) -> Time {
    Time(at.timestamp().as_microsecond())
}

fn first() -> Time {
    Time(Timestamp::MIN.as_microsecond())
}

/// The last whole second: what follows it in the same second cannot be read back.
fn last() -> Time {
    Time(Timestamp::MAX.as_second() * MICROS)
}

/// Spreads numbers evenly (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl SecretType {
    /// The age at which a secret of this type is due to be replaced, unless a schedule says otherwise.
    pub fn due_after(self) -> Option<Period> {
        match self {
            Self::Password | Self::Database | Self::Redis => Some(Period::days(90)),
            Self::SigningKey => Some(Period::days(30)),
            Self::Generic
            | Self::ApiKey
            | Self::Certificate
            | Self::AwsCredentials
            | Self::Webhook
            | Self::File
            | Self::Config => None,
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
