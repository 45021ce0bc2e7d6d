//! Reading manifests, and rows by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use strongroom_crypto::CryptoError;
use strongroom_domain::manifest::{Bucket, TOP, Top, Unlike, compare, key, lists, slot_of_top};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Error, Kind, NamespaceId, Record, Result};
use strongroom_ports::At;

use super::{Held, Manifest, unlike};
use crate::Broker;
use crate::rows::{self, Checked, broken};

/// How often what changed while it was read is read again.
const ATTEMPTS: usize = 8;

/// Rows as they were read, without those that a restore has voided.
pub(crate) struct Rows<T> {
    pub(crate) held: Vec<Checked<T>>,
    /// How many there are with these, and the name of the last.
    pub(crate) count: usize,
    pub(crate) last: Option<String>,
}

impl Broker {
    pub(crate) fn manifest_key(&self) -> Key {
        key(self.namespace(), TOP)
    }

    /// The one that this node knows to be the newest, or else the store's.
    pub(crate) async fn manifest(&self, namespace: NamespaceId) -> Result<Arc<Manifest>> {
        match self.0.node.manifests().current(namespace) {
            Some(known) => Ok(known),
            None => self.read_manifest(namespace).await,
        }
    }

    /// Reads rows that a manifest lists. What the node remembers may be old, and so be right about an old row: whatever
    /// rests on the row is fenced by the row's own change. Where it says that a row is wrong, the store's own is asked.
    pub(crate) async fn by_manifest<T, F>(
        &self,
        namespace: NamespaceId,
        read: impl Fn() -> F + Send + Sync,
        judge: impl Fn(&Manifest, &T) -> Result<()> + Send + Sync,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let found = read().await?;
        if judge(&*self.manifest(namespace).await?, &found).is_ok() {
            return Ok(found);
        }
        for _ in 0..ATTEMPTS {
            let before = self.read_manifest(namespace).await?;
            let found = read().await?;
            let Err(wrong) = judge(&before, &found) else {
                return Ok(found);
            };
            // Rows and manifest change together: between two equal ones no row of theirs did.
            if self.read_manifest(namespace).await?.is(&before) {
                return Err(wrong);
            }
        }
        Err(Error::from(Code::Unsettled))
    }

    /// Rows of a kind, each genuine and one that was asked for, and where a manifest lists the kind, as that says. `judge`
    /// is asked for those that are absent too.
    pub(crate) async fn read_rows<T, F>(
        &self,
        kind: Kind,
        read: impl Fn() -> F + Send + Sync,
        asked: impl Fn(&Record) -> bool + Send + Sync,
        judge: impl Fn(&Manifest, &[Record]) -> Result<()> + Send + Sync,
    ) -> Result<At<Rows<T>>>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<At<Vec<Record>>>> + Send,
    {
        let (asked, namespace) = (&asked, self.namespace());
        let genuine = || {
            let reading = read();
            async move {
                let found = reading.await?;
                for row in &found.value {
                    if !asked(row) {
                        return Err(broken(row.kind, CryptoError::BadMac));
                    }
                    self.check_mac(row)?;
                }
                Ok(found)
            }
        };
        let mut found = if lists(kind) {
            self.by_manifest(namespace, genuine, |manifest, found| judge(manifest, &found.value))
                .await?
        } else {
            genuine().await?
        };
        let (count, last) = (found.value.len(), found.value.last().map(|row| row.name.clone()));
        if kind == Kind::Token && count > 0 {
            let manifest = self.manifest(namespace).await?;
            found.value.retain(|row| !manifest.voids(row));
        }
        Ok(At {
            value: Rows {
                held: found.value.into_iter().map(rows::parse).collect::<Result<_>>()?,
                count,
                last,
            },
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    /// The manifest as it is stored now.
    pub(crate) async fn read_manifest(&self, namespace: NamespaceId) -> Result<Arc<Manifest>> {
        Box::pin(async move {
            let mut last = None;
            for _ in 0..ATTEMPTS {
                let top = self.read_top(namespace).await?;
                let mac = top.value.as_ref().map(|top| top.mac.clone());
                let found = match top.value {
                    Some(row) => self.read_buckets(row).await?,
                    None => Some(Manifest::empty(namespace)),
                };
                if let Some(manifest) = found {
                    let manifest = Arc::new(manifest);
                    self.0.node.keep_manifest(manifest.clone(), top.revision);
                    return Ok(manifest);
                }
                // A bucket that is newer than its top was written meanwhile, unless the top is still the same.
                if last.replace(mac.clone()) == Some(mac) {
                    return Err(unlike(Kind::Manifest, Unlike::Another));
                }
            }
            Err(Error::from(Code::Unsettled))
        })
        .await
    }

    /// The checked top of a namespace; of none whose manifest is empty.
    async fn read_top(&self, namespace: NamespaceId) -> Result<At<Option<Record>>> {
        if namespace == self.0.root {
            let known = self.0.node.manifests();
            let seen = known.seen();
            let found = self.stored_top().await?;
            return match &found.value {
                Some(top) => known.see(&seen, top).map(|()| found),
                None => Err(known.no_manifest()),
            };
        }
        let key = key(namespace, TOP);
        let listed_as = slot_of_top(namespace);
        self.by_manifest(
            self.0.root,
            || self.find_one(&key),
            |root, found: &At<Option<Record>>| {
                compare(root.find(&listed_as), found.value.as_ref()).map_err(|how| unlike(Kind::Manifest, how))
            },
        )
        .await
    }

    /// The top of `root` as it is stored, whatever this node has seen.
    pub(crate) async fn stored_top(&self) -> Result<At<Option<Record>>> {
        let found = self.find_one(&key(self.0.root, TOP)).await?;
        if let Some(row) = &found.value {
            self.check_mac(row)?;
        }
        Ok(found)
    }

    async fn find_one(&self, key: &Key) -> Result<At<Option<Record>>> {
        let keys = std::slice::from_ref(key);
        let found = self.ask(self.0.store.find(self.0.clock.now(), keys)).await?;
        let row = found.value.into_iter().next();
        Ok(At {
            // A genuine row must also be the one that was asked for.
            value: row.filter(|row| row.key() == *key),
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    /// `None`: the buckets are not those that this top names.
    async fn read_buckets(&self, row: Record) -> Result<Option<Manifest>> {
        self.check_mac(&row)?;
        let namespace = row.namespace;
        let top: Top = parse(&row)?;
        let known = self.0.node.manifests().last(namespace);
        let mut buckets = known.map_or_else(BTreeMap::new, |known| known.buckets.clone());
        buckets.retain(|name, held| top.buckets.get(name) == Some(&held.digest));
        let missing = top.buckets.keys().filter(|name| !buckets.contains_key(*name));
        let keys: Vec<Key> = missing.map(|name| key(namespace, name)).collect();
        if !keys.is_empty() {
            let found = self.ask(self.0.store.find(self.0.clock.now(), &keys)).await?;
            for row in found.value {
                let bucket: Bucket = parse(&row)?;
                buckets.insert(row.name.clone(), Arc::new(Held::new(&row, bucket)));
            }
        }
        Ok(Manifest::assembled(row, &top, buckets))
    }
}

fn parse<T: DeserializeOwned>(row: &Record) -> Result<T> {
    serde_json::from_slice(&row.body).map_err(|_| unlike(Kind::Manifest, Unlike::Another))
}
