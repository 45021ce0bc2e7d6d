//! Roles: what a login yields.

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::{Generation, MAX_ACCESS_TOKEN_TTL, MAX_POLICIES, Role};
use strongroom_domain::method::Bounds;
use strongroom_domain::policy::Capability;
use strongroom_domain::{Error, Kind, Name, Result, Time};

use crate::Broker;
use crate::grants::check_count;
use crate::policies::Noun;
use crate::request::Request;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleView {
    pub name: Name,
    pub policies: Vec<Name>,
    /// Seconds.
    pub access_token_ttl: u32,
    /// None: for clients alone.
    #[serde(default)]
    pub bounds: Option<Bounds>,
    pub created_at: Time,
    pub updated_at: Time,
}

fn view(name: Name, role: Role) -> RoleView {
    RoleView {
        name,
        policies: role.policies,
        access_token_ttl: role.access_token_ttl,
        bounds: role.bounds,
        created_at: role.created_at,
        updated_at: role.updated_at,
    }
}

fn noun(name: &Name, action: Action, capability: Capability) -> Noun<'_> {
    Noun {
        kind: Kind::Role,
        name: name.as_str(),
        action,
        access: Access::Role(name, capability),
    }
}

impl Broker {
    pub async fn role(&self, request: &Request, name: &Name) -> Result<RoleView> {
        let found = self
            .get_object::<Role>(request, noun(name, Action::RoleRead, Capability::Read))
            .await?;
        Ok(view(name.clone(), found.body))
    }

    pub async fn roles(&self, request: &Request, after: &str, limit: u16) -> Result<(Vec<RoleView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Role,
            name: "",
            action: Action::RoleRead,
            access: Access::Roles,
        };
        self.list_views(request, noun, after, limit, view).await
    }

    /// A role names policies that exist; one deleted later grants nothing.
    pub async fn put_role(
        &self,
        request: &Request,
        name: &Name,
        policies: Vec<Name>,
        ttl: u32,
        bounds: Option<Bounds>,
    ) -> Result<RoleView> {
        check_count("policies", &policies, MAX_POLICIES)?;
        if !(1..=MAX_ACCESS_TOKEN_TTL).contains(&ttl) {
            return Err(Error::invalid(format!(
                "'access_token_ttl' is 1 to {MAX_ACCESS_TOKEN_TTL} seconds."
            )));
        }
        let fingerprint = policies
            .iter()
            .fold(Canon::new("role").int(ttl.into()), |canon, policy| {
                canon.text(policy.as_str())
            })
            .done();
        let fingerprint = [fingerprint, serde_json::to_vec(&bounds).map_err(Error::internal)?].concat();
        let (policies, bounds) = (&policies, &bounds);
        let noun = noun(name, Action::RoleWrite, Capability::Update);
        self.put_object(
            request,
            noun,
            |capability| Access::Role(name, capability),
            &fingerprint,
            |old: Option<Role>, now| async move {
                self.check_policies(policies).await?;
                if let Some(bounds) = bounds {
                    let method = self.load_method(&bounds.method).await?.value;
                    let missing = || Error::invalid(format!("There is no method '{}'.", bounds.method));
                    bounds.check(&method.ok_or_else(missing)?.body.config)?;
                }
                let role = Role {
                    policies: policies.clone(),
                    access_token_ttl: ttl,
                    bounds: bounds.clone(),
                    generation: match &old {
                        None => Generation::first(now),
                        Some(old) if old.bounds == *bounds => old.generation,
                        // Who is not admitted any more has no token any more.
                        Some(old) => old.generation.next(now),
                    },
                    created_at: old.map_or(now, |old| old.created_at),
                    updated_at: now,
                };
                Ok((role.clone(), view(name.clone(), role)))
            },
        )
        .await
    }

    pub async fn delete_role(&self, request: &Request, name: &Name) -> Result<()> {
        self.delete_object::<Role>(request, noun(name, Action::RoleDelete, Capability::Delete))
            .await
    }
}
