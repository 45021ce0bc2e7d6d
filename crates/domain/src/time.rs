//! Points in time as microseconds since 1970, the same integer in both stores.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z. Arithmetic saturates: no sum of times can wrap into the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time(pub i64);

impl Time {
    /// RFC 3339, any offset, at most microseconds kept.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|at| Self(at.as_microsecond()))
    }

    /// The first moment of this time's month (UTC), and of the next.
    pub fn month(self) -> (Self, Self) {
        let date = self.zoned().date();
        let first = date.first_of_month();
        let next = first.saturating_add(jiff::Span::new().months(1));
        let start = |date: jiff::civil::Date| {
            date.to_zoned(jiff::tz::TimeZone::UTC)
                .map_or(self, |at| Self(at.timestamp().as_microsecond()))
        };
        (start(first), start(next))
    }

    /// The month as `YYYY_MM`, as partitions are named.
    pub fn month_name(self) -> String {
        self.zoned().strftime("%Y_%m").to_string()
    }

    /// The start of its minute.
    pub fn minute(self) -> Self {
        Self(self.0 - self.0.rem_euclid(60_000_000))
    }

    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The nearest there is, within the years that have a text.
    fn timestamp(self) -> Timestamp {
        let end = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_microsecond(self.0).unwrap_or(end)
    }

    fn zoned(self) -> jiff::Zoned {
        self.timestamp().to_zoned(jiff::tz::TimeZone::UTC)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.timestamp())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_and_text() {
        let time = Time::parse("2026-12-31T23:59:59.123456Z").unwrap();
        assert_eq!(time.to_string(), "2026-12-31T23:59:59.123456Z");
        let (start, end) = time.month();
        assert_eq!(start.to_string(), "2026-12-01T00:00:00.000000Z");
        assert_eq!(end.to_string(), "2027-01-01T00:00:00.000000Z");
        assert_eq!(time.month_name(), "2026_12");
        assert_eq!(Time(i64::MAX) + Duration::from_secs(1), Time(i64::MAX));
        for (far, text) in [
            (
                Time::parse("9999-12-30T22:00:00.9Z").unwrap(),
                "9999-12-30T22:00:00.999999Z",
            ),
            (Time(i64::MAX), "9999-12-30T22:00:00.999999Z"),
            (Time(i64::MIN), "-009999-01-02T01:59:59.000000Z"),
        ] {
            assert_eq!(far.to_string(), text);
            assert!(far.month().0 <= far);
        }
    }
}
