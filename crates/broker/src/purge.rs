//! The end of a secret: pending deletion, restore, and the removal of every row of it.

use std::time::Duration;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::Capability;
use strongroom_domain::row::RowKey;
use strongroom_domain::secret::RECOVERY_DAYS;
use strongroom_domain::{Code, Error, Kind, Result, SecretPath, Time, Write};
use strongroom_ports::Upkeep;

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::delete::Edit;
use crate::read::no_secret;
use crate::record::Effect;
use crate::request::Request;
use crate::rows::{remove, touch};

const DAY: Duration = Duration::from_hours(24);
/// Whose work that is.
pub(crate) const JOB: &str = "purge";

impl Broker {
    /// Marks a secret for deletion; gives when it will be purged.
    pub async fn retire(&self, request: &Request, path: &SecretPath, days: Option<u16>) -> Result<Time> {
        let days = days.unwrap_or(*RECOVERY_DAYS.start());
        if !RECOVERY_DAYS.contains(&days) {
            return Err(Error::invalid("'recovery_days' is 7 to 30."));
        }
        let (action, capability) = (Action::SecretRetire, Capability::Delete);
        self.edit_head(
            request,
            action,
            capability,
            path,
            &days.to_be_bytes(),
            |head, _, now| {
                let until = now + DAY * days.into();
                head.retire(until, now)?;
                Ok(Edit::new(None, until))
            },
        )
        .await
    }

    pub async fn restore(&self, request: &Request, path: &SecretPath) -> Result<()> {
        let (action, capability) = (Action::SecretRestore, Capability::Update);
        self.edit_head(request, action, capability, path, b"", |head, _, now| {
            head.restore(now)?;
            Ok(Edit::new(None, ()))
        })
        .await
    }

    /// Removes a secret with all its versions, at once and for good.
    pub async fn purge(&self, request: &Request, path: &SecretPath) -> Result<()> {
        self.purge_if(request, path, |_, _| true).await
    }

    async fn purge_if(
        &self,
        request: &Request,
        path: &SecretPath,
        due: impl Fn(Option<Time>, Time) -> bool + Sync,
    ) -> Result<()> {
        let (action, access) = (Action::SecretPurge, Access::Secret(path, Capability::Manage));
        let asked = Asked {
            action,
            path: path.to_string(),
            locks: [Kind::Rotation, Kind::Secret]
                .map(|kind| self.key(kind, path.as_str()))
                .to_vec(),
            id: self.change_id(request),
            fingerprint: Canon::new(action.name()).text(path.as_str()).done().into(),
            needs: vec![vec![access]],
        };
        let due = &due;
        let gone = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(access)?;
                let old = self.head(path).await?.ok_or_else(no_secret)?;
                if !due(old.body.pending_until, attempt.now) {
                    return Err(Error::new(Code::Conflict, "The secret is not due to be purged."));
                }
                let id = old.record.id;
                let versions = old.body.versions.iter().map(|entry| self.forget(id, entry));
                let head = RowKey::Record(old.record.namespace, old.record.kind, id);
                // Or it would be made again when it is due.
                let rotation = self.load_rotation(path).await?.map(|rotation| remove(&rotation.record));
                let head = Write::Remove(head, old.record.rev);
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes: versions.chain([head]).chain(rotation).collect(),
                    touches: vec![touch(old.record.key(), action, None)],
                    effects: vec![Effect::new(action, path.as_str())],
                    answer: id,
                }))
            })
            .await?;
        let forget = Upkeep::ForgetUse {
            namespace: self.namespace(),
            secret: gone,
        };
        if let Err(error) = self.ask(self.0.store.upkeep(self.0.clock.now(), forget)).await {
            tracing::warn!(?error, "when a purged secret was last read is not forgotten");
        }
        Ok(())
    }

    /// Purges what has been pending long enough. Several nodes may try: one does it.
    pub(crate) async fn purge_due(&self, path: &SecretPath) -> Result<()> {
        let request = Request::of_job(JOB, self.request_id());
        let due = |until: Option<Time>, now| until.is_some_and(|until| until <= now);
        match self.purge_if(&request, path, due).await {
            Err(error) if matches!(error.code, Code::NotFound | Code::Conflict) => Ok(()),
            purged => purged,
        }
    }
}
