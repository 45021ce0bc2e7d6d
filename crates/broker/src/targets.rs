//! Systems outside whose credentials are kept here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::secret::Selector;
use strongroom_domain::target::{Target, TargetConfig};
use strongroom_domain::{Error, Kind, Name, Payload, Result, Time};
use strongroom_ports::{Login, Order, Server};

use crate::Broker;
use crate::faults;
use crate::policies::Noun;
use crate::record::Attempt;
use crate::request::Request;
use crate::rotation::credential_of;

/// How long a server has for what it is asked: less than any claim on a row lasts, so that nothing of it happens under
/// another's.
const WITHIN: Duration = Duration::from_secs(20);

pub(crate) fn within() -> Duration {
    faults::hastened(WITHIN)
}

/// A server, and who administers it.
pub(crate) struct Way {
    server: Server,
    admin: Login,
}

impl Way {
    pub(crate) fn order(&self, fence: i64) -> Order<'_> {
        Order {
            server: &self.server,
            admin: &self.admin,
            within: within(),
            fence,
        }
    }
}

pub(crate) fn server_of(target: &Target) -> Result<Server> {
    let config = &target.config;
    let (host, port) = config.host_and_port()?;
    Ok(Server {
        engine: config.engine,
        host: host.to_owned(),
        port,
        database: config.database.clone(),
        tls: config.tls,
        ca_pem: config.ca_pem.clone(),
    })
}

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

    pub(crate) async fn load_target(&self, name: &Name) -> Result<Option<Target>> {
        let found = self.load::<Target>(Kind::Target, name.as_str()).await?.value;
        Ok(found.map(|found| found.body))
    }

    /// The current value of the secret by which a target is administered, or why there is none.
    pub(crate) async fn administers(&self, target: &Target) -> Result<Result<Payload, String>> {
        let (path, now) = (&target.config.credential, self.0.clock.now());
        let head = self.head(path).await?;
        let current = head.as_ref().and_then(|head| {
            let entry = head.body.select(&Selector::default(), now).ok()?;
            Some((head, entry.number))
        });
        let Some((head, number)) = current else {
            return Ok(Err(format!(
                "there is no secret '{path}', which the target is administered by"
            )));
        };
        Ok(Ok(self.open_version_of(path, head, number, now).await?))
    }

    /// How a server is asked, or why it cannot be.
    pub(crate) async fn way_to(&self, target: &Target) -> Result<Result<Way, String>> {
        let admin = match self.administers(target).await? {
            Ok(payload) => credential_of(&payload),
            Err(reason) => Err(reason),
        };
        let server = server_of(target)?;
        Ok(admin.map(|admin| Way {
            server,
            admin: admin.login(),
        }))
    }

    /// A target and the way to it, or why there is none.
    pub(crate) async fn way_of(&self, name: &Name) -> Result<Result<(Target, Way), String>> {
        let Some(target) = self.load_target(name).await? else {
            return Ok(Err("there is no such target".into()));
        };
        Ok(self.way_to(&target).await?.map(|way| (target, way)))
    }

    pub async fn delete_target(&self, request: &Request, name: &Name) -> Result<()> {
        self.delete_object::<Target>(request, noun(name, Action::TargetDelete, Capability::Delete))
            .await
    }
}
