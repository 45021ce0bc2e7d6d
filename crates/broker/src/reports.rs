//! What needs somebody's attention: secrets nobody reads, and secrets nobody has changed for long.

use std::time::{Duration, Instant};

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::secret::Head;
use strongroom_domain::{Kind, ObjectId, Result, Time};

use crate::Broker;
use crate::list::shown_to;
use crate::record::{Attempt, Served};
use crate::request::Request;
use crate::rows::Checked;

const DAY: Duration = Duration::from_hours(24);
const CHUNK: u16 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Not read, nor made, for so many days.
    Unused(u16),
    /// No version written for so many days.
    Stale(u16),
}

#[derive(Debug, Clone)]
pub struct Reported {
    pub path: String,
    pub owner: Option<String>,
    /// When the newest version was written; none: there never was one.
    pub written_at: Option<Time>,
    pub last_used_at: Option<Time>,
}

#[derive(Debug, Clone)]
pub struct ReportPage {
    pub items: Vec<Reported>,
    pub next: Option<String>,
}

impl Report {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unused(_) => "unused",
            Self::Stale(_) => "stale",
        }
    }

    fn names(self, head: &Head, used: Option<Time>, now: Time) -> bool {
        let written = head.versions.last().map_or(head.created_at, |entry| entry.created_at);
        match self {
            Self::Unused(days) => used.unwrap_or(head.created_at).max(written) < now - DAY * days.into(),
            Self::Stale(days) => written < now - DAY * days.into(),
        }
    }
}

impl Broker {
    /// A page of a report: of what the caller may list, after a cursor of an earlier page; empty: from the start.
    pub async fn report(&self, request: &Request, report: Report, after: &str, limit: u16) -> Result<ReportPage> {
        self.serve(request, Action::ReportRead, report.name(), |attempt| async move {
            attempt.authorise(Access::Reports)?;
            let after = self.open_cursor(after)?;
            Ok(Served::fresh(self.report_now(&attempt, report, after, limit).await?))
        })
        .await
    }

    async fn report_now(&self, attempt: &Attempt, report: Report, mut after: String, limit: u16) -> Result<ReportPage> {
        let mut items = Vec::new();
        let began = Instant::now();
        while began.elapsed() < self.0.settings.audit_deadline {
            let (now, namespace) = (attempt.now, self.namespace());
            let found = self
                .ask(self.0.store.list(now, namespace, Kind::Secret, "", &after, CHUNK))
                .await?;
            let last_chunk = found.value.len() < usize::from(CHUNK);
            let ids: Vec<ObjectId> = found.value.iter().map(|record| record.id).collect();
            let used = self.last_used(now, &ids).await?;
            for record in found.value {
                if items.len() == usize::from(limit) {
                    return self.report_page(items, Some(&after));
                }
                let Checked { record, body } = self.check::<Head>(record)?;
                let last_used_at = used.get(&record.id).copied();
                if report.names(&body, last_used_at, now) && shown_to(attempt, &record.name) {
                    items.push(Reported {
                        path: record.name.clone(),
                        owner: body.metadata.owner,
                        written_at: body.versions.last().map(|entry| entry.created_at),
                        last_used_at,
                    });
                }
                after = record.name;
            }
            if last_chunk {
                return self.report_page(items, None);
            }
        }
        self.report_page(items, Some(&after))
    }

    fn report_page(&self, items: Vec<Reported>, after: Option<&str>) -> Result<ReportPage> {
        let next = after.map(|after| self.seal_cursor(after)).transpose()?;
        Ok(ReportPage { items, next })
    }
}
