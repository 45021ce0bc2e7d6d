//! The node's copy of the ring, and putting another in its place.

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
pub(crate) fn next_ring(keys: &Keys, old: &Record, salt: [u8; 32]) -> Result<Record> {
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

    /// Puts another ring in the place of the one there is. Gives the epoch that seals under it.
    pub(crate) async fn edit_ring(
        &self,
        request: &Request,
        action: Action,
        edit: impl Fn(&Keys, Time) -> Result<Keys, CryptoError> + Sync,
    ) -> Result<i64> {
        let asked = Asked {
            action,
            path: String::new(),
            locks: vec![self.ring_key()],
            id: self.change_id(request),
            fingerprint: action.name().as_bytes().to_vec().into(),
            needs: vec![vec![Access::DataKey]],
        };
        let edit = &edit;
        let epoch = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(Access::DataKey)?;
                let (old, keys) = self.stored_ring().await?;
                let newer = edit(&keys, attempt.now).map_err(Error::internal)?;
                let record = next_ring(&newer, &old, self.0.entropy.bytes())?;
                Ok(Decided::Write(Decision {
                    touches: vec![touch(record.key(), action, None)],
                    fresh: Vec::new(),
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(action, "")
                    }],
                    writes: vec![Write::Replace(old.rev, Row::Record(record))],
                    answer: Epoch {
                        epoch: newer.data_epoch(self.namespace()).map_err(Error::internal)?,
                    },
                }))
            })
            .await?;
        self.stand().await?;
        Ok(epoch.epoch)
    }
}
