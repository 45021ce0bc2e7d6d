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

impl Broker {
    pub(crate) fn ring_key(&self) -> Key {
        self.key(Kind::KeyRing, RING)
    }

    /// Reads the ring again if another node changed it.
    pub(crate) async fn refresh_ring(&self) -> Result<()> {
        let Some(change) = self.0.node.ring_change() else {
            return Ok(());
        };
        Box::pin(self.reload_ring()).await?;
        self.0.node.ring_was_read(change);
        Ok(())
    }

    pub(crate) async fn reload_ring(&self) -> Result<()> {
        let now = self.0.clock.now();
        let found = self
            .ask(
                self.0
                    .store
                    .find_by_id(now, self.0.namespace, Kind::KeyRing, self.0.ring.id),
            )
            .await?;
        let record = found.value.filter(|record| record.key() == self.ring_key());
        let record = record.ok_or_else(|| Error::integrity("The key ring is gone."))?;
        let broken = |error| crate::rows::broken(Kind::KeyRing, error);
        let keys = self.0.ring.keys.load();
        let newer = keys.reopen(&record).map_err(broken)?;
        newer.check_record(&record).map_err(broken)?;
        self.0.ring.keys.store(newer.into());
        Ok(())
    }

    /// Makes a new data epoch, under which everything is sealed from then on. Gives its id.
    pub async fn rotate_data_key(&self, request: &Request) -> Result<i64> {
        self.edit_ring(request, Action::DataKeyRotate, |keys, now| {
            let entropy = &self.0.entropy;
            keys.with_data_epoch(self.0.namespace, now, &|| entropy.bytes())
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
                let (namespace, ring) = (self.0.namespace, self.0.ring.id);
                let found = self
                    .ask(self.0.store.find_by_id(attempt.now, namespace, Kind::KeyRing, ring))
                    .await?;
                let old = found.value.filter(|record| record.key() == self.ring_key());
                let old = old.ok_or_else(|| Error::integrity("The key ring is gone."))?;
                let broken = |error| crate::rows::broken(Kind::KeyRing, error);
                let keys = self.0.ring.keys.load();
                keys.check_record(&old).map_err(broken)?;
                let keys = keys.reopen(&old).map_err(broken)?;
                let newer = edit(&keys, attempt.now).map_err(Error::internal)?;
                let rev = old.rev.next();
                let body = newer
                    .seal_ring(old.namespace, old.id, rev.0, self.0.entropy.bytes())
                    .map_err(Error::internal)?;
                let expected = old.rev;
                let record = newer.mac_record(Record { rev, body, ..old }).map_err(Error::internal)?;
                Ok(Decided::Write(Decision {
                    touches: vec![touch(record.key(), action, None)],
                    fresh: Vec::new(),
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(action, "")
                    }],
                    writes: vec![Write::Replace(expected, Row::Record(record))],
                    answer: Epoch {
                        epoch: newer.data_epoch(namespace).map_err(Error::internal)?,
                    },
                }))
            })
            .await?;
        self.refresh_ring().await?;
        Ok(epoch.epoch)
    }
}
