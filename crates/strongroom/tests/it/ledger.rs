//! An auditor with the root key: proves the whole log from what is stored, by the library alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use strongroom_crypto::{Keys, RootKey, Unlock};
use strongroom_domain::audit::{Batch, BatchId, StoredEntry, merkle};
use strongroom_domain::canon::Canon;
use strongroom_domain::{Digest, Kind, Time};
use strongroom_ports::{At, AuditFilter, Store as Rows, StoreError};
use strongroom_store_postgres::PostgresStore;
use strongroom_store_sqlite::SqliteStore;

use crate::harness::Store;
use crate::sql::Sql;

const NOW: Time = Time(1);

/// What a whole log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) batches: usize,
    pub(crate) void: usize,
    pub(crate) entries: usize,
    pub(crate) boots: usize,
}

pub(crate) struct Ledger {
    rows: Arc<dyn Rows>,
    keys: Keys,
    boots: Vec<Vec<String>>,
}

fn told(error: &StoreError) -> String {
    format!("the store says: {error:?}")
}

impl Ledger {
    /// The server must be stopped where the store is SQLite. `url`: PostgreSQL's own, where there is a proxy.
    pub(crate) async fn open(store: &Store, url: Option<&str>) -> Self {
        let rows: Arc<dyn Rows> = match url.or(store.url.as_deref()) {
            Some(url) => Arc::new(PostgresStore::connect(url).await.unwrap()),
            None => Arc::new(SqliteStore::open(&store.data_dir()).await.unwrap()),
        };
        let root = RootKey::parse(&std::fs::read_to_string(store.root_key_file()).unwrap()).unwrap();
        let root = Unlock::RootKey(root);
        let slot = rows.of_kind(NOW, Kind::KeySlot).await.unwrap().value.remove(0);
        let ring = rows.of_kind(NOW, Kind::KeyRing).await.unwrap().value.remove(0);
        let body = serde_json::from_slice(&slot.body).unwrap();
        let keys = Keys::open(&root, &body, slot.id, &ring, 1).unwrap();
        let mac = if url.or(store.url.as_deref()).is_some() {
            "encode(mac, 'hex')"
        } else {
            "lower(hex(mac))"
        };
        let boots = format!("SELECT CAST(boot AS TEXT), node, CAST(started_at AS TEXT), {mac} FROM boot ORDER BY boot");
        let boots = Sql::of(store, url).ask(&boots).await;
        Self { rows, keys, boots }
    }

    /// Every MAC, chain, number, count and root; no entry without a batch, no batch without a boot.
    pub(crate) async fn verify(&self) -> Result<Figures, String> {
        let mut figures = Figures {
            boots: self.boots.len(),
            ..Figures::default()
        };
        let boots = self.verify_boots()?;
        let mut ends: HashMap<(i64, i64), (i64, Digest)> = HashMap::new();
        let mut after = BatchId(i64::MIN);
        loop {
            let batches = self
                .rows
                .batches(NOW, after, 1000)
                .await
                .map_err(|error| told(&error))?
                .value;
            let Some(last) = batches.last() else { break };
            after = last.id;
            for batch in &batches {
                if batch.id.boot() != 0 && !boots.contains(&batch.id.boot()) {
                    return Err(format!("batch {} is of no boot", batch.id));
                }
                let lane = batch.id.lane().ok_or("a batch of no lane")?;
                let (number, previous) = ends
                    .get(&(batch.id.boot(), lane as i64))
                    .copied()
                    .unwrap_or((0, Digest::ZERO));
                if (batch.id.number(), batch.previous) != (number + 1, previous) {
                    return Err(format!("batch {} does not follow number {number}", batch.id));
                }
                if batch.class != lane.class() {
                    return Err(format!("batch {} is of another class than its lane", batch.id));
                }
                self.verify_batch(batch).await?;
                ends.insert((batch.id.boot(), lane as i64), (batch.id.number(), batch.mac));
                figures.batches += 1;
                figures.void += usize::from(batch.count == 0);
                figures.entries += usize::try_from(batch.count).unwrap();
            }
        }
        let there = self.entries().await?;
        if there != figures.entries {
            return Err(format!(
                "{there} entries lie in the tables, and {} in batches",
                figures.entries
            ));
        }
        Ok(figures)
    }

    fn verify_boots(&self) -> Result<HashSet<i64>, String> {
        let mut known = HashSet::new();
        for (at, row) in self.boots.iter().enumerate() {
            let (boot, started): (i64, i64) = (row[0].parse().unwrap(), row[2].parse().unwrap());
            let canonical = Canon::new("strongroom boot")
                .int(boot)
                .text(&row[1])
                .int(started)
                .done();
            if self.keys.mac_boot(&canonical).unwrap().to_string() != row[3] {
                return Err(format!("boot {boot}: its MAC does not hold"));
            }
            if boot != i64::try_from(at).unwrap() + 1 {
                return Err(format!("boot {} is gone", at + 1));
            }
            known.insert(boot);
        }
        Ok(known)
    }

    async fn verify_batch(&self, batch: &Batch) -> Result<(), String> {
        self.keys
            .check_batch(batch)
            .map_err(|error| format!("batch {}: {error}", batch.id))?;
        let entries = self
            .rows
            .batch_entries(NOW, batch)
            .await
            .map_err(|error| told(&error))?
            .value;
        if i64::try_from(entries.len()).unwrap() != batch.count {
            return Err(format!(
                "batch {} has {} entries of {}",
                batch.id,
                entries.len(),
                batch.count
            ));
        }
        let in_place = |(at, entry): (usize, &StoredEntry)| usize::try_from(entry.place) == Ok(at);
        if !entries.iter().enumerate().all(in_place) {
            return Err(format!("batch {}: places have a gap", batch.id));
        }
        let leaves: Vec<_> = entries
            .iter()
            .map(|stored| merkle::leaf(&stored.entry.canonical()))
            .collect();
        if merkle::root(&leaves) != batch.root {
            return Err(format!("batch {}: the entries are not those of its root", batch.id));
        }
        Ok(())
    }

    async fn entries(&self) -> Result<usize, String> {
        let mut filter = AuditFilter {
            limit: 1000,
            ..AuditFilter::default()
        };
        let mut there = 0;
        loop {
            let At { value, .. } = self.rows.entries(NOW, &filter).await.map_err(|error| told(&error))?;
            there += value.len();
            let Some(last) = value.last() else { return Ok(there) };
            filter.before = Some((last.entry.at, last.batch, last.place));
        }
    }
}
