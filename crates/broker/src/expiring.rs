//! Secrets whose end is near: webhooks are told of it once, in the change that says so in the head.

use strongroom_domain::audit::Action;
use strongroom_domain::notice::Happened;
use strongroom_domain::secret::{Expires, Expiry, Head};
use strongroom_domain::target::Event;
use strongroom_domain::{Code, Error, Kind, Record, Result, SecretPath, Time};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::touch;

/// Whose work that is.
pub(crate) const JOB: &str = "expiry";

impl Broker {
    /// A secret that is due: its end is to be told, or has come.
    pub(crate) async fn look_at_secret(&self, record: Record) -> Result<()> {
        let head = self.check::<Head>(record)?;
        let path = SecretPath::parse(&head.record.name)?;
        if head.body.pending_until.is_some_and(|until| until <= self.0.clock.now()) {
            return self.purge_due(&path).await;
        }
        self.tell_expiring(&path).await
    }

    async fn tell_expiring(&self, path: &SecretPath) -> Result<()> {
        let (request, action) = (Request::of_job(JOB, self.request_id()), Action::SecretExpiring);
        let asked = Asked {
            action,
            path: path.to_string(),
            locks: [Kind::Rotation, Kind::Secret]
                .map(|kind| self.key(kind, path.as_str()))
                .to_vec(),
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        };
        let told = self
            .change(&request, asked, |attempt| async move {
                // Nothing happened that is to be put on record.
                let old = self.head(path).await?.ok_or_else(|| Error::from(Code::Unsettled))?;
                let expiring = old.body.expiring(attempt.now);
                if expiring.is_empty() {
                    return Err(Error::from(Code::Unsettled));
                }
                let is_rotated = self.load_rotation(path).await?.is_some();
                let (mut head, mut writes) = (old.body, Vec::new());
                for expiry in expiring {
                    head.tell(expiry);
                    // A rotation that does not keep its time is told as overdue.
                    if expiry.what != Expires::Outdated || !is_rotated {
                        writes.extend(self.notices(happened(path, expiry, attempt.now)).await?);
                    }
                }
                let (record, write) = self.write_head(Some(&old.record), old.record.id, path, &head)?;
                writes.push(write);
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes,
                    touches: vec![touch(record.key(), action, None)],
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(action, path.as_str())
                    }],
                    answer: (),
                }))
            })
            .await;
        match told {
            Err(error) if error.code == Code::Unsettled => Ok(()),
            told => told,
        }
    }
}

fn happened(path: &SecretPath, expiry: Expiry, at: Time) -> Happened {
    let reason = match expiry.what {
        Expires::Purged => "the secret is marked for deletion, and removed for good then",
        Expires::Deleted => "its current version counts as deleted from then on",
        Expires::Outdated => {
            "its current version is as old by then as one of its type should get, and nothing rotates it"
        }
    };
    Happened {
        event: Event::SecretExpiring,
        at,
        about: path.to_string(),
        version: expiry.version,
        due: Some(expiry.at),
        reason: Some(reason.to_owned()),
    }
}
