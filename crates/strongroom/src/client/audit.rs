//! `strongroom audit`

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom_api::Page;
use strongroom_api::audit::{AuditQuery, Entry};
use strongroom_domain::Time;

use super::failure::Failure;
use super::output::{or_dash, table};
use super::session::Session;

/// Show who did what, newest first
///
/// All conditions must hold. A time is RFC 3339 (2026-01-31T12:00:00Z), or so long ago: 90s, 30m, 1h, 7d.
#[derive(Debug, clap::Args)]
pub struct Audit {
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A principal's id
    #[arg(long, value_name = "ID")]
    principal: Option<String>,
    #[arg(long)]
    path: Option<String>,
    /// For example secret.read
    #[arg(long)]
    action: Option<String>,
    /// granted, denied or refused
    #[arg(long)]
    outcome: Option<String>,
    /// At most so many entries
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Audit {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let now = now();
        let query = AuditQuery {
            since: self.since.map(|text| parse_time(&text, now)).transpose()?,
            until: self.until.map(|text| parse_time(&text, now)).transpose()?,
            principal: self.principal,
            path: self.path,
            action: self.action,
            outcome: self.outcome,
            cursor: None,
            limit: None,
        };
        let page = up_to(session, query, self.limit).await?;
        session.output.show(&page, || rows(&page.items))
    }
}

/// As many pages as `limit` needs.
async fn up_to(session: &Session, mut query: AuditQuery, limit: u32) -> Result<Page<Entry>, Failure> {
    let mut all: Page<Entry> = Page {
        items: Vec::new(),
        next_cursor: None,
    };
    loop {
        let left = limit.saturating_sub(u32::try_from(all.items.len()).unwrap_or(u32::MAX));
        if left == 0 {
            return Ok(all);
        }
        query.limit = Some(left.min(1000));
        let page = session.client.audit(&query).await?;
        all.items.extend(page.items);
        all.next_cursor.clone_from(&page.next_cursor);
        if page.next_cursor.is_none() {
            return Ok(all);
        }
        query.cursor = page.next_cursor;
    }
}

fn rows(entries: &[Entry]) -> String {
    let rows = entries.iter().map(|entry| {
        let who = entry
            .principal_name
            .clone()
            .or_else(|| entry.principal.map(|id| id.to_string()));
        let count = if entry.count > 1 {
            format!(" ×{}", entry.count)
        } else {
            String::new()
        };
        let outcome = match &entry.reason {
            Some(reason) => format!("{}: {reason}{count}", entry.outcome),
            None => format!("{}{count}", entry.outcome),
        };
        [
            entry.at.to_string(),
            entry.action.clone(),
            entry.path.clone(),
            or_dash(entry.version),
            outcome,
            or_dash(who),
            or_dash(entry.source.as_ref()),
        ]
    });
    table(
        ["AT", "ACTION", "PATH", "VERSION", "OUTCOME", "PRINCIPAL", "SOURCE"],
        rows,
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "what '1h ago' means is decided here, at the edge"
)]
pub(super) fn now() -> Time {
    Time(0) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub(super) fn parse_time(text: &str, now: Time) -> Result<Time, Failure> {
    let ago = || {
        let unit = text.chars().next_back()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(now - Duration::from_secs(count.checked_mul(seconds)?))
    };
    Time::parse(text).or_else(ago).ok_or_else(|| {
        Failure::usage(format!("'{text}' is no time."))
            .help("Write RFC 3339, like 2026-01-31T12:00:00Z, or how long ago: 90s, 30m, 1h, 7d.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = Time::parse("2026-01-31T12:00:00Z").unwrap();
        for (text, wanted) in [
            ("30m", "2026-01-31T11:30:00Z"),
            ("7d", "2026-01-24T12:00:00Z"),
            ("2026-01-01T00:00:00+01:00", "2025-12-31T23:00:00Z"),
        ] {
            assert_eq!(parse_time(text, now).unwrap(), Time::parse(wanted).unwrap());
        }
        for bad in ["", "h", "1", "-1h", "1.5h", "1y", "99999999999999999999d", "1ü"] {
            assert!(parse_time(bad, now).is_err(), "{bad}");
        }
    }
}
