//! Loading what grants something, checked.

use serde::de::DeserializeOwned;
use strongroom_crypto::CryptoError;
use strongroom_domain::grant::{Client, Principal, Role};
use strongroom_domain::policy::Policy;
use strongroom_domain::row::Key;
use strongroom_domain::{Kind, Name, ObjectId, PrincipalId, Result, Revision};
use strongroom_ports::At;

use crate::Broker;
use crate::rows::Checked;

impl Broker {
    /// The record of this kind and name, and the revision it was read at.
    pub(crate) async fn load<T: DeserializeOwned>(&self, kind: Kind, name: &str) -> Result<At<Option<Checked<T>>>> {
        let key = self.key(kind, name);
        let found = self.load_keys(std::slice::from_ref(&key)).await?;
        Ok(At {
            value: found.value.into_iter().next(),
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    /// Those of the records that are there. Each is checked to be one that was asked for.
    pub(crate) async fn load_keys<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<At<Vec<Checked<T>>>> {
        let found = self.ask(self.0.store.find(self.0.clock.now(), keys)).await?;
        let mut checked = Vec::with_capacity(found.value.len());
        for record in found.value {
            // A genuine row must also be the one that was asked for.
            if !keys.contains(&record.key()) {
                return Err(crate::rows::broken(record.kind, CryptoError::BadMac));
            }
            checked.push(self.check(record)?);
        }
        Ok(At {
            value: checked,
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    pub(crate) async fn load_client(&self, id: ObjectId) -> Result<At<Option<Checked<Client>>>> {
        let found = self
            .ask(
                self.0
                    .store
                    .find_by_id(self.0.clock.now(), self.0.namespace, Kind::Client, id),
            )
            .await?;
        if found
            .value
            .as_ref()
            .is_some_and(|record| record.id != id || record.kind != Kind::Client)
        {
            return Err(crate::rows::broken(Kind::Client, CryptoError::BadMac));
        }
        let value = found.value.map(|record| self.check(record)).transpose()?;
        Ok(At {
            value,
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    pub(crate) async fn load_role(&self, name: &Name) -> Result<At<Option<Checked<Role>>>> {
        self.load(Kind::Role, name.as_str()).await
    }

    pub(crate) async fn load_principal(&self, id: PrincipalId) -> Result<At<Option<Checked<Principal>>>> {
        self.load(Kind::Principal, &id.to_string()).await
    }

    /// A role's policies; one that does not exist grants nothing. Also the oldest revision any was read at.
    pub(crate) async fn load_policies(&self, names: &[Name]) -> Result<At<Vec<Checked<Policy>>>> {
        let keys: Vec<Key> = names.iter().map(|name| self.key(Kind::Policy, name.as_str())).collect();
        self.load_keys(&keys).await
    }
}

pub(crate) fn oldest(revisions: impl IntoIterator<Item = Revision>) -> Revision {
    revisions.into_iter().min().unwrap_or_default()
}
