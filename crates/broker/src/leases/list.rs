//! Which leases there are, for whoever administers them: those of one role stand together, so that what is not asked for, or
//! not shown, is passed over in one step.

use std::time::Instant;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::lease::{Lease, LeaseId};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Error, Kind, Name, Result};

use super::LeaseView;
use crate::Broker;
use crate::record::{Attempt, Served};
use crate::request::Request;
use crate::rows::Checked;

/// Some leases, and where to go on.
#[derive(Debug)]
pub struct LeasePage {
    pub items: Vec<LeaseView>,
    pub next: Option<String>,
}

impl Broker {
    /// Leases of a role, or of every role whose leases the caller may list.
    pub async fn leases(&self, request: &Request, role: Option<&Name>, after: &str, limit: u16) -> Result<LeasePage> {
        let about = role.map_or("", Name::as_str);
        self.serve(request, Action::LeaseRead, about, |attempt| async move {
            let after = self.open_cursor(after)?;
            if let Some(role) = role {
                attempt.authorise(Access::LeaseRole(role, Capability::List))?;
            }
            let is_first = after.is_empty();
            let page = self.leases_now(&attempt, role, after, limit).await?;
            if is_first && role.is_none() && page.items.is_empty() && page.next.is_none() {
                // Nothing to show: whoever may not list learns no more than that.
                attempt.authorise(Access::LeaseRoles)?;
            }
            Ok(Served::fresh(page))
        })
        .await
    }

    async fn leases_now(
        &self,
        attempt: &Attempt,
        role: Option<&Name>,
        mut after: String,
        limit: u16,
    ) -> Result<LeasePage> {
        let start = role.map(LeaseId::start_of).unwrap_or_default();
        let (most, chunk) = (usize::from(limit), limit.saturating_add(1));
        let mut items: Vec<LeaseView> = Vec::new();
        let began = Instant::now();
        // A page that takes long to fill is given as far as it came.
        while began.elapsed() < self.0.settings.audit_deadline {
            let store = &self.0.store;
            let found = store.list(attempt.now, self.namespace(), Kind::Lease, &start, &after, chunk);
            let found = self.ask(found).await?.value;
            let last_chunk = found.len() < usize::from(chunk);
            for record in found {
                // Of a role whose leases are not shown.
                if record.name.as_str() <= after.as_str() {
                    continue;
                }
                if items.len() == most {
                    return self.lease_page(items, Some(&after));
                }
                let Checked { record, body: lease } = self.check::<Lease>(record)?;
                let shown = attempt
                    .authorise(Access::LeaseRole(&lease.role, Capability::List))
                    .is_ok();
                // Where one role is asked for, names that share its start are few.
                after = if shown || role.is_some() {
                    record.name.clone()
                } else {
                    end_of(&lease.role)
                };
                if shown && role.is_none_or(|role| *role == lease.role) {
                    let id = LeaseId::of_row(&record.name).ok_or_else(|| Error::internal("a lease without an id"))?;
                    items.push(LeaseView { id, lease });
                }
            }
            if last_chunk {
                return self.lease_page(items, None);
            }
        }
        self.lease_page(items, Some(&after))
    }

    fn lease_page(&self, items: Vec<LeaseView>, after: Option<&str>) -> Result<LeasePage> {
        let next = after.map(|after| self.seal_cursor(after)).transpose()?;
        Ok(LeasePage { items, next })
    }
}

/// Behind the rows of all leases of a role.
fn end_of(role: &Name) -> String {
    format!("{}{}", LeaseId::start_of(role), char::MAX)
}
