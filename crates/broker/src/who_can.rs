//! Who may do something: every role, client, operator, service token and browser key, with the rule that decides.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::{Capability, Deciding, Decision, Policy, explain, explain_anywhere, for_asker};
use strongroom_domain::{Name, PrincipalId, Result};

use crate::Broker;
use crate::holders::{Found, HolderKind, Holders, Place, Policies, Shared, shared};
use crate::record::Served;
use crate::request::Request;
use crate::standing::{Standing, Way};

#[derive(Debug, Clone)]
pub struct WhoCanQuery {
    pub capability: Capability,
    /// With its root.
    pub path: String,
    /// None: from anywhere.
    pub from: Option<IpAddr>,
    /// The cursor of an earlier page; empty: from the start.
    pub after: String,
    pub limit: u16,
}

/// Who may.
#[derive(Debug, Clone)]
pub struct Holder {
    pub kind: HolderKind,
    /// A token's is its accessor, a browser key's its id.
    pub name: String,
    /// Roles have none.
    pub principal: Option<PrincipalId>,
    /// None: it may do everything, as root.
    pub deciding: Option<Deciding>,
    /// How it comes by the policies that decide.
    pub through: Vec<Way>,
}

#[derive(Debug)]
pub struct WhoCanPage {
    pub items: Vec<Holder>,
    pub next: Option<String>,
}

impl Broker {
    pub async fn who_can(&self, request: &Request, query: &WhoCanQuery) -> Result<WhoCanPage> {
        self.serve(request, Action::WhoCan, &query.path, |attempt| async move {
            attempt.authorise(Access::Explain)?;
            let mut place = Place::parse(&self.open_cursor(&query.after)?)?;
            // In no other namespace does anybody hold what is the installation's.
            if Access::is_installations(&query.path) && !attempt.session.home.is_root {
                place = Place::end();
            }
            let mut asking = Asking {
                query,
                policies: Policies::of(self),
                decided: HashMap::new(),
            };
            let mut holders = Holders::from(self, attempt.now, place);
            let (items, place) = asking.page(&mut holders, self.0.settings.audit_deadline).await?;
            let next = (!place.is_end()).then(|| self.seal_cursor(&place.text())).transpose()?;
            Ok(Served::fresh(WhoCanPage { items, next }))
        })
        .await
    }
}

struct Asking<'a> {
    query: &'a WhoCanQuery,
    policies: Policies<'a>,
    decided: HashMap<Shared, Option<Deciding>>,
}

impl Asking<'_> {
    /// Goes on until the page is full, or has taken long, and says where the next begins.
    async fn page(&mut self, holders: &mut Holders<'_>, most: Duration) -> Result<(Vec<Holder>, Place)> {
        let (mut items, began) = (Vec::new(), Instant::now());
        while began.elapsed() < most {
            let place = holders.place();
            let Some(found) = holders.next().await? else { break };
            if items.len() == usize::from(self.query.limit) {
                return Ok((items, place));
            }
            items.extend(self.holder(found).await?);
        }
        Ok((items, holders.place()))
    }

    /// None: it may not.
    async fn holder(&mut self, found: Found) -> Result<Option<Holder>> {
        let standing = &found.standing;
        let deciding = if standing.root {
            None
        } else {
            match self.decide(standing).await? {
                Some(deciding) => Some(deciding),
                None => return Ok(None),
            }
        };
        Ok(Some(Holder {
            kind: found.kind,
            name: found.name,
            principal: found.principal,
            through: match &deciding {
                Some(_) if standing.fixed.is_some() => vec![Way::Own],
                Some(deciding) => standing.through(&deciding.policies),
                None => Vec::new(),
            },
            deciding,
        }))
    }

    async fn decide(&mut self, standing: &Standing) -> Result<Option<Deciding>> {
        if let Some(fixed) = &standing.fixed {
            let deciding = self.allowing(&[(Name::parse("fixed")?, fixed.clone())]);
            // No policy says so, and none can be changed to say otherwise.
            return Ok(deciding.map(|deciding| Deciding {
                policies: Vec::new(),
                ..deciding
            }));
        }
        let policies = self.policies.named(&standing.policies()).await?;
        let key = shared(standing, policies.iter().flat_map(|(_, policy)| &policy.rules));
        if let Some(decided) = self.decided.get(&key) {
            return Ok(decided.clone());
        }
        let decided = self.allowing(&for_asker(policies, &standing.asker));
        self.decided.insert(key, decided.clone());
        Ok(decided)
    }

    /// By what it is allowed; none: it is not.
    fn allowing(&self, policies: &[(Name, Policy)]) -> Option<Deciding> {
        let needs = Access::needs_of(&self.query.path, self.query.capability);
        let explanation = match self.query.from {
            None => explain_anywhere(policies, &needs),
            from => explain(policies, &needs, from),
        };
        let allowed = explanation.decision == Decision::Allow;
        explanation.deciding.filter(|_| allowed)
    }
}
