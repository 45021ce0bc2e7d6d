//! Loading what grants something, checked.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::{Client, Group, MAX_METADATA, Operator, Principal, Role};
use strongroom_domain::policy::{Asker, Policy, built_in, for_asker, names_metadata};
use strongroom_domain::row::Key;
use strongroom_domain::{Error, Kind, Name, ObjectId, PrincipalId, Record, Result, Revision};
use strongroom_ports::At;

use crate::Broker;
use crate::manifest::Manifest;
use crate::rows::Checked;

/// Bytes of one thing that is written on a client or an operator.
const MAX_VALUE: usize = 256;

/// Those that a principal has, and what they rest on.
pub(crate) struct PoliciesOf {
    pub(crate) policies: Vec<(Name, Policy)>,
    pub(crate) rests_on: Vec<Key>,
    pub(crate) read_at: Revision,
}

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
        let Some(kind) = keys.first().map(|key| key.kind) else {
            return Ok(At {
                value: Vec::new(),
                revision: Revision(i64::MAX),
                db_now: self.0.clock.now(),
            });
        };
        let read = || async move { self.ask(self.0.store.find(self.0.clock.now(), keys)).await };
        let asked = |record: &Record| keys.contains(&record.key());
        let judge = |manifest: &Manifest, found: &[Record]| manifest.judge(keys, found);
        let found = self.read_rows(kind, read, asked, judge).await?;
        Ok(At {
            value: found.value.held,
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    pub(crate) async fn load_client(&self, id: ObjectId) -> Result<At<Option<Checked<Client>>>> {
        self.load_by_id(Kind::Client, id).await
    }

    /// The record of this kind and id, and the revision it was read at.
    pub(crate) async fn load_by_id<T: DeserializeOwned>(
        &self,
        kind: Kind,
        id: ObjectId,
    ) -> Result<At<Option<Checked<T>>>> {
        let (now, namespace) = (self.0.clock.now(), self.namespace());
        let read = || async move {
            let found = self.ask(self.0.store.find_by_id(now, namespace, kind, id)).await?;
            Ok(At {
                value: found.value.into_iter().collect(),
                revision: found.revision,
                db_now: found.db_now,
            })
        };
        let asked = |record: &Record| record.id == id && record.kind == kind;
        let judge = |manifest: &Manifest, found: &[Record]| manifest.judge_id(kind, id, found.first());
        let found = self.read_rows(kind, read, asked, judge).await?;
        Ok(At {
            value: found.value.held.into_iter().next(),
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

    pub(crate) async fn load_operator(&self, name: &Name) -> Result<At<Option<Checked<Operator>>>> {
        self.load(Kind::Operator, name.as_str()).await
    }

    pub(crate) async fn load_groups(&self, names: &[Name]) -> Result<At<Vec<Checked<Group>>>> {
        self.load_keys(&self.keys_of(Kind::Group, names)).await
    }

    pub(crate) fn keys_of(&self, kind: Kind, names: &[Name]) -> Vec<Key> {
        names.iter().map(|name| self.key(kind, name.as_str())).collect()
    }

    /// Those of the policies that exist; any other grants nothing. One that is stored under a built-in one's name was
    /// there before it, and stands.
    pub(crate) async fn load_policies(&self, names: &[Name]) -> Result<At<Vec<(Name, Policy)>>> {
        let found = self.load_keys::<Policy>(&self.keys_of(Kind::Policy, names)).await?;
        let stored = |name: &Name| found.value.iter().find(|policy| policy.record.name == name.as_str());
        let policies = names.iter().filter_map(|name| {
            let policy = stored(name).map_or_else(|| built_in(name), |found| Some(found.body.clone()))?;
            Some((name.clone(), policy))
        });
        Ok(At {
            value: policies.collect(),
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    /// The same, as they are for a principal.
    pub(crate) async fn load_policies_of(
        &self,
        id: PrincipalId,
        principal: &Principal,
        names: &[Name],
    ) -> Result<PoliciesOf> {
        let found = self.load_policies(names).await?;
        // Named policies count whether they exist or not: one made later must be seen.
        let (mut rests_on, mut read_at) = (self.keys_of(Kind::Policy, names), found.revision);
        let mut rules = found.value.iter().flat_map(|(_, policy)| &policy.rules);
        let asker = if rules.any(|rule| names_metadata(&rule.path)) {
            let (asker, row) = self.asker(id, principal).await?;
            if let Some((key, revision)) = row {
                rests_on.push(key);
                read_at = oldest([read_at, revision]);
            }
            asker
        } else {
            Asker::new(principal.name.as_deref(), BTreeMap::new())
        };
        Ok(PoliciesOf {
            policies: for_asker(found.value, &asker),
            rests_on,
            read_at,
        })
    }

    /// Refuses names of groups that do not exist.
    pub(crate) async fn check_groups(&self, names: &[Name]) -> Result<()> {
        let found = self.load_groups(names).await?.value;
        all_exist(Kind::Group, names, |name| {
            found.iter().any(|found| found.record.name == name.as_str())
        })
    }

    /// Refuses names of policies that do not exist.
    pub(crate) async fn check_policies(&self, names: &[Name]) -> Result<()> {
        let found = self.load_policies(names).await?.value;
        all_exist(Kind::Policy, names, |name| found.iter().any(|(found, _)| found == name))
    }
}

fn all_exist(kind: Kind, names: &[Name], exists: impl Fn(&Name) -> bool) -> Result<()> {
    match names.iter().find(|name| !exists(name)) {
        Some(missing) => Err(Error::invalid(format!("There is no {} '{missing}'.", kind.name()))),
        None => Ok(()),
    }
}

/// A request that says lists of names of something, as bytes.
pub(crate) fn listed(action: Action, name: &Name, lists: &[&[Name]]) -> Vec<u8> {
    let mut canon = Canon::new(action.name()).text(name.as_str());
    for list in lists {
        // Bounded far below what an i64 holds.
        canon = canon.int(i64::try_from(list.len()).unwrap_or(i64::MAX));
        canon = list.iter().fold(canon, |canon, name| canon.text(name.as_str()));
    }
    canon.done()
}

/// Metadata that a request says, as bytes.
pub(crate) fn said(metadata: &BTreeMap<Name, String>) -> Vec<u8> {
    let pairs = metadata.iter();
    let canon = pairs.fold(Canon::new("metadata"), |canon, (key, value)| {
        canon.text(key.as_str()).text(value)
    });
    canon.done()
}

/// Refuses metadata that is too much.
pub(crate) fn check_metadata(metadata: &BTreeMap<Name, String>) -> Result<()> {
    if metadata.len() <= MAX_METADATA && metadata.values().all(|value| value.len() <= MAX_VALUE) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "'metadata' has at most {MAX_METADATA} entries, with values of at most {MAX_VALUE} bytes."
    )))
}

/// Refuses lists of names that are too long.
pub(crate) fn check_count(what: &str, names: &[Name], most: usize) -> Result<()> {
    if names.len() > most {
        return Err(Error::invalid(format!("'{what}' has at most {most} names.")));
    }
    Ok(())
}

pub(crate) fn oldest(revisions: impl IntoIterator<Item = Revision>) -> Revision {
    revisions.into_iter().min().unwrap_or_default()
}
