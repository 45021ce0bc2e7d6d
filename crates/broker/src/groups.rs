//! Groups: policies under one name. Who is in one stands with the operator.

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::{Group, MAX_POLICIES};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Kind, Name, Result, Time};

use crate::Broker;
use crate::grants::{check_count, listed};
use crate::policies::Noun;
use crate::request::Request;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupView {
    pub name: Name,
    pub policies: Vec<Name>,
    pub created_at: Time,
    pub updated_at: Time,
}

fn view(name: Name, group: Group) -> GroupView {
    GroupView {
        name,
        policies: group.policies,
        created_at: group.created_at,
        updated_at: group.updated_at,
    }
}

fn noun(name: &Name, action: Action, capability: Capability) -> Noun<'_> {
    Noun {
        kind: Kind::Group,
        name: name.as_str(),
        action,
        access: Access::Group(name, capability),
    }
}

impl Broker {
    pub async fn group(&self, request: &Request, name: &Name) -> Result<GroupView> {
        let found = self
            .get_object::<Group>(request, noun(name, Action::GroupRead, Capability::Read))
            .await?;
        Ok(view(name.clone(), found.body))
    }

    pub async fn groups(&self, request: &Request, after: &str, limit: u16) -> Result<(Vec<GroupView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Group,
            name: "",
            action: Action::GroupRead,
            access: Access::Groups,
        };
        self.list_views(request, noun, after, limit, view).await
    }

    /// A group names policies that exist; one deleted later grants nothing.
    pub async fn put_group(&self, request: &Request, name: &Name, policies: Vec<Name>) -> Result<GroupView> {
        check_count("policies", &policies, MAX_POLICIES)?;
        let noun = noun(name, Action::GroupWrite, Capability::Update);
        let fingerprint = listed(noun.action, name, &[&policies]);
        let policies = &policies;
        self.put_object(
            request,
            noun,
            |capability| Access::Group(name, capability),
            &fingerprint,
            |old: Option<Group>, now| async move {
                self.check_policies(policies).await?;
                let group = Group {
                    policies: policies.clone(),
                    created_at: old.map_or(now, |old| old.created_at),
                    updated_at: now,
                };
                Ok((group.clone(), view(name.clone(), group)))
            },
        )
        .await
    }

    /// Operators that name it lose what it granted.
    pub async fn delete_group(&self, request: &Request, name: &Name) -> Result<()> {
        self.delete_object::<Group>(request, noun(name, Action::GroupDelete, Capability::Delete))
            .await
    }
}
