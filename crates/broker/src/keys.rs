//! The node's copy of the ring, and putting another in its place.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_crypto::{CryptoError, Keys};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::row::Key;
use strongroom_domain::{Error, Kind, Record, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::initialise::RING;
use crate::record::Effect;
use crate::request::Request;
use crate::rows::touch;

/// How long a key signs tokens, and one seals what is new.
const SIGNING_KEY_LASTS: Duration = Duration::from_hours(30 * 24);
const DATA_KEY_LASTS: Duration = Duration::from_hours(90 * 24);

#[derive(Debug, Serialize, Deserialize)]
struct Epoch {
    epoch: i64,
}

/// Of a ring and the slots that open it: each is as the ring's own keys vouch for.
pub(crate) fn check_keys<'a>(keys: &Keys, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
    let check = |record: &Record| {
        let held = keys.check_record(record);
        held.map_err(|error| crate::rows::broken(record.kind, error))
    };
    records.into_iter().try_for_each(check)
}

/// The ring's record with these keys in it, in the place of the old one.
pub(crate) fn ring_after(old: &Record, keys: &Keys, salt: [u8; 32]) -> Result<Record> {
    let rev = old.rev.next();
    let body = keys
        .seal_ring(old.namespace, old.id, rev.0, salt)
        .map_err(Error::internal)?;
    let record = Record {
        rev,
        body,
        ..old.clone()
    };
    keys.mac_record(record).map_err(Error::internal)
}

impl Broker {
    pub(crate) fn ring_key(&self) -> Key {
        Key::new(self.0.root, Kind::KeyRing, RING)
    }

    /// What every request stands on: grants that were not put back, and the ring, which is read again if another node
    /// changed it.
    pub(crate) async fn stand(&self) -> Result<()> {
        self.0.node.manifests().standing()?;
        let Some(change) = self.0.node.ring_change() else {
            return Ok(());
        };
        Box::pin(self.reload_ring()).await?;
        self.0.node.ring_was_read(change);
        Ok(())
    }

    /// The same for all but what mends that.
    pub(crate) async fn stand_for(&self, action: Action) -> Result<()> {
        if action == Action::AcceptRestore {
            Ok(())
        } else {
            self.stand().await
        }
    }

    pub(crate) async fn reload_ring(&self) -> Result<()> {
        let (_, newer) = self.stored_ring().await?;
        self.0.ring.keys.store(newer.into());
        Ok(())
    }

    async fn stored_ring(&self) -> Result<(Record, Keys)> {
        let (now, root) = (self.0.clock.now(), self.0.root);
        let id = self.0.ring.id;
        let found = self.by_manifest(
            root,
            async || {
                let found = self.0.store.find_by_id(now, root, Kind::KeyRing, id);
                Ok(self.ask(found).await?.value)
            },
            |manifest, found| manifest.judge_id(Kind::KeyRing, id, found.as_ref()),
        );
        self.open_ring(found.await?)
    }

    /// The ring as it was read, and the keys in it.
    pub(crate) fn open_ring(&self, found: Option<Record>) -> Result<(Record, Keys)> {
        let ring = found.filter(|ring| ring.key() == self.ring_key());
        let ring = ring.ok_or_else(|| Error::integrity("The key ring is gone."))?;
        let known = self.0.ring.keys.load();
        let keys = known
            .reopen(&ring)
            .map_err(|error| crate::rows::broken(Kind::KeyRing, error))?;
        check_keys(&keys, [&ring])?;
        Ok((ring, keys))
    }

    /// Makes a new data epoch, under which everything is sealed from then on. Gives its id.
    pub async fn rotate_data_key(&self, request: &Request) -> Result<i64> {
        self.edit_ring(request, Action::DataKeyRotate, |keys, now| {
            let entropy = &self.0.entropy;
            keys.with_data_epoch(self.namespace(), now, &|| entropy.bytes())
        })
        .await
    }

    /// Makes a new key to sign tokens. It is published at once and signs once others must have seen it; what was signed
    /// before holds until it expires, unless every access token is to end now.
    pub async fn rotate_signing_key(&self, request: &Request, end_all: bool) -> Result<()> {
        let entropy = &self.0.entropy;
        let asked = self.about_ring(request, Action::SigningKeyRotate, Access::SigningKey);
        let asked = Asked {
            fingerprint: vec![u8::from(end_all)].into(),
            ..asked
        };
        self.replace_ring(request, asked, Access::SigningKey, |keys, now| {
            if end_all {
                keys.with_new_token_signing(now, &|| entropy.bytes())
            } else {
                keys.with_next_token_signing(now, &|| entropy.bytes())
            }
        })
        .await
        .map(drop)
    }

    /// Makes another key in the place of each that has been used for as long as one is to be. Where two nodes see that at
    /// once, there is one key more than need be.
    pub(crate) async fn rotate_own_keys(&self) -> Result<()> {
        self.stand().await?;
        let (keys, now) = (self.0.ring.keys.load_full(), self.0.clock.now());
        let is_old = |made: Option<Time>, lasts| made.is_some_and(|made| made + lasts <= now);
        if is_old(keys.token_signing_made_at(), SIGNING_KEY_LASTS) {
            let request = Request::of_job(crate::rotation::JOB, self.request_id());
            self.rotate_signing_key(&request, false).await?;
        }
        for namespace in self.every_namespace().await? {
            let newest = keys.data_epochs(namespace).last().map(|(_, made)| *made);
            if is_old(newest, DATA_KEY_LASTS) {
                let request = Request::of_job(crate::rotation::JOB, self.request_id());
                self.within(namespace).rotate_data_key(&request).await?;
            }
        }
        Ok(())
    }

    /// Forgets keys whose tokens have all expired.
    pub(crate) async fn retire_signing_keys(&self) -> Result<()> {
        self.stand().await?;
        let Some(newest) = self.0.ring.keys.load().outlived_signing_keys(self.0.clock.now()) else {
            return Ok(());
        };
        let request = Request::of_job("reseal", self.request_id());
        let asked = self.about_ring(&request, Action::SigningKeyRotate, Access::SigningKey);
        self.replace_ring(&request, asked, Access::SigningKey, |keys, _| {
            keys.without_token_signing_before(newest)
        })
        .await
        .map(drop)
    }

    /// Puts another ring in the place of the one there is. Gives the epoch that seals under it.
    pub(crate) async fn edit_ring(
        &self,
        request: &Request,
        action: Action,
        edit: impl Fn(&Keys, Time) -> Result<Keys, CryptoError> + Sync,
    ) -> Result<i64> {
        let asked = self.about_ring(request, action, Access::DataKey);
        self.replace_ring(request, asked, Access::DataKey, edit).await
    }

    fn about_ring<'a>(&self, request: &Request, action: Action, access: Access<'a>) -> Asked<'a> {
        Asked {
            action,
            path: String::new(),
            locks: vec![self.ring_key()],
            id: self.change_id(request),
            fingerprint: action.name().as_bytes().to_vec().into(),
            needs: vec![vec![access]],
        }
    }

    async fn replace_ring(
        &self,
        request: &Request,
        asked: Asked<'_>,
        access: Access<'_>,
        edit: impl Fn(&Keys, Time) -> Result<Keys, CryptoError> + Sync,
    ) -> Result<i64> {
        let (edit, action) = (&edit, asked.action);
        let epoch = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(access)?;
                let (newer, record, write) = self.next_ring(attempt.now, edit).await?;
                Ok(Decided::Write(Decision {
                    touches: vec![touch(record.key(), action, None)],
                    fresh: Vec::new(),
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(action, "")
                    }],
                    writes: vec![write],
                    answer: Epoch {
                        epoch: newer.data_epoch(self.namespace()).map_err(Error::internal)?,
                    },
                }))
            })
            .await?;
        self.stand().await?;
        Ok(epoch.epoch)
    }

    /// Another ring in the place of the stored one, its row, and what writes that.
    pub(crate) async fn next_ring(
        &self,
        now: Time,
        edit: impl Fn(&Keys, Time) -> Result<Keys, CryptoError>,
    ) -> Result<(Keys, Record, Write)> {
        let (old, keys) = self.stored_ring().await?;
        let newer = edit(&keys, now).map_err(Error::internal)?;
        let record = ring_after(&old, &newer, self.0.entropy.bytes())?;
        Ok((newer, record.clone(), Write::Replace(old.rev, Row::Record(record))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::place::Place;

    #[tokio::test]
    async fn our_own_keys_are_replaced_in_time() {
        let place = Place::new().await;
        let broker = &place.broker;
        let keys = || {
            let keys = broker.0.ring.keys.load();
            (
                keys.token_signing_made_at().unwrap(),
                keys.data_epochs(broker.namespace()).len(),
            )
        };
        let pass = |days: i64| place.clock.now.fetch_add(days * 86_400_000_000, Ordering::Relaxed);
        let (first, _) = keys();
        for (days, signing_is_new, epochs) in [
            (29, false, 1),
            (1, true, 1),
            (29, false, 1),
            (31, true, 2),
            (0, false, 2),
        ] {
            let (before, _) = keys();
            pass(days);
            broker.rotate_own_keys().await.unwrap();
            let (made, data) = keys();
            assert_eq!((made > before, data), (signing_is_new, epochs), "after {days} days");
        }
        assert!(keys().0 > first);
    }
}
