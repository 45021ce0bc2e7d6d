//! What old data keys sealed is sealed anew, and then they are destroyed. It can stop anywhere and goes on from there:
//! what is left to do is what the rows say.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::secret::{Head, State};
use strongroom_domain::{Error, Kind, ObjectId, Result, Row, SecretPath, Write};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision, REMEMBERED};
use crate::read::no_secret;
use crate::record::{Attempt, Effect};
use crate::request::Request;
use crate::rows::touch;
use crate::stats::count;

/// Versions that are looked for at a time.
const CHUNK: u16 = 200;

impl Broker {
    pub(crate) async fn reseal_everywhere(&self) -> Result<()> {
        for namespace in self.every_namespace().await? {
            self.within(namespace).reseal().await?;
        }
        Ok(())
    }

    /// Seals everything anew that is not under the newest data key. Once nothing is left under the older ones, and the
    /// answers of changes that they seal too are forgotten, these are destroyed.
    pub(crate) async fn reseal(&self) -> Result<()> {
        self.stand().await?;
        let epochs = self.0.ring.keys.load().data_epochs(self.namespace());
        let Some(((newest, made_at), 1..)) = epochs.split_last().map(|(last, older)| (*last, older.len())) else {
            return Ok(());
        };
        loop {
            let now = self.0.clock.now();
            let found = self
                .ask(self.0.store.sealed_before(now, self.namespace(), newest, CHUNK))
                .await?;
            if found.value.is_empty() {
                break;
            }
            let mut secrets: BTreeMap<ObjectId, Vec<i64>> = BTreeMap::new();
            for version in found.value {
                secrets.entry(version.owner).or_default().push(version.number);
            }
            let mut done = false;
            for (secret, versions) in secrets {
                // One that does not open holds up nobody but the old key.
                match self.reseal_secret(secret, &versions, newest).await {
                    Ok(()) => done = true,
                    Err(error) => tracing::warn!(?error, "a secret was not sealed anew"),
                }
            }
            if !done {
                return Ok(());
            }
        }
        if made_at + REMEMBERED < self.0.clock.now() {
            let request = Request::of_job("reseal", self.request_id());
            self.edit_ring(&request, Action::DataKeyDestroy, |keys, _| {
                keys.without_data_epochs_before(self.namespace(), newest)
            })
            .await?;
        }
        Ok(())
    }

    async fn reseal_secret(&self, secret: ObjectId, versions: &[i64], newest: i64) -> Result<()> {
        let (now, namespace) = (self.0.clock.now(), self.namespace());
        let found = self
            .ask(self.0.store.find_by_id(now, namespace, Kind::Secret, secret))
            .await?;
        let head = self.check::<Head>(found.value.ok_or_else(no_secret)?)?;
        let path = &SecretPath::parse(&head.record.name)?;
        let asked = Asked {
            action: Action::Reseal,
            path: path.to_string(),
            locks: vec![head.record.key()],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: vec![vec![Access::DataKey]],
        };
        let request = Request::of_job("reseal", self.request_id());
        let done = self
            .change(&request, asked, |attempt| async move {
                self.decide_reseal(&attempt, path, versions, newest).await
            })
            .await?;
        for () in done {
            count(&self.0.stats.resealed);
        }
        Ok(())
    }

    async fn decide_reseal(
        &self,
        attempt: &Attempt,
        path: &SecretPath,
        versions: &[i64],
        newest: i64,
    ) -> Result<Decided<Vec<()>>> {
        let old = self.head(path).await?.ok_or_else(no_secret)?;
        let (mut head, mut writes, mut numbers) = (old.body.clone(), Vec::new(), Vec::new());
        let entries = head.versions.iter_mut();
        for entry in entries.filter(|entry| entry.state != State::Destroyed && versions.contains(&entry.number)) {
            let (row, _) = self.load_version(attempt.now, old.record.id, entry).await?;
            if row.epoch >= newest {
                continue;
            }
            let payload = self.open_payload(&row, path.as_str()).await?;
            let (keys, rev) = (self.0.ring.keys.load(), row.rev);
            let blank = strongroom_domain::Version { rev: rev.next(), ..row };
            let row = keys
                .seal_version(blank, path.as_str(), self.0.entropy.bytes(), &payload)
                .map_err(Error::internal)?;
            (entry.digest, entry.rev) = (row.digest(), row.rev);
            writes.push(Write::Replace(rev, Row::Version(row)));
            numbers.push(entry.number);
        }
        if writes.is_empty() {
            return Ok(Decided::Nothing(Vec::new()));
        }
        let (record, write) = self.write_head(Some(&old.record), old.record.id, path, &head)?;
        writes.push(write);
        let effect = |number: &i64| Effect {
            version: Some(*number),
            digest: Some(record.digest()),
            ..Effect::new(Action::Reseal, path.as_str())
        };
        Ok(Decided::Write(Decision {
            fresh: Vec::new(),
            touches: vec![touch(record.key(), Action::Reseal, None)],
            effects: numbers.iter().map(effect).collect(),
            writes,
            answer: vec![(); numbers.len()],
        }))
    }
}
