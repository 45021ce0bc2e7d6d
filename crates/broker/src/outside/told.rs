//! What the log was told of refused logins, so that a flood of them is not a flood of lines.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strongroom_domain::Time;

/// Between two lines that say the same of one method.
const PAUSE: Duration = Duration::from_secs(10);
/// Methods that exist, times reasons: both are few.
const MAX: usize = 4096;

type Line = (String, &'static str);

#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<Line, Time>>);

impl Told {
    /// Whether it is to be told again, which counts as told.
    pub(super) fn is_due(&self, method: &str, reason: &'static str, now: Time) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX {
            told.clear();
        }
        let last = told.entry((method.to_owned(), reason)).or_insert(Time(i64::MIN));
        let due = *last + PAUSE <= now;
        if due {
            *last = now;
        }
        due
    }
}
