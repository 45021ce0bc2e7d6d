//! What writing a policy would change, without writing it.

use std::collections::HashMap;
use std::time::Instant;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::{Capability, Change, Changes, Policy, built_in, changes, check_native, for_asker};
use strongroom_domain::{Kind, Name, PrincipalId, Result};

use crate::Broker;
use crate::holders::{HolderKind, Holders, Place, Policies, Shared, shared};
use crate::policies::{RuleSet, unchangeable};
use crate::record::{Attempt, Served};
use crate::request::Request;
use crate::standing::{Standing, Way};

/// Changes that are told at most.
const MOST: usize = 1_000;

/// What somebody would gain or lose.
#[derive(Debug, Clone)]
pub struct AccessChange {
    pub kind: HolderKind,
    /// A token's is its accessor.
    pub name: String,
    /// Roles have none.
    pub principal: Option<PrincipalId>,
    /// How it comes by the policy.
    pub through: Vec<Way>,
    pub change: Change,
}

#[derive(Debug, Clone, Default)]
pub struct DryRun {
    pub items: Vec<AccessChange>,
    /// There was more to look at than one answer looks at.
    pub more: bool,
}

impl Broker {
    /// It takes what writing takes and what asking about others takes, and is refused where writing would be.
    pub async fn try_policy(&self, request: &Request, name: &Name, new: RuleSet) -> Result<DryRun> {
        check_native(&new.rules)?;
        let new = &new;
        self.serve(request, Action::PolicyDryRun, name.as_str(), |attempt| async move {
            let old = self.load::<Policy>(Kind::Policy, name.as_str()).await?.value;
            let old = old.map(|found| found.body);
            let capability = if old.is_some() {
                Capability::Update
            } else {
                Capability::Create
            };
            attempt.authorise(Access::Policy(name, capability))?;
            attempt.authorise(Access::Explain)?;
            if old.is_none() && built_in(name).is_some() {
                return Err(unchangeable(Kind::Policy, name.as_str()));
            }
            Policy::check_cas(old.as_ref(), new.cas)?;
            let written = Policy::written(old, new.rules.clone(), attempt.session.principal, attempt.now);
            let mut trying = Trying {
                name,
                written,
                policies: Policies::of(self),
                compared: HashMap::new(),
            };
            Ok(Served::fresh(trying.run(self, &attempt).await?))
        })
        .await
    }
}

struct Trying<'a> {
    name: &'a Name,
    written: Policy,
    policies: Policies<'a>,
    compared: HashMap<Shared, Changes>,
}

impl Trying<'_> {
    async fn run(&mut self, broker: &Broker, attempt: &Attempt) -> Result<DryRun> {
        let began = Instant::now();
        let mut holders = Holders::from(broker, attempt.now, Place::default());
        let mut found = DryRun::default();
        while let Some(holder) = holders.next().await? {
            if found.items.len() >= MOST || began.elapsed() >= broker.0.settings.audit_deadline {
                found.more = true;
                break;
            }
            let standing = &holder.standing;
            if standing.root || !standing.policies().contains(self.name) {
                continue;
            }
            let through = standing.through(std::slice::from_ref(self.name));
            let changes = self.compare(standing).await?;
            found.more |= changes.more;
            found.items.extend(changes.items.iter().map(|change| AccessChange {
                kind: holder.kind,
                name: holder.name.clone(),
                principal: holder.principal,
                through: through.clone(),
                change: change.clone(),
            }));
        }
        found.more |= found.items.len() > MOST;
        found.items.truncate(MOST);
        Ok(found)
    }

    async fn compare(&mut self, standing: &Standing) -> Result<&Changes> {
        let before = self.policies.named(&standing.policies()).await?;
        let mut after: Vec<_> = before.iter().filter(|(name, _)| name != self.name).cloned().collect();
        after.push((self.name.clone(), self.written.clone()));
        let rules = before.iter().chain(&after).flat_map(|(_, policy)| &policy.rules);
        let key = shared(standing, rules);
        let [before, after] = [before, after].map(|policies| for_asker(policies, &standing.asker));
        Ok(self.compared.entry(key).or_insert_with(|| changes(&before, &after)))
    }
}
