//! Room for the store, and for how long it lasts.

use std::path::Path;

use strongroom_domain::Time;
use strongroom_ports::Clock as _;

use super::Findings;
use crate::config::{Config, StoreChoice};
use crate::system::SystemClock;

/// Below this, somebody must act this week.
const MIN_DAYS: f64 = 7.0;
const MIB: f64 = 1024.0 * 1024.0;
const MIN_FREE_MIB: f64 = 512.0;
const DAY: f64 = 86_400.0;
const CHECK: &str = "disk";

/// The log grows with every access: its pace is the whole store's size over the time since its first entry.
/// `size` in bytes, `since`: when the log began.
pub(super) fn check(config: &Config, size: f64, since: Option<Time>, findings: &mut Findings) {
    let now = SystemClock::start().now();
    let age = since.map(|since| now.since(since).as_secs_f64() / DAY);
    // A day is the least that says anything of a pace.
    let growth = age.filter(|age| *age >= 1.0).map(|age| size / age);
    match &config.store {
        StoreChoice::Sqlite(directory) => of_directory(directory, growth, findings),
        StoreChoice::Postgres(_) => {
            let pace = growth.map_or_else(String::new, |growth| format!(", {:.1} MiB more a day", growth / MIB));
            findings.ok(
                CHECK,
                format!(
                    "The database holds {:.0} MiB{pace}. The free room on its server's disk cannot be seen from here.",
                    size / MIB
                ),
            );
        }
    }
}

fn of_directory(directory: &Path, growth: Option<f64>, findings: &mut Findings) {
    let stat = match rustix::fs::statvfs(directory) {
        Ok(stat) => stat,
        Err(error) => {
            let says = format!("{} cannot be looked at: {error}.", directory.display());
            return findings.fail(CHECK, says, "Check that the directory is there and ours.");
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "told to the nearest mebibyte")]
    let free = (stat.f_bavail * stat.f_frsize) as f64;
    let days = growth.filter(|growth| *growth > 0.0).map(|growth| free / growth);
    let lasts = days.map_or_else(String::new, |days| format!(", for {days:.0} days at its pace so far"));
    let says = format!("{:.0} MiB are free{lasts}.", free / MIB);
    if free / MIB < MIN_FREE_MIB || days.is_some_and(|days| days < MIN_DAYS) {
        findings.warn(
            CHECK,
            says,
            "Make room or a larger disk: when it is full, nothing is shown or changed any more. See 'database full' in \
             the runbook.",
        );
    } else {
        findings.ok(CHECK, says);
    }
}
