//! Lengths of time as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

const SECONDS: std::ops::RangeInclusive<u32> = 1..=10 * 366 * 86_400;
const UNITS: [(u32, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
const EXPECTED: &str = "a length of time such as 45s, 36h or 90d, or a number of seconds, from 1 second to 10 years";

/// Whole seconds, 1 to those of ten years. Written as `45s`, `1h30m` or `90d`, or as a number of seconds; a day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period(u32);

impl Period {
    pub const fn days(days: u16) -> Self {
        // The most that fits, so that it cannot be out of bounds.
        let days = if days > 3660 { 3660 } else { days };
        Self(if days == 0 { 1 } else { days as u32 * 86_400 })
    }

    pub const fn hours(hours: u16) -> Self {
        Self(if hours == 0 { 1 } else { hours as u32 * 3_600 })
    }

    pub fn from_seconds(seconds: u64) -> Option<Self> {
        let seconds = u32::try_from(seconds).ok()?;
        SECONDS.contains(&seconds).then_some(Self(seconds))
    }

    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| Error::invalid(format!("It is {EXPECTED}.")))
    }

    fn read(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::from_seconds(text.parse().ok()?);
        }
        let length = Span::from_str(text).ok()?;
        // A month has no fixed length.
        if length.get_years() != 0 || length.get_months() != 0 {
            return None;
        }
        let length = length.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        let whole = length.subsec_nanos() == 0;
        Self::from_seconds(u64::try_from(length.as_secs()).ok().filter(|_| whole)?)
    }

    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        Self::from_secs(period.0.into())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        for (seconds, unit) in UNITS {
            if left >= seconds {
                write!(f, "{}{unit}", left / seconds)?;
                left %= seconds;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Period, E> {
                Period::from_seconds(seconds).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(seconds), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                Period::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 1,
            "maximum": SECONDS.end(),
            "description": "Such as 45s, 36h or 90d, or a number of seconds: 1 second to 10 years.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_has_one_meaning() {
        for (text, seconds, again) in [
            ("2s", 2, "2s"),
            ("90", 90, "1m30s"),
            ("90d", 7_776_000, "90d"),
            ("36h", 129_600, "1d12h"),
            ("1h30m", 5_400, "1h30m"),
            ("1h 30m", 5_400, "1h30m"),
            ("2w", 1_209_600, "14d"),
            ("2 days", 172_800, "2d"),
            ("PT90S", 90, "1m30s"),
            ("1.5h", 5_400, "1h30m"),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(
                (period.seconds(), period.to_string().as_str()),
                (seconds, again),
                "{text}"
            );
        }
        for wrong in [
            "",
            "0",
            "0s",
            "-1h",
            "1mo",
            "1y",
            "P1M",
            "h",
            "1x",
            "1.5s",
            "500ms",
            "11 years",
            "3661d",
            "1h ago",
            "99999999999999999999",
            "9999999w",
            "１s",
        ] {
            assert!(Period::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            serde_json::from_str::<Period>("90").unwrap(),
            Period::parse("90s").unwrap()
        );
        assert_eq!(
            [
                Period::days(90),
                Period::days(u16::MAX),
                Period::hours(1),
                Period::hours(u16::MAX)
            ]
            .map(|of| of.to_string()),
            ["90d", "3660d", "1h", "2730d15h"]
        );
        let refused = serde_json::from_str::<Period>("\"soon\"").unwrap_err().to_string();
        assert!(
            refused.contains(", expected a length of time such as 45s, 36h or 90d"),
            "{refused}"
        );
        for wrong in ["0", "-1", "1.5", "null", "4294967296", "{}"] {
            assert!(serde_json::from_str::<Period>(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(seconds in SECONDS) {
            let period = Period(seconds);
            prop_assert_eq!(Period::parse(&period.to_string()).unwrap(), period);
            let json = serde_json::to_string(&period).unwrap();
            prop_assert_eq!(serde_json::from_str::<Period>(&json).unwrap(), period);
        }

        #[test]
        fn any_text_is_taken_or_refused(text in ".{0,40}", units in "[0-9. -]{0,12}[smhdwy]{0,3}[0-9]{0,12}[smhdwy]{0,2}") {
            let _ = (Period::parse(&text), Period::parse(&units));
        }
    }
}
