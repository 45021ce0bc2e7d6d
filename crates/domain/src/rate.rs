//! How often something may be done.

use std::time::Duration;

use crate::Time;

/// So many in each period, and all of them at once where nothing was done before. What is known of whoever is limited is
/// one time: when all of its allowance is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds that one takes to come back.
    each: i64,
    /// Microseconds that all of them take.
    all: i64,
}

impl Rate {
    /// `None` for 0: no limit.
    pub fn new(count: u32, period: Duration) -> Option<Self> {
        let all = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        let each = all.checked_div(i64::from(count))?.max(1);
        Some(Self {
            each,
            all: each.saturating_mul(count.into()),
        })
    }

    /// How long until one is there; zero: it is.
    pub fn wait(self, whole_at: Time, now: Time) -> Duration {
        let after = whole_at.0.max(now.0).saturating_add(self.each);
        let lacking = after.saturating_sub(now.0).saturating_sub(self.all);
        Duration::from_micros(u64::try_from(lacking).unwrap_or(0))
    }

    /// Takes one, or says how long until one is there.
    pub fn take(self, whole_at: Time, now: Time) -> Result<Time, Duration> {
        match self.wait(whole_at, now) {
            Duration::ZERO => Ok(Time(whole_at.0.max(now.0).saturating_add(self.each))),
            wait => Err(wait),
        }
    }

    /// Takes one of what was done already, there or not: nobody comes to owe more than all there is.
    pub fn charge(self, whole_at: Time, now: Time) -> Time {
        let after = whole_at.0.max(now.0).saturating_add(self.each);
        Time(after.min(now.0.saturating_add(self.all)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn none_is_no_limit() {
        assert_eq!(Rate::new(0, MINUTE), None);
    }

    proptest! {
        /// By a clock that moves as it likes: never more than the count at once, and never more in any stretch than that and
        /// what comes back in it. Who waits as long as it was told gets one, and who waits less does not.
        #[test]
        fn what_is_taken_is_bounded(count in 1_u32..200, steps in prop::collection::vec(0_i64..3_000_000, 1..400)) {
            let rate = Rate::new(count, MINUTE).unwrap();
            let (mut whole_at, mut now, mut taken) = (Time(0), Time(1), Vec::new());
            for step in steps {
                now = Time(now.0 + step);
                match rate.take(whole_at, now) {
                    Ok(after) => {
                        whole_at = after;
                        taken.push(now.0);
                    }
                    Err(wait) => {
                        let told = i64::try_from(wait.as_micros()).unwrap();
                        prop_assert!(rate.take(whole_at, Time(now.0 + told)).is_ok());
                        prop_assert!(rate.take(whole_at, Time(now.0 + told - 1)).is_err());
                    }
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let came_back = (to - from) / rate.each;
                    let so_many = i64::try_from(last - first + 1).unwrap();
                    prop_assert!(so_many <= i64::from(count) + came_back, "{so_many} in {} µs", to - from);
                }
            }
        }

        /// What was done in excess is not held against anybody for longer than a period.
        #[test]
        fn a_debt_is_bounded(count in 1_u32..200, charges in 1_usize..1_000) {
            let rate = Rate::new(count, MINUTE).unwrap();
            let now = Time(1_000_000);
            let whole_at = (0..charges).fold(Time(0), |whole_at, _| rate.charge(whole_at, now));
            prop_assert!(whole_at.0 - now.0 <= rate.all);
            prop_assert_eq!(rate.wait(whole_at, now).is_zero(), charges < count as usize);
            prop_assert!(rate.wait(whole_at, now) <= Duration::from_micros(rate.each.unsigned_abs()));
        }
    }
}
