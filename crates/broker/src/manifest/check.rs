//! What a node makes sure of when it starts, and looks at again while it serves.

use std::time::Duration;

use serde::de::IgnoredAny;
use strongroom_domain::audit::{Action, BatchId, StoredEntry, merkle};
use strongroom_domain::manifest::lists;
use strongroom_domain::{Code, Error, Kind, Record, Result, Time};

use crate::Broker;
use crate::record::Served;
use crate::request::Request;
use crate::rows::store_failed;

/// Entries that are looked at for the greatest number: two nodes' clocks may differ by what they took to commit.
const NEWEST: u16 = 16;
/// How far back they are looked for: nodes leave one an hour, and the nearer end of a long log is found sooner.
const BACK: [Duration; 4] = [
    Duration::from_hours(2),
    Duration::from_hours(2 * 24),
    Duration::from_hours(60 * 24),
    Duration::from_hours(400 * 24),
];
const PAGE: u16 = 1000;
/// What a check reads is named `manifest`, as who reads it.
pub(crate) const JOB: &str = "manifest";

impl Broker {
    /// Compares the manifest with the newest number on record, and what opened this node with the manifest. Where they do
    /// not agree the node starts all the same, and serves nothing: so it can be told why, and be mended.
    pub(crate) async fn check_start(&self) -> Result<()> {
        let checked = async {
            self.0.node.manifests().expect(self.number_on_record().await?);
            self.read_manifest(self.0.root).await?;
            self.reload_ring().await?;
            for kind in [Kind::Namespace, Kind::KeySlot] {
                self.within(self.0.root).compare_all(kind).await?;
            }
            Ok(())
        };
        match checked.await {
            Err(Error {
                code: Code::IntegrityFailed,
                detail,
                ..
            }) => {
                self.0.node.manifests().put_back(detail);
                Ok(())
            }
            Err(error) if error.code == Code::GrantsPutBack => Ok(()),
            done => done,
        }
    }

    /// The manifest's number as the log's newest entry of a grant has it; 0: there is none any more.
    async fn number_on_record(&self) -> Result<i64> {
        let actions: Vec<i16> = Action::ALL
            .iter()
            .filter(|action| action.is_of_grants())
            .map(|action| action.number())
            .collect();
        let now = self.0.clock.now();
        for back in BACK {
            let found = self.0.store.newest_granted(now, &actions, now - back, NEWEST).await;
            let found = found.map_err(store_failed)?.value;
            if let Some(newest) = found.iter().max_by_key(|stored| stored.entry.version) {
                self.prove(newest, now).await?;
                return Ok(newest.entry.version.unwrap_or_default());
            }
        }
        Ok(0)
    }

    /// Whether the entry is one of ours.
    async fn prove(&self, stored: &StoredEntry, now: Time) -> Result<()> {
        let broken = || Error::integrity("The log's newest entry of a grant fails its check.");
        let before = BatchId(stored.batch.0 - 1);
        let found = self.0.store.batches(now, before, 1).await.map_err(store_failed)?.value;
        let batch = found.into_iter().find(|batch| batch.id == stored.batch);
        let batch = batch.ok_or_else(broken)?;
        let entries = self
            .0
            .store
            .batch_entries(now, &batch)
            .await
            .map_err(store_failed)?
            .value;
        let leaves = entries.iter().map(|stored| merkle::leaf(&stored.entry.canonical()));
        let whole = merkle::root(&leaves.collect::<Vec<_>>()) == batch.root;
        let ours = self.0.ring.keys.load().check_batch(&batch).is_ok();
        if whole && ours && entries.contains(stored) {
            Ok(())
        } else {
            Err(broken())
        }
    }

    /// Looks at the top of the manifest: whether it was put back, or what was put back is accepted meanwhile.
    pub(crate) async fn look_again(&self) -> Result<()> {
        let known = self.0.node.manifests();
        let seen = known.seen();
        let found = self.stored_top().await?;
        match &found.value {
            Some(top) if known.goes_on_with(top) => self.0.node.start_anew(found.revision),
            Some(top) => known.see(&seen, top)?,
            None => return Err(known.no_manifest()),
        }
        known.standing()
    }

    /// Compares every row that grants something with its manifest, and leaves the manifest's number on record.
    pub(crate) async fn check_manifests(&self) -> Result<()> {
        let request = Request::of_job(JOB, self.request_id());
        self.serve(&request, Action::ManifestCheck, "", |_| async move {
            let root = self.read_manifest(self.0.root).await?;
            self.reload_ring().await?;
            for namespace in self.every_namespace().await? {
                for kind in Kind::ALL.iter().filter(|kind| lists(**kind) && **kind != Kind::KeyRing) {
                    self.within(namespace).compare_all(*kind).await?;
                }
            }
            Ok(Served {
                version: Some(root.number()),
                ..Served::resting_on(vec![self.manifest_key()], ())
            })
        })
        .await
    }

    /// Compares every row of a kind, in this namespace.
    pub(crate) async fn compare_all(&self, kind: Kind) -> Result<()> {
        let mut after = String::new();
        loop {
            let from = after.as_str();
            let list = || async move {
                let now = self.0.clock.now();
                self.ask(self.0.store.list(now, self.namespace(), kind, "", from, PAGE))
                    .await
            };
            let full = |count: usize| count == usize::from(PAGE);
            let found = self
                .read_rows::<IgnoredAny, _>(
                    kind,
                    list,
                    |row| row.kind == kind,
                    |manifest, found: &[Record]| manifest.judge_page(kind, from, full(found.len()), found),
                )
                .await?;
            match found.value.last {
                Some(last) if full(found.value.count) => after = last,
                _ => return Ok(()),
            }
        }
    }
}
