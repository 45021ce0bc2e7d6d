//! Lease roles: what a lease of a target gives.

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::lease::{LeaseRole, LeaseRoleConfig};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Error, Kind, Name, Result, Time};
use strongroom_ports::Order;
use tokio::time::Instant;

use crate::Broker;
use crate::leases::EXTENDED_WITHIN;
use crate::policies::Noun;
use crate::record::Attempt;
use crate::request::Request;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseRoleView {
    pub name: Name,
    pub config: LeaseRoleConfig,
    pub created_at: Time,
    pub updated_at: Time,
}

fn view(name: Name, role: LeaseRole) -> LeaseRoleView {
    LeaseRoleView {
        name,
        config: role.config,
        created_at: role.created_at,
        updated_at: role.updated_at,
    }
}

fn noun(name: &Name, action: Action, capability: Capability) -> Noun<'_> {
    Noun {
        kind: Kind::LeaseRole,
        name: name.as_str(),
        action,
        access: Access::LeaseRole(name, capability),
    }
}

impl Broker {
    pub async fn lease_role(&self, request: &Request, name: &Name) -> Result<LeaseRoleView> {
        let noun = noun(name, Action::LeaseRoleRead, Capability::Read);
        let found = self.get_object::<LeaseRole>(request, noun).await?;
        Ok(view(name.clone(), found.body))
    }

    pub async fn lease_roles(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<LeaseRoleView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::LeaseRole,
            name: "",
            action: Action::LeaseRoleRead,
            access: Access::LeaseRoles,
        };
        self.list_views(request, noun, after, limit, view).await
    }

    /// Writes the whole of it. What its target cannot have is refused here; a target that cannot be reached is not asked.
    pub async fn put_lease_role(
        &self,
        request: &Request,
        name: &Name,
        config: LeaseRoleConfig,
    ) -> Result<LeaseRoleView> {
        let fingerprint = serde_json::to_vec(&config).map_err(Error::internal)?;
        let config = &config;
        self.put_object_by(
            request,
            noun(name, Action::LeaseRoleWrite, Capability::Update),
            |capability| Access::LeaseRole(name, capability),
            &fingerprint,
            |old: Option<LeaseRole>, attempt: &Attempt| {
                let may = attempt.authorise(Access::Target(&config.target, Capability::Rotate));
                let now = attempt.now;
                async move {
                    may?;
                    self.check_lease_role(config).await?;
                    let role = LeaseRole {
                        id: old.as_ref().map_or_else(|| self.new_id(), |old| old.id),
                        config: config.clone(),
                        created_at: old.map_or(now, |old| old.created_at),
                        updated_at: now,
                    };
                    Ok((role.clone(), view(name.clone(), role)))
                }
            },
        )
        .await
    }

    async fn check_lease_role(&self, config: &LeaseRoleConfig) -> Result<()> {
        let name = &config.target;
        let target = self.load_target(name).await?;
        let target = target.ok_or_else(|| Error::invalid(format!("There is no target '{name}'.")))?;
        config.check(target.config.engine)?;
        if self.is_held().await? {
            return Ok(());
        }
        let Ok(way) = self.way_to(&target).await? else {
            return Ok(());
        };
        let until = Instant::now() + EXTENDED_WITHIN;
        let Ok(_turn) = tokio::time::timeout_at(until, self.turn_at(name)).await else {
            return Ok(());
        };
        let order = Order {
            within: until.saturating_duration_since(Instant::now()),
            ..way.order(self.0.clock.now().0)
        };
        match self.0.connectors.issuer.check_template(order, &config.template).await {
            Err(error) if error.is_permanent() => Err(Error::invalid(format!(
                "The target '{name}' makes no users by '{}': {error}.",
                config.template
            ))),
            _ => Ok(()),
        }
    }

    /// Its leases last as long as they would.
    pub async fn delete_lease_role(&self, request: &Request, name: &Name) -> Result<()> {
        let noun = noun(name, Action::LeaseRoleDelete, Capability::Delete);
        self.delete_object::<LeaseRole>(request, noun).await
    }
}
