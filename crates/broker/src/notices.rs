//! What webhooks are told. A notice is written in the same change as what happened, and sent by whichever node claims it.

use serde::Serialize;
use strongroom_domain::audit::Action;
use strongroom_domain::notice::{Happened, Notice};
use strongroom_domain::target::{Engine, Event, Target};
use strongroom_domain::{Code, Error, Kind, Name, ObjectId, Record, Result, Time, Write};
use zeroize::Zeroizing;

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::{Checked, remove};
use crate::stats::count;
use crate::webhooks::Message;

/// Whose work that is.
pub(crate) const JOB: &str = "notices";
/// Targets of one namespace that are looked at for who is to be told.
const MOST_TARGETS: u16 = 1000;

/// What is sent, as Standard Webhooks recommends.
#[derive(Serialize)]
struct Sent<'a> {
    #[serde(rename = "type")]
    event: Event,
    timestamp: Time,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    namespace: String,
    namespace_name: &'a str,
    /// A secret's path, or a lease role's name.
    about: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Broker {
    /// The rows by which whoever asked for it is told of this.
    pub(crate) async fn notices(&self, happened: Happened) -> Result<Vec<Write>> {
        let told = self.told_of(happened.event).await?;
        let row = |target: Name| {
            let notice = Notice::new(self.new_id(), target, happened.clone());
            self.write_notice(None, &notice)
        };
        told.into_iter().map(row).collect()
    }

    async fn told_of(&self, event: Event) -> Result<Vec<Name>> {
        let (kind, now) = (Kind::Target, self.0.clock.now());
        let list = || async move {
            let found = self.0.store.list(now, self.namespace(), kind, "", "", MOST_TARGETS);
            self.ask(found).await
        };
        let found = self
            .read_rows::<Target, _>(
                kind,
                list,
                |record| record.kind == kind,
                |manifest, found| manifest.judge_page(kind, "", found.len() == usize::from(MOST_TARGETS), found),
            )
            .await?;
        let told = found.value.held.into_iter().filter(|target| {
            let config = &target.body.config;
            config.engine == Engine::Webhook && config.events.contains(&event)
        });
        told.map(|target| Name::parse(&target.record.name)).collect()
    }

    fn write_notice(&self, old: Option<&Record>, notice: &Notice) -> Result<Write> {
        let key = self.key(Kind::Notice, notice.id.to_string());
        let (_, write) = self.write_due(old, notice.id, key, Some(notice.due), notice)?;
        Ok(write)
    }

    /// Sends a notice that is due, once.
    pub(crate) async fn send_notice(&self, id: ObjectId) -> Result<()> {
        let claim = |notice: Notice, now| (Action::NoticeTake, Some(notice.claimed(now)));
        let Some(notice) = self.step_notice(id, None, claim).await? else {
            return Ok(());
        };
        let claimed_until = Some(notice.due);
        match self.deliver(&notice).await? {
            Ok(()) => {
                let sent = |_, _| (Action::NoticeSend, None);
                self.step_notice(id, claimed_until, sent).await?;
                count(&self.0.stats.notices_sent);
            }
            Err(reason) => {
                tracing::warn!(target_name = %notice.target, reason, "a webhook did not take a notice");
                count(&self.0.stats.notices_failed);
                let failed = |notice: Notice, now| match notice.failed(now) {
                    Some(next) => (Action::NoticeFail, Some(next)),
                    None => (Action::NoticeEnd, None),
                };
                self.step_notice(id, claimed_until, failed).await?;
            }
        }
        Ok(())
    }

    /// Changes a notice, where it is due or still claimed until then. What it was changed to; `None`: another has it.
    async fn step_notice(
        &self,
        id: ObjectId,
        claimed_until: Option<Time>,
        step: impl Fn(Notice, Time) -> (Action, Option<Notice>) + Sync,
    ) -> Result<Option<Notice>> {
        let request = Request::of_job(JOB, self.request_id());
        let name = id.to_string();
        let asked = Asked {
            action: Action::NoticeTake,
            path: String::new(),
            locks: vec![self.key(Kind::Notice, name.as_str())],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        };
        let (step, name) = (&step, &name);
        let stepped = self
            .change(&request, asked, |attempt| async move {
                let found = self.load::<Notice>(Kind::Notice, name).await?.value;
                let mine = |found: &Checked<Notice>| {
                    claimed_until.map_or(found.body.due <= attempt.now, |until| found.body.due == until)
                };
                // Nothing happened that is to be put on record.
                let Checked { record, body } = found.filter(mine).ok_or_else(|| Error::from(Code::Unsettled))?;
                let about = body.target.to_string();
                let (action, next) = step(body, attempt.now);
                let write = match &next {
                    Some(next) => self.write_notice(Some(&record), next)?,
                    None => remove(&record),
                };
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes: vec![write],
                    touches: Vec::new(),
                    effects: vec![Effect::new(action, about)],
                    answer: next,
                }))
            })
            .await;
        match stepped {
            Err(error) if error.code == Code::Unsettled => Ok(None),
            stepped => stepped,
        }
    }

    /// Whether the webhook took it, or why not.
    async fn deliver(&self, notice: &Notice) -> Result<Result<(), String>> {
        let target = self.load::<Target>(Kind::Target, notice.target.as_str()).await?.value;
        let Some(target) = target.map(|found| found.body) else {
            // There is nobody to tell any more.
            return Ok(Ok(()));
        };
        let key = match self.administers(&target).await? {
            Ok(key) => key,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some((home, ..)) = self.home().await? else {
            // It is being deleted, and its notices with it.
            return Ok(Ok(()));
        };
        let happened = &notice.happened;
        let sent = Sent {
            event: happened.event,
            timestamp: happened.at,
            data: Data {
                namespace: self.namespace().to_string(),
                namespace_name: &home.name,
                about: &happened.about,
                version: happened.version,
                due: happened.due,
                reason: happened.reason.as_deref(),
            },
        };
        let body = Zeroizing::new(serde_json::to_vec(&sent).map_err(Error::internal)?);
        let id = notice.id.to_string();
        let message = Message { id: &id, body };
        Ok(self
            .send(&target, &key, message)
            .await
            .map_err(|fault| fault.to_string()))
    }
}
