//! Whether HTTPS can be served, and how long yet.

use std::time::Duration;

use strongroom_domain::Time;

use super::Findings;
use crate::config::Config;

const SOON: Duration = Duration::from_hours(14 * 24);
const NEXT: &str = "Put another certificate and its key in their files: a server reads them again by itself.";

pub(super) fn check(config: &Config, now: Time, findings: &mut Findings) {
    let Some(tls) = &config.tls else { return };
    match tls.load() {
        Err(says) => findings.fail("certificate", says, NEXT),
        Ok(loaded) if loaded.until <= now => findings.fail("certificate", format!("It ended {}.", loaded.until), NEXT),
        Ok(loaded) if loaded.until.since(now) < SOON => {
            findings.warn("certificate", format!("It ends {}.", loaded.until), NEXT);
        }
        Ok(loaded) => findings.ok("certificate", format!("It ends {}.", loaded.until)),
    }
}
