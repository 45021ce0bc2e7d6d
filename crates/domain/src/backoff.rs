//! How long is waited between tries of what fails.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(2);
pub const LONGEST: Duration = Duration::from_hours(1);

/// After so many failures in a row: twice as long after each.
pub fn after(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(doubled).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_an_hour() {
        let seconds = [1, 2, 3, 11, 12, 32, 33, 64, u32::MAX].map(|failures| after(failures).as_secs());
        assert_eq!(seconds, [2, 4, 8, 2048, 3600, 3600, 3600, 3600, 3600]);
        assert_eq!(after(0), FIRST);
    }
}
