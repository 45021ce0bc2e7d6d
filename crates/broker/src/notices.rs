//! What webhooks are told. A notice is written in the same change as what happened, and sent by whichever node claims it.

use std::sync::atomic::Ordering;

use serde::Serialize;
use strongroom_domain::audit::Action;
use strongroom_domain::notice::{DeadLetter, Happened, Notice, Untaken};
use strongroom_domain::target::{Engine, Event, Format, Target};
use strongroom_domain::{Code, Error, Kind, Name, ObjectId, Period, Record, Result, Time, Write};
use zeroize::Zeroizing;

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::{Checked, remove};
use crate::slack;
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

/// What becomes of a notice.
enum Next {
    Stays(Notice),
    Goes,
    Dies(DeadLetter),
}

/// Why a notice was not taken, and for how long its target wants it tried.
struct NotTaken {
    reason: String,
    tried_for: Period,
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

    pub(crate) fn write_notice(&self, old: Option<&Record>, notice: &Notice) -> Result<Write> {
        let key = self.key(Kind::Notice, notice.id.to_string());
        let (_, write) = self.write_due(old, notice.id, key, Some(notice.due), notice)?;
        Ok(write)
    }

    /// Sends a notice that is due, once.
    pub(crate) async fn send_notice(&self, id: ObjectId) -> Result<()> {
        let claim = |notice: Notice, now| (Action::NoticeTake, Next::Stays(notice.claimed(now)));
        let Some((Some(notice), _)) = self.step_notice(id, None, claim).await? else {
            return Ok(());
        };
        let claimed_until = Some(notice.due);
        match self.deliver(&notice).await? {
            Ok(()) => {
                let sent = |_, _| (Action::NoticeSend, Next::Goes);
                self.step_notice(id, claimed_until, sent).await?;
                count(&self.0.stats.notices_sent);
            }
            Err(NotTaken { reason, tried_for }) => {
                tracing::warn!(target_name = %notice.target, reason, "a webhook did not take a notice");
                count(&self.0.stats.notices_failed);
                let failed = |notice: Notice, now| match notice.failed(&reason, tried_for, now) {
                    Untaken::Waits(next) => (Action::NoticeFail, Next::Stays(next)),
                    Untaken::Dies(letter) => (Action::NoticeEnd, Next::Dies(letter)),
                };
                if let Some((None, dropped)) = self.step_notice(id, claimed_until, failed).await? {
                    tracing::warn!(target_name = %notice.target, %id, dropped, "a notice was given up, and is a dead letter");
                    self.0.stats.dead_letters_dropped.fetch_add(dropped, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Changes a notice, where it is due or still claimed until then. What it was changed to, if it is still there, and how many
    /// dead letters made room; `None`: another has it.
    async fn step_notice(
        &self,
        id: ObjectId,
        claimed_until: Option<Time>,
        step: impl Fn(Notice, Time) -> (Action, Next) + Sync,
    ) -> Result<Option<(Option<Notice>, u64)>> {
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
                let (mut writes, mut effects) = (Vec::new(), vec![Effect::new(action, about)]);
                let mut dropped = 0;
                let answer = match next {
                    Next::Stays(next) => {
                        writes.push(self.write_notice(Some(&record), &next)?);
                        Some(next)
                    }
                    Next::Goes => {
                        writes.push(remove(&record));
                        None
                    }
                    Next::Dies(letter) => {
                        writes.push(remove(&record));
                        let (kept, gone) = self.keep_letter(&letter).await?;
                        writes.extend(kept);
                        dropped = gone.len() as u64;
                        effects.extend(gone);
                        None
                    }
                };
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes,
                    touches: Vec::new(),
                    effects,
                    answer: (answer, dropped),
                }))
            })
            .await;
        match stepped {
            Err(error) if error.code == Code::Unsettled => Ok(None),
            stepped => stepped.map(Some),
        }
    }

    /// Whether the webhook took it, or why not.
    async fn deliver(&self, notice: &Notice) -> Result<Result<(), NotTaken>> {
        let target = self.load::<Target>(Kind::Target, notice.target.as_str()).await?.value;
        let Some(target) = target.map(|found| found.body) else {
            // There is nobody to tell any more.
            return Ok(Ok(()));
        };
        let tried_for = target.config.tried_for();
        let credential = match self.administers(&target).await? {
            Ok(credential) => credential,
            Err(reason) => return Ok(Err(NotTaken { reason, tried_for })),
        };
        let Some((home, ..)) = self.home().await? else {
            // It is being deleted, and its notices with it.
            return Ok(Ok(()));
        };
        let happened = &notice.happened;
        let body = match target.config.format {
            Format::Standard => self.standard(happened, &home.name),
            Format::Slack => serde_json::to_vec(&slack::line(happened, &home.name)).map_err(Error::internal),
        };
        let (id, body) = (notice.id.to_string(), Zeroizing::new(body?));
        let message = Message { id: &id, body };
        let sent = self.send(&target, &credential, message).await;
        Ok(sent.map_err(|fault| NotTaken {
            reason: fault.to_string(),
            tried_for,
        }))
    }

    fn standard(&self, happened: &Happened, namespace_name: &str) -> Result<Vec<u8>> {
        let sent = Sent {
            event: happened.event,
            timestamp: happened.at,
            data: Data {
                namespace: self.namespace().to_string(),
                namespace_name,
                about: &happened.about,
                version: happened.version,
                due: happened.due,
                reason: happened.reason.as_deref(),
            },
        };
        serde_json::to_vec(&sent).map_err(Error::internal)
    }
}
