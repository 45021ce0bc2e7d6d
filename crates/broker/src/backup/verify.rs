//! Checking a backup by what it is for: it is restored into a scratch store, and every row of it is opened there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use strongroom_crypto::{CryptoError, Keys};
use strongroom_domain::audit::{Batch, BatchId, merkle};
use strongroom_domain::manifest::{Listed, TOP, slot_of_top};
use strongroom_domain::secret::{Head, State};
use strongroom_domain::{Digest, Kind, NamespaceId, ObjectId, Record, Result, Time};
use strongroom_ports::{BootRow, Clock, Dump, Entropy, Fut, Part, Store, StoreError};

use super::restore::{fill, fill_failed};
use super::{BackupFile, Counts};
use crate::jobs::kept;
use crate::manifest::{Manifest, Slots, listed};
use crate::open::is_boot_row;
use crate::rows::store_failed;

/// Failures that are told one by one.
const TOLD: usize = 20;
/// Batches that are read at a time.
const PAGE: u16 = 500;
/// Entries of one batch are a little apart in time.
const SLACK: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Verified {
    pub id: Option<ObjectId>,
    pub at: Time,
    pub revision: i64,
    pub counts: Counts,
    /// Versions that were opened; those that are destroyed hold nothing.
    pub opened: u64,
    pub batches: u64,
    /// The first of them; more are counted alone.
    pub failures: Vec<String>,
    pub failed: u64,
}

impl Verified {
    fn fail(&mut self, what: impl FnOnce() -> String) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            self.failures.push(what());
        }
    }

    /// A row, told by its kind and id: names may be nobody's business.
    fn fail_row(&mut self, record: &Record, what: &str) {
        self.fail(|| format!("The {} {} {what}.", record.kind.name(), record.id));
    }
}

/// Restores the backup into `scratch` and checks every row there. An error: it could not be restored at all.
pub async fn verify(
    scratch: &Arc<dyn Store>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    mut file: BackupFile,
    keys: &Keys,
) -> Result<Verified> {
    let (now, id) = (clock.now(), ObjectId(entropy.bytes()));
    let mut verified = Verified {
        id: Some(file.header.id),
        at: file.header.created_at,
        revision: file.header.revision.0,
        ..Verified::default()
    };
    fill(&**scratch, now, id, &mut file, keys, |part| verified.counts.add(part)).await?;
    let mut records = file.header.slots()?;
    records.push(file.header.ring()?);
    let snapshot = file.header.snapshot();
    let last = Part::Keys { records, snapshot };
    scratch.fill(now, id, last).await.map_err(fill_failed)?;
    let mut check = Check {
        store: &**scratch,
        keys,
        now,
        verified,
        referenced: 0,
        boots: BTreeSet::from([0]),
        entries: 0,
        listed: BTreeMap::new(),
    };
    scratch.dump(now, &mut check).await.map_err(store_failed)?;
    check.manifests(file.header.namespace);
    check.log().await.map_err(store_failed)?;
    let mut verified = check.verified;
    let counts = verified.counts;
    if check.referenced != counts.versions {
        verified.fail(|| {
            format!(
                "Secrets have {} versions, and {} are stored.",
                check.referenced, counts.versions
            )
        });
    }
    if check.entries != counts.entries {
        verified.fail(|| {
            format!(
                "Audit batches have {} entries, and {} are stored.",
                check.entries, counts.entries
            )
        });
    }
    Ok(verified)
}

struct Check<'a> {
    store: &'a dyn Store,
    keys: &'a Keys,
    now: Time,
    verified: Verified,
    /// Versions that heads vouch for.
    referenced: u64,
    /// Starts of nodes, which batches are numbered by; 0 is the initialisation.
    boots: BTreeSet<i64>,
    /// Entries that stand in batches.
    entries: u64,
    /// What is to be listed of each namespace, and what its manifest is made of.
    listed: BTreeMap<NamespaceId, (Slots, Vec<Record>)>,
}

impl Dump for Check<'_> {
    fn take(&mut self, part: Part) -> Fut<'_, ()> {
        Box::pin(async move {
            match part {
                Part::Keys { records, .. } | Part::Records(records) => {
                    for record in records {
                        self.record(&record).await?;
                    }
                }
                Part::Boots(boots) => boots.iter().for_each(|row| self.boot(row)),
                Part::Versions(_) | Part::Uses(_) | Part::Batches(_) | Part::Entries(..) => {}
            }
            Ok(())
        })
    }
}

impl Check<'_> {
    /// Compares what grants something with its manifests, those of other namespaces by that of `root`.
    fn manifests(&mut self, root: NamespaceId) {
        let mut of_root = Slots::new();
        let mut all = std::mem::take(&mut self.listed);
        let last = all.remove(&root).map(|found| (root, found));
        for (namespace, (mut slots, rows)) in all.into_iter().chain(last) {
            if namespace == root {
                slots.append(&mut of_root);
            } else {
                let tops = rows.iter().filter(|row| row.name == TOP);
                of_root.extend(tops.map(|top| (slot_of_top(namespace), Some(Listed::of(top)))));
            }
            if rows.is_empty() && slots.is_empty() {
                continue;
            }
            match Manifest::of_rows(&rows, self.keys) {
                Some(manifest) => {
                    for what in manifest.differences(slots) {
                        self.verified.fail(|| what);
                    }
                }
                None => self
                    .verified
                    .fail(|| format!("The manifest of the namespace {namespace} is not whole.")),
            }
        }
    }

    async fn record(&mut self, record: &Record) -> Result<(), StoreError> {
        if self.keys.check_record(record).is_err() {
            self.verified.fail_row(record, "fails its check");
        }
        let (listed_here, manifest) = self.listed.entry(record.namespace).or_default();
        if record.kind == Kind::Manifest {
            manifest.push(record.clone());
        } else {
            listed_here.extend(listed([record]));
        }
        if record.kind != Kind::Secret {
            return Ok(());
        }
        let Ok(head) = serde_json::from_slice::<Head>(&record.body) else {
            self.verified.fail_row(record, "is malformed");
            return Ok(());
        };
        for entry in &head.versions {
            self.referenced += 1;
            let number = entry.number;
            let found = self.store.version(self.now, record.namespace, record.id, number);
            match found.await?.value.filter(|row| row.digest() == entry.digest) {
                None => self
                    .verified
                    .fail_row(record, &format!("vouches for a version {number} that is not there")),
                Some(_) if entry.state == State::Destroyed => {}
                Some(row) => match self.keys.open_version(&row, &record.name) {
                    Ok(_) => self.verified.opened += 1,
                    Err(CryptoError::UnknownKey) => self
                        .verified
                        .fail_row(record, &format!("has a version {number} under a key that is gone")),
                    Err(_) => self
                        .verified
                        .fail_row(record, &format!("has a version {number} that does not open")),
                },
            }
        }
        Ok(())
    }

    fn boot(&mut self, row: &BootRow) {
        self.boots.insert(row.boot);
        if !is_boot_row(self.keys, row) {
            self.verified
                .fail(|| format!("The start {} of a node fails its check.", row.boot));
        }
    }

    /// Every batch, in the order of their ids: each lane of each start is a chain from its first.
    async fn log(&mut self) -> Result<(), StoreError> {
        let mut last: Option<Batch> = None;
        loop {
            let after = last.as_ref().map_or(BatchId(0), |batch| batch.id);
            let page = self.store.batches(self.now, after, PAGE).await?.value;
            if page.is_empty() {
                return Ok(());
            }
            for batch in page {
                self.batch(&batch, last.as_ref()).await?;
                last = Some(batch);
            }
        }
    }

    async fn batch(&mut self, batch: &Batch, last: Option<&Batch>) -> Result<(), StoreError> {
        self.verified.batches += 1;
        let follows = match last {
            Some(last) if last.id.next() == batch.id && batch.id.number() > 1 => batch.previous == last.mac,
            _ => batch.id.number() == 1 && batch.previous == Digest::ZERO,
        };
        if self.keys.check_batch(batch).is_err() || !follows {
            self.verified
                .fail(|| format!("The audit batch {} is altered, or the one before it is gone.", batch.id));
        }
        if !self.boots.contains(&batch.id.boot()) {
            self.verified
                .fail(|| format!("The audit batch {} is of no start of a node.", batch.id));
        }
        let entries = self.store.batch_entries(self.now, batch).await?.value;
        self.entries += entries.len() as u64;
        let leaves: Vec<Digest> = entries
            .iter()
            .map(|stored| merkle::leaf(&stored.entry.canonical()))
            .collect();
        let dropped = i64::try_from(leaves.len()).is_ok_and(|there| there < batch.count) && self.may_be_dropped(batch);
        if !dropped && merkle::root(&leaves) != batch.root {
            self.verified
                .fail(|| format!("The entries of audit batch {} are not as they were written.", batch.id));
        }
        Ok(())
    }

    /// Whether the log's entries of that age were let go when the backup was taken.
    fn may_be_dropped(&self, batch: &Batch) -> bool {
        batch.at < self.verified.at - kept(batch.class) + SLACK
    }
}
