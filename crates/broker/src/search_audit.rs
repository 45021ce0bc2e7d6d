//! Searching the audit log, which is itself recorded.

use std::collections::HashMap;

use strongroom_domain::access::Access;
use strongroom_domain::audit::{Action, BatchId, OutcomeKind, StoredEntry};
use strongroom_domain::grant::{Client, Operator, Principal};
use strongroom_domain::{Error, Kind, PrincipalId, Result, Time};
use strongroom_ports::AuditFilter;

use crate::Broker;
use crate::authenticate::job_principal;
use crate::record::Served;
use crate::request::{JOBS, Request, SYSTEM};

#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub since: Option<Time>,
    pub until: Option<Time>,
    /// A principal's id, or a client's name.
    pub principal: Option<String>,
    /// The start of the path.
    pub path: Option<String>,
    pub action: Option<Action>,
    pub outcome: Option<OutcomeKind>,
    /// The last entry of the page before.
    pub before: Option<(Time, BatchId, i64)>,
    pub limit: u16,
}

#[derive(Debug)]
pub struct AuditView {
    pub stored: StoredEntry,
    /// What the principal is called, unless that was erased.
    pub principal_name: Option<String>,
}

#[derive(Debug)]
pub struct AuditPage {
    pub items: Vec<AuditView>,
    pub next: Option<(Time, BatchId, i64)>,
}

impl Broker {
    pub async fn search_audit(&self, request: &Request, query: &AuditQuery) -> Result<AuditPage> {
        self.serve(request, Action::AuditRead, "", |attempt| async move {
            attempt.authorise(Access::Audit)?;
            let principal = match &query.principal {
                None => None,
                Some(text) => Some(self.principal_called(text).await?),
            };
            let filter = AuditFilter {
                namespace: Some(self.namespace()),
                since: query.since,
                until: query.until,
                principal,
                path: query.path.clone(),
                action: query.action.map(Action::number),
                outcome: query.outcome.map(OutcomeKind::number),
                before: query.before,
                limit: query.limit,
            };
            let found = self.ask(self.0.store.entries(attempt.now, &filter)).await?.value;
            let next = found
                .last()
                .filter(|_| found.len() == usize::from(query.limit))
                .map(|last| (last.entry.at, last.batch, last.place));
            let names = self.principal_names(&found).await?;
            let items = found
                .into_iter()
                .map(|stored| AuditView {
                    principal_name: stored
                        .entry
                        .principal
                        .and_then(|principal| names.get(&principal).cloned()),
                    stored,
                })
                .collect();
            Ok(Served::fresh(AuditPage { items, next }))
        })
        .await
    }

    pub(crate) async fn principal_called(&self, text: &str) -> Result<PrincipalId> {
        if let Some(id) = PrincipalId::parse(text) {
            return Ok(id);
        }
        if let Some(job) = JOBS.iter().find(|job| text.strip_prefix(SYSTEM) == Some(**job)) {
            return job_principal(job);
        }
        let client = self.load::<Client>(Kind::Client, text).await?.value;
        let operator = self.load::<Operator>(Kind::Operator, text).await?.value;
        match (client, operator) {
            (Some(client), None) => Ok(client.body.principal),
            (None, Some(operator)) => Ok(operator.body.principal),
            (None, None) => Err(Error::invalid(
                "'principal' is neither a principal's id nor the name of a client or an operator.",
            )),
            (Some(_), Some(_)) => Err(Error::invalid(
                "'principal' names a client and an operator: give the id of the one that is meant.",
            )),
        }
    }

    /// A principal whose row fails its check has no name here: one bad row must not blind a search.
    async fn principal_names(&self, entries: &[StoredEntry]) -> Result<HashMap<PrincipalId, String>> {
        let mut ids: Vec<PrincipalId> = entries.iter().filter_map(|stored| stored.entry.principal).collect();
        ids.sort();
        ids.dedup();
        let keys: Vec<_> = ids.iter().map(|id| self.key(Kind::Principal, id.to_string())).collect();
        let found = self.ask(self.0.store.find(self.0.clock.now(), &keys)).await?.value;
        let name = |record| {
            let checked = self.check::<Principal>(record).ok()?;
            Some((PrincipalId::parse(&checked.record.name)?, checked.body.name?))
        };
        let jobs = JOBS
            .iter()
            .map(|job| Ok((job_principal(job)?, format!("{SYSTEM}{job}"))));
        let mut names: HashMap<_, _> = jobs.collect::<Result<_>>()?;
        names.extend(found.into_iter().filter_map(name));
        Ok(names)
    }
}
