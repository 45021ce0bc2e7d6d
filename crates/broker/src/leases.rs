//! Credentials made on demand. The row of a lease is written before its user is made, and removed after the user is gone.

mod end;
mod list;
mod watch;

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_crypto::verifier;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::lease::{CLAIM, Ended, Lease, LeaseCount, LeaseId, LeaseRole, LeaseState, MADE_WITHIN};
use strongroom_domain::period::Period;
use strongroom_domain::policy::Capability;
use strongroom_domain::target::{Engine, Target};
use strongroom_domain::{Code, Error, Kind, Name, Recipe, Record, Result, Time, Write};
use strongroom_ports::{NewUser, Order, TargetError, Verifier};
use tokio::time::Instant;

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::faults;
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rotation::url;
use crate::rows::Checked;
use crate::targets::within;

pub(crate) use end::{BATCH, JOB};
pub use list::LeasePage;
pub use watch::Leases;

/// A renewal waits for the target within a change, which has no more time.
pub(crate) const EXTENDED_WITHIN: Duration = Duration::from_secs(3);

/// A lease that was made, with what its user logs in with. It is told once.
pub struct NewLease {
    pub id: LeaseId,
    pub expires_at: Time,
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    pub dbname: Option<String>,
    pub username: String,
    pub password: SecretString,
    pub url: SecretString,
}

/// The password stays untold.
impl std::fmt::Debug for NewLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewLease({})", self.id)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseView {
    pub id: LeaseId,
    pub lease: Lease,
}

fn no_lease() -> Error {
    Error::new(Code::NotFound, "There is no such lease.")
}

fn not_leased(reason: &str) -> Error {
    Error::new(Code::TargetFailed, format!("There is no lease: {reason}."))
}

/// Refuses a target that is another server by now: what it says tells nothing of the lease's user.
fn check_server(target: &Target, lease: &Lease) -> Result<(), String> {
    if target.config.server() == lease.server {
        return Ok(());
    }
    Err(format!("the target was '{}' when the lease was made", lease.server))
}

/// What is put on record of a lease.
fn effect(action: Action, lease: &Lease, id: &LeaseId) -> Effect {
    Effect::new(action, format!("{}/{id}", lease.role))
}

/// The times that tests wait for.
fn hasten(lease: &mut Lease, now: Time) {
    match &mut lease.state {
        LeaseState::Planned { until } => faults::hasten(until, now, MADE_WITHIN),
        LeaseState::Live => {}
        LeaseState::Ending(ending) => faults::hasten(&mut ending.at, now, CLAIM),
    }
}

impl Broker {
    pub async fn create_lease(&self, request: &Request, role: &Name, ttl: Option<Period>) -> Result<NewLease> {
        let id = LeaseId::new(role, self.0.entropy.bytes());
        // From before it was planned: whoever stands still in between makes no user when nobody waits for it any more.
        let until = Instant::now() + within();
        let lease = self.plan_lease(request, role, &id, ttl).await?;
        faults::after("lease.plan").await;
        let made = tokio::time::timeout_at(until, self.make_user(&lease)).await;
        match made.unwrap_or_else(|_| Ok(Err(TargetError::TimedOut.to_string()))) {
            Ok(Ok((target, password))) => {
                let live = self.made_lease(request, role, &id).await?;
                faults::after("lease.made").await;
                Self::new_lease(id, &live, &target, password)
            }
            Ok(Err(reason)) => {
                self.not_made(&id, &reason).await?;
                Err(not_leased(&reason))
            }
            // Nothing is known of the target: the lease is taken back when it was to be made by.
            Err(error) => Err(error),
        }
    }

    fn about_lease<'a>(&self, action: Action, role: &str, id: &LeaseId, needs: Option<Access<'a>>) -> Asked<'a> {
        Asked {
            action,
            path: role.to_owned(),
            locks: vec![self.key(Kind::Lease, id.row_name()), self.key(Kind::LeaseCount, role)],
            // A repeat cannot be told the password again: it makes another lease.
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Canon::new(action.name()).text(id.row_name()).done().into(),
            needs: needs.map(|access| vec![access]).into_iter().collect(),
        }
    }

    async fn plan_lease(&self, request: &Request, role: &Name, id: &LeaseId, ttl: Option<Period>) -> Result<Lease> {
        let access = Access::LeaseRole(role, Capability::Create);
        let asked = self.about_lease(Action::LeaseCreate, role.as_str(), id, Some(access));
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            self.check_not_held().await?;
            let found = self.load::<LeaseRole>(Kind::LeaseRole, role.as_str()).await?.value;
            let found = found.ok_or_else(|| Error::new(Code::NotFound, "There is no such lease role."))?;
            let holder = attempt.session.principal;
            let target = self.load_target(&found.body.config.target).await?;
            let target = target.ok_or_else(|| not_leased("there is no such target"))?;
            let server = target.config.server();
            let mut lease = Lease::plan(id, (role, &found.body), server, holder, ttl, attempt.now)?;
            hasten(&mut lease, attempt.now);
            let old = self.count_of(role).await?;
            let count = old.as_ref().map_or_else(LeaseCount::default, |old| old.body);
            let count = count.one_more(&found.body.config)?;
            faults::before("lease.plan").await;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![
                    self.write_lease(None, id, &lease)?,
                    self.write_count(old.map(|old| old.record).as_ref(), role, count)?,
                ],
                touches: Vec::new(),
                effects: vec![effect(Action::LeaseCreate, &lease, id)],
                answer: lease,
            }))
        })
        .await
    }

    async fn count_of(&self, role: &Name) -> Result<Option<Checked<LeaseCount>>> {
        Ok(self.load::<LeaseCount>(Kind::LeaseCount, role.as_str()).await?.value)
    }

    fn write_count(&self, old: Option<&Record>, role: &Name, count: LeaseCount) -> Result<Write> {
        Ok(self.upsert(old, Kind::LeaseCount, role.as_str(), &count)?.1)
    }

    fn write_lease(&self, old: Option<&Record>, id: &LeaseId, lease: &Lease) -> Result<Write> {
        let row = old.map_or_else(|| self.new_id(), |old| old.id);
        let key = self.key(Kind::Lease, id.row_name());
        Ok(self.write_due(old, row, key, Some(lease.due()), lease)?.1)
    }

    /// The target, and the user's password; or why there is no user.
    async fn make_user(&self, lease: &Lease) -> Result<Result<(Target, SecretString), String>> {
        let (target, way) = match self.way_of(&lease.target).await? {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Err(reason) = check_server(&target, lease) {
            return Ok(Err(reason));
        }
        let password = Recipe::default().make(&mut |bytes| self.0.entropy.fill(bytes))?;
        let told = verifier(target.config.engine, &password, &|| self.0.entropy.bytes()).map_err(Error::internal)?;
        let verifier = Verifier(SecretString::from(told.as_str()));
        let user = NewUser {
            username: &lease.username,
            verifier: &verifier,
            template: &lease.template,
            until: lease.expires_at,
        };
        let _turn = self.turn_at(&lease.target).await;
        let now = self.0.clock.now();
        if lease.due() <= now {
            // A machine that slept has no other clock that tells.
            return Ok(Err(TargetError::TimedOut.to_string()));
        }
        let order = way.order(now.0);
        faults::before("lease.issue").await;
        let issued = self.0.connectors.issuer.issue(order, user).await;
        match faults::heard("lease.issue", issued).await {
            Ok(()) => Ok(Ok((target, SecretString::from(password.as_str())))),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Whoever asked may still have it, and it is made in time: only then is the password told.
    async fn made_lease(&self, request: &Request, role: &Name, id: &LeaseId) -> Result<Lease> {
        let access = Access::LeaseRole(role, Capability::Create);
        let asked = self.about_lease(Action::LeaseIssue, role.as_str(), id, Some(access));
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.load_lease(id).await?.ok_or_else(no_lease)?;
            let lease = old.body.made(attempt.now)?;
            faults::before("lease.made").await;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![self.write_lease(Some(&old.record), id, &lease)?],
                touches: Vec::new(),
                effects: vec![effect(Action::LeaseIssue, &lease, id)],
                answer: lease,
            }))
        })
        .await
    }

    fn new_lease(id: LeaseId, lease: &Lease, target: &Target, password: SecretString) -> Result<NewLease> {
        let config = &target.config;
        let (host, port) = config.host_and_port()?;
        let text = secrecy::ExposeSecret::expose_secret(&password);
        let dbname = config.database.as_deref().or(config.engine.database());
        let url = url(
            (config.engine, config.tls),
            host,
            &port.into(),
            dbname,
            &lease.username,
            text,
        );
        Ok(NewLease {
            id,
            expires_at: lease.expires_at,
            engine: config.engine,
            host: host.to_owned(),
            port,
            dbname: dbname.map(str::to_owned),
            username: lease.username.clone(),
            url: SecretString::from(url.as_str()),
            password,
        })
    }

    async fn load_lease(&self, id: &LeaseId) -> Result<Option<Checked<Lease>>> {
        Ok(self.load::<Lease>(Kind::Lease, id.row_name()).await?.value)
    }

    /// A lease is its holder's, who may still make such, and of whoever may do this with its role's.
    fn may(attempt: &Attempt, lease: &Lease, capability: Capability) -> Result<()> {
        let role = &lease.role;
        let own = lease.holder == attempt.session.principal
            && attempt.authorise(Access::LeaseRole(role, Capability::Create)).is_ok();
        if own {
            return Ok(());
        }
        attempt.authorise(Access::LeaseRole(role, capability))
    }

    pub async fn lease(&self, request: &Request, id: &LeaseId) -> Result<LeaseView> {
        self.serve(request, Action::LeaseRead, "", |attempt| async move {
            let found = self.load_lease(id).await?.ok_or_else(no_lease)?;
            let about = Some(format!("{}/{id}", found.body.role));
            let answer = Self::may(&attempt, &found.body, Capability::Read).map(|()| LeaseView {
                id: id.clone(),
                lease: found.body,
            });
            Ok(Served {
                about,
                version: None,
                objects: Vec::new(),
                until: None,
                answer,
            })
        })
        .await
    }

    /// Lasts from now for as long as asked, or as it did first, up to its role's maximum. The target agrees before that is
    /// written: a user whom it lets in for longer goes when the lease says.
    pub async fn renew_lease(&self, request: &Request, id: &LeaseId, by: Option<Period>) -> Result<LeaseView> {
        self.edit_lease(request, Action::LeaseRenew, id, |attempt, lease| async move {
            Self::may(&attempt, &lease, Capability::Update)?;
            self.check_not_held().await?;
            let renewed = lease.renew(by, attempt.now)?;
            self.extend_user(&renewed).await?;
            Ok(renewed)
        })
        .await
    }

    /// Takes it back, and waits a while for that. None: it is gone.
    pub async fn revoke_lease(&self, request: &Request, id: &LeaseId) -> Result<Option<LeaseView>> {
        let told = self.edit_lease(request, Action::LeaseRevoke, id, |attempt, lease| async move {
            Self::may(&attempt, &lease, Capability::Delete)?;
            Ok(lease.end(Ended::Revoked, attempt.now))
        });
        self.await_end(told.await?).await
    }

    fn about_one(&self, action: Action, id: &LeaseId) -> Asked<'static> {
        Asked {
            locks: vec![self.key(Kind::Lease, id.row_name())],
            ..self.about_lease(action, "", id, None)
        }
    }

    async fn edit_lease<F: Future<Output = Result<Lease>> + Send>(
        &self,
        request: &Request,
        action: Action,
        id: &LeaseId,
        edit: impl Fn(Attempt, Lease) -> F + Sync,
    ) -> Result<LeaseView> {
        let edit = &edit;
        self.change(request, self.about_one(action, id), |attempt| async move {
            let old = self.load_lease(id).await?.ok_or_else(no_lease)?;
            let lease = edit(attempt, old.body).await?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![self.write_lease(Some(&old.record), id, &lease)?],
                touches: Vec::new(),
                effects: vec![effect(action, &lease, id)],
                answer: LeaseView { id: id.clone(), lease },
            }))
        })
        .await
    }

    async fn extend_user(&self, lease: &Lease) -> Result<()> {
        let failed = |reason: String| {
            Error::new(
                Code::TargetFailed,
                format!("The lease lasts as long as before: {reason}."),
            )
        };
        let (target, way) = self.way_of(&lease.target).await?.map_err(failed)?;
        check_server(&target, lease).map_err(failed)?;
        let until = Instant::now() + EXTENDED_WITHIN;
        let turn = tokio::time::timeout_at(until, self.turn_at(&lease.target)).await;
        let _turn = turn.map_err(|_| failed(TargetError::TimedOut.to_string()))?;
        let order = Order {
            within: until.saturating_duration_since(Instant::now()),
            ..way.order(self.0.clock.now().0)
        };
        let extended = self
            .0
            .connectors
            .issuer
            .extend(order, &lease.username, lease.expires_at);
        extended.await.map_err(|error| failed(error.to_string()))
    }
}
