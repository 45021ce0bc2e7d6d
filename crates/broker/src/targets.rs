//! Systems outside whose credentials are kept here.

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::target::{Target, TargetConfig};
use strongroom_domain::{Error, Kind, Name, Result, Time};

use crate::Broker;
use crate::policies::Noun;
use crate::record::Attempt;
use crate::request::Request;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetView {
    pub name: Name,
    pub config: TargetConfig,
    pub created_at: Time,
    pub updated_at: Time,
}

fn view(name: Name, target: Target) -> TargetView {
    TargetView {
        name,
        config: target.config,
        created_at: target.created_at,
        updated_at: target.updated_at,
    }
}

fn noun(name: &Name, action: Action, capability: Capability) -> Noun<'_> {
    Noun {
        kind: Kind::Target,
        name: name.as_str(),
        action,
        access: Access::Target(name, capability),
    }
}

impl Broker {
    pub async fn target(&self, request: &Request, name: &Name) -> Result<TargetView> {
        let noun = noun(name, Action::TargetRead, Capability::Read);
        let found = self.get_object::<Target>(request, noun).await?;
        Ok(view(name.clone(), found.body))
    }

    pub async fn targets(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<TargetView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Target,
            name: "",
            action: Action::TargetRead,
            access: Access::Targets,
        };
        self.list_views(request, noun, after, limit, view).await
    }

    /// Writes the whole of it. Whoever says where its credential is shown must be able to read that, each time.
    pub async fn put_target(&self, request: &Request, name: &Name, config: TargetConfig) -> Result<TargetView> {
        config.check()?;
        let fingerprint = serde_json::to_vec(&config).map_err(Error::internal)?;
        let config = &config;
        self.put_object_by(
            request,
            noun(name, Action::TargetWrite, Capability::Update),
            |capability| Access::Target(name, capability),
            &fingerprint,
            |old: Option<Target>, attempt: &Attempt| {
                let may = attempt.authorise(Access::Secret(&config.credential, Capability::Read));
                let now = attempt.now;
                async move {
                    may?;
                    let target = Target {
                        id: old.as_ref().map_or_else(|| self.new_id(), |old| old.id),
                        config: config.clone(),
                        created_at: old.map_or(now, |old| old.created_at),
                        updated_at: now,
                    };
                    Ok((target.clone(), view(name.clone(), target)))
                }
            },
        )
        .await
    }

    pub async fn delete_target(&self, request: &Request, name: &Name) -> Result<()> {
        self.delete_object::<Target>(request, noun(name, Action::TargetDelete, Capability::Delete))
            .await
    }
}
