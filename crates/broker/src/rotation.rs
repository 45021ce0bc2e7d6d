//! Rotation: what operators say of it, and (below) the work itself.

mod reach;
mod value;
mod watch;
mod work;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::Capability;
use strongroom_domain::rotation::{Event, Rotation, RotationFields, RotationPolicy, RotatorKind, Told};
use strongroom_domain::secret::Head;
use strongroom_domain::target::{Engine, Format, TargetConfig};
use strongroom_domain::{Code, Error, Kind, Prefix, Result, SecretPath, Time, Write};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::list::shown_to;
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

use value::taking_turns;
pub(crate) use value::{credential_of, url};
pub use watch::Rotations;
pub(crate) use work::JOB;

/// Runs of one rotation that the calendar shows at most.
const MOST_RUNS: usize = 100;
const CHUNK: u16 = 500;
/// How long is waited for what somebody asked for, and how often is looked.
pub(crate) const AWAITED: Duration = Duration::from_secs(10);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotationView {
    pub path: SecretPath,
    pub rotation: Rotation,
    /// The version that is current; 0: none.
    pub current_version: i64,
    pub overdue: bool,
}

/// A rotation in the calendar.
#[derive(Debug, Clone)]
pub struct PlannedRotation {
    pub view: RotationView,
    /// When it is planned within the time that was asked for; jitter comes on top of all but the first.
    pub runs: Vec<Time>,
}

#[derive(Debug, Clone)]
pub struct RotationPage {
    pub items: Vec<PlannedRotation>,
    pub next: Option<String>,
}

fn no_rotation() -> Error {
    Error::new(Code::NotFound, "The secret has no rotation.")
}

fn view(path: &SecretPath, rotation: Rotation, head: Option<&Head>, now: Time) -> RotationView {
    RotationView {
        path: path.clone(),
        overdue: rotation.is_overdue(now),
        rotation,
        current_version: head.map_or(0, Head::current),
    }
}

fn planned(rotation: &Rotation, now: Time, from: Option<Time>, to: Option<Time>) -> Vec<Time> {
    to.map_or_else(Vec::new, |to| {
        rotation.planned(now, (from.unwrap_or(now), to), MOST_RUNS)
    })
}

/// Which servers a rotator speaks to.
fn fits(rotator: RotatorKind, target: &TargetConfig) -> bool {
    let engine = target.engine;
    match rotator {
        RotatorKind::Generate | RotatorKind::SigningKey => false,
        RotatorKind::Postgres => engine == Engine::Postgres,
        RotatorKind::Mysql => engine == Engine::Mysql,
        RotatorKind::Redis => engine == Engine::Redis,
        RotatorKind::Webhook => engine == Engine::Webhook && target.format == Format::Standard,
        RotatorKind::Manual => engine != Engine::Webhook,
    }
}

impl Broker {
    pub async fn rotation(&self, request: &Request, path: &SecretPath) -> Result<RotationView> {
        self.serve(request, Action::RotationRead, path.as_str(), |attempt| async move {
            attempt.authorise(Access::Secret(path, Capability::List))?;
            let found = self.load_rotation(path).await?.ok_or_else(no_rotation)?;
            let head = self.head(path).await?;
            Ok(Served::fresh(view(
                path,
                found.body,
                head.as_ref().map(|head| &head.body),
                attempt.now,
            )))
        })
        .await
    }

    /// Rotations in path order, of secrets that the caller may list, with when each is planned from `from` to `to`.
    pub async fn rotations(
        &self,
        request: &Request,
        (from, to): (Option<Time>, Option<Time>),
        after: &str,
        limit: u16,
    ) -> Result<RotationPage> {
        self.serve(request, Action::RotationRead, "", |attempt| async move {
            let mut after = self.open_cursor(after)?;
            let is_first = after.is_empty();
            let mut items = Vec::new();
            loop {
                let found = self
                    .0
                    .store
                    .list(attempt.now, self.namespace(), Kind::Rotation, "", &after, CHUNK);
                let found = self.ask(found).await?.value;
                let last_chunk = found.len() < usize::from(CHUNK);
                let keys: Vec<_> = found
                    .iter()
                    .map(|record| self.key(Kind::Secret, record.name.as_str()))
                    .collect();
                let heads = self.load_keys::<Head>(&keys).await?.value;
                for record in found {
                    if items.len() == usize::from(limit) {
                        let next = Some(self.seal_cursor(&after)?);
                        return Ok(Served::fresh(RotationPage { items, next }));
                    }
                    let Checked { record, body } = self.check::<Rotation>(record)?;
                    if shown_to(&attempt, &record.name) {
                        let path = SecretPath::parse(&record.name)?;
                        let head = heads.iter().find(|head| head.record.name == record.name);
                        let head = head.map(|head| &head.body);
                        let runs = planned(&body, attempt.now, from, to);
                        items.push(PlannedRotation {
                            view: view(&path, body, head, attempt.now),
                            runs,
                        });
                    }
                    after = record.name;
                }
                if last_chunk {
                    if is_first && items.is_empty() {
                        // Nothing to show: whoever may not list learns no more than that.
                        attempt.authorise(Access::Folder(&Prefix::parse("")?))?;
                    }
                    return Ok(Served::fresh(RotationPage { items, next: None }));
                }
            }
        })
        .await
    }

    /// Writes the whole policy of a rotation. What is under way and not concerned by it goes on.
    pub async fn put_rotation(
        &self,
        request: &Request,
        path: &SecretPath,
        fields: RotationFields,
    ) -> Result<RotationView> {
        let mut needs = vec![vec![Access::Secret(path, Capability::Manage)]];
        let target = fields.target.clone();
        if let Some(name) = &target {
            // Whoever says where it is shown must be able to read it.
            needs.push(vec![Access::Secret(path, Capability::Read)]);
            needs.push(vec![Access::Target(name, Capability::Rotate)]);
        }
        let json = serde_json::to_vec(&fields).map_err(Error::internal)?;
        let asked = Asked {
            needs,
            ..self.about_rotation(request, Action::RotationWrite, path, &json)
        };
        let fields = &fields;
        self.change(request, asked, |attempt| async move {
            let old = self.load_rotation(path).await?;
            let head = self.head(path).await?;
            let (policy, server) = self.policy_of(fields, head.as_ref()).await?;
            let (record, mut rotation) = match old {
                Some(old) => (Some(old.record), old.body.with_policy(policy, server, attempt.now)?),
                None => (None, Rotation::new(self.new_id(), policy, server, attempt.now)),
            };
            if rotation.users.is_empty() && rotation.policy.rotator.has_users() {
                rotation.users = match rotation.policy.users.as_slice() {
                    [] => {
                        let current = self.current_of(path, head.as_ref(), attempt.now).await?;
                        taking_turns(current.as_ref()).map_err(Error::invalid)?
                    }
                    named => named.to_vec(),
                };
            }
            let write = self.write_rotation(record.as_ref(), path, &rotation)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: Vec::new(),
                effects: vec![Effect::new(Action::RotationWrite, path.as_str())],
                answer: view(path, rotation, head.as_ref().map(|head| &head.body), attempt.now),
            }))
        })
        .await
    }

    /// And what server its target is; empty: it has none.
    async fn policy_of(
        &self,
        fields: &RotationFields,
        head: Option<&Checked<Head>>,
    ) -> Result<(RotationPolicy, String)> {
        let mut fields = fields.clone();
        if fields.interval.is_none() && fields.cron.is_none() {
            // The secret's type has a word in it.
            fields.interval = head.and_then(|head| head.body.metadata.secret_type.due_after());
        }
        let policy = RotationPolicy::try_from(fields)?;
        let mut server = String::new();
        if let Some(name) = &policy.target {
            let target = self.load_target(name).await?;
            let target = target.ok_or_else(|| Error::invalid(format!("There is no target '{name}'.")))?;
            if !fits(policy.rotator, &target.config) {
                let (rotator, speaks) = (policy.rotator.name(), target.config.speaks());
                return Err(Error::invalid(format!(
                    "The target '{name}' speaks {speaks}, which the rotator '{rotator}' does not."
                )));
            }
            server = target.config.server();
        }
        Ok((policy, server))
    }

    /// Ends a rotation. The secret stays as it is; what was pending is a version without a label.
    pub async fn delete_rotation(&self, request: &Request, path: &SecretPath) -> Result<()> {
        let action = Action::RotationDelete;
        let asked = self.about_rotation(request, action, path, b"");
        self.change(request, asked, |attempt| async move {
            let old = self.load_rotation(path).await?.ok_or_else(no_rotation)?;
            old.body.check_unclaimed(attempt.now)?;
            let mut writes = vec![remove(&old.record)];
            let mut touches = Vec::new();
            if let Some(head) = self.head(path).await?.filter(|head| head.body.rotating_from.is_some()) {
                let mut body = head.body;
                body.end_rotation(attempt.now);
                let (record, write) = self.write_head(Some(&head.record), head.record.id, path, &body)?;
                touches.push(touch(record.key(), action, None));
                writes.push(write);
            }
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes,
                touches,
                effects: vec![Effect::new(action, path.as_str())],
                answer: (),
            }))
        })
        .await
    }

    /// Tells a rotation something, and waits a while for what it leads to.
    pub async fn tell_rotation(&self, request: &Request, path: &SecretPath, told: Told) -> Result<RotationView> {
        let view = self.step_as_told(request, path, told).await?;
        match view.rotation.run {
            None => Ok(view),
            Some(_) => self.await_rotation(view).await,
        }
    }

    /// As it stands when its run is over or fails, or after a while.
    async fn await_rotation(&self, mut view: RotationView) -> Result<RotationView> {
        let (broker, path) = (self.clone(), view.path.clone());
        tokio::spawn(async move {
            if let Err(error) = broker.rotate(&path).await {
                tracing::warn!(?error, "a rotation that was asked for was put off");
            }
        });
        let began = Instant::now();
        while began.elapsed() < AWAITED {
            tokio::time::sleep(LOOK_AGAIN).await;
            let Some(found) = self.load_rotation(&view.path).await? else {
                break;
            };
            let failed = found.body.run.as_ref().is_some_and(|run| run.failure.is_some());
            let over = found.body.run.is_none() || failed;
            view.rotation = found.body;
            if over {
                break;
            }
        }
        let head = self.head(&view.path).await?;
        let head = head.as_ref().map(|head| &head.body);
        Ok(self::view(&view.path, view.rotation, head, self.0.clock.now()))
    }

    async fn step_as_told(&self, request: &Request, path: &SecretPath, told: Told) -> Result<RotationView> {
        let said = serde_json::to_vec(&told).map_err(Error::internal)?;
        let asked = Asked {
            needs: vec![vec![Access::Secret(path, Capability::Rotate)]],
            ..self.about_rotation(request, Action::RotationTell, path, &said)
        };
        let event = &Event::Told(told);
        self.change(request, asked, |attempt| async move {
            if *event != Event::Told(Told::Pause) {
                self.check_not_held().await?;
            }
            let stepped = self.step_rotation(&attempt, path, event).await?;
            let mut decision = stepped.ok_or_else(no_rotation)?;
            decision
                .effects
                .insert(0, Effect::new(Action::RotationTell, path.as_str()));
            Ok(Decided::Write(decision))
        })
        .await
    }

    fn about_rotation<'a>(&self, request: &Request, action: Action, path: &'a SecretPath, said: &[u8]) -> Asked<'a> {
        Asked {
            action,
            path: path.to_string(),
            locks: [Kind::Rotation, Kind::Secret]
                .map(|kind| self.key(kind, path.as_str()))
                .to_vec(),
            id: self.change_id(request),
            fingerprint: Canon::new(action.name()).text(path.as_str()).bytes(said).done().into(),
            needs: vec![vec![Access::Secret(path, Capability::Manage)]],
        }
    }

    pub(crate) async fn load_rotation(&self, path: &SecretPath) -> Result<Option<Checked<Rotation>>> {
        Ok(self.load::<Rotation>(Kind::Rotation, path.as_str()).await?.value)
    }

    fn write_rotation(
        &self,
        old: Option<&strongroom_domain::Record>,
        path: &SecretPath,
        rotation: &Rotation,
    ) -> Result<Write> {
        let key = self.key(Kind::Rotation, path.as_str());
        let (_, write) = self.write_due(old, rotation.id, key, rotation.due(), rotation)?;
        Ok(write)
    }
}
