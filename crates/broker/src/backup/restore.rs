//! Filling an empty store from a backup. Tokens that were issued before it do not come back, and neither does the key
//! that signed them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use strongroom_crypto::{Keys, SlotPlace, Unlock};
use strongroom_domain::audit::{Action, Dialect, Entry, Lane, OutcomeKind};
use strongroom_domain::ids::RequestId;
use strongroom_domain::manifest::{key, number_ahead};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Digest, Error, Kind, ObjectId, Record, Result, Revision, Row, Time, Write};
use strongroom_ports::{Clock, Entropy, Part, Snapshot, Store, StoreError};

use super::{BackupFile, Counts};
use crate::authenticate::job_principal;
use crate::chain::Chain;
use crate::hold::hold_row;
use crate::keys::ring_after;
use crate::lanes::Noted;
use crate::manifest::{Manifest, Scribe, Slots, listed};
use crate::open::{boot_row, is_boot_row};
use crate::rows::store_failed;

/// A restored installation goes on far above where the lost one can have come to: no revision and no start of a node has
/// the number of one that somebody may still remember.
const REVISIONS_AHEAD: i64 = 1 << 32;
const BOOTS_AHEAD: i64 = 1 << 12;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    pub counts: Counts,
    /// Of the backup.
    pub revision: Revision,
    pub at: Time,
    /// Tokens that were left out.
    pub tokens: u64,
    /// Whether its slots were replaced, so that it opens by the given key alone from now on.
    pub rekeyed: bool,
}

pub(super) fn fill_failed(error: StoreError) -> Error {
    match error {
        StoreError::NotEmpty => Error::from(Code::StoreNotEmpty),
        StoreError::NotFilling => Error::new(Code::Conflict, "Another restore into this store has begun."),
        other => store_failed(other),
    }
}

/// Puts all parts but the keys into an empty store. `each` sees each part before, and may take rows out.
pub(super) async fn fill(
    store: &dyn Store,
    now: Time,
    fill: ObjectId,
    file: &mut BackupFile,
    keys: &Keys,
    mut each: impl FnMut(&mut Part),
) -> Result<()> {
    store.begin_fill(now, fill).await.map_err(fill_failed)?;
    let mut parts = file.parts(keys);
    while let Some(mut part) = parts.next().await? {
        each(&mut part);
        store.fill(now, fill, part).await.map_err(fill_failed)?;
    }
    Ok(())
}

/// Fills an empty store from a backup that `unlocked` opens. It opens by `unlock` from then on: if this opens none of the
/// backup's slots, they are replaced by one that it opens.
pub async fn restore(
    store: &Arc<dyn Store>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    mut file: BackupFile,
    unlocked: &Keys,
    unlock: &Unlock,
) -> Result<Restored> {
    let rekeyed = file.header.unlock(unlock, store.schema().writes())?.is_none();
    let mut restored = Restored {
        counts: Counts::default(),
        revision: file.header.revision,
        at: file.header.created_at,
        tokens: 0,
        rekeyed,
    };
    // The store's own time, and none below the backup's.
    let asked = store.last_boot(clock.now()).await.map_err(store_failed)?;
    let now = asked.db_now.max(file.header.created_at);
    let (id, mut boot) = (ObjectId(entropy.bytes()), 0);
    let root = file.header.namespace;
    let mut manifest = Vec::new();
    fill(&**store, now, id, &mut file, unlocked, |part| {
        match part {
            Part::Records(rows) => {
                let of_root = |row: &Record| row.key() == key(root, row.name.as_str());
                manifest.extend(rows.extract_if(.., |row| of_root(row)));
                // It gets one of its own.
                rows.retain(|row| row.kind != Kind::Hold);
                let before = rows.len();
                rows.retain(|row| row.kind != Kind::Token);
                restored.tokens += (before - rows.len()) as u64;
            }
            // One that is forged must not say where the new installation goes on.
            Part::Boots(rows) => {
                rows.retain(|row| is_boot_row(unlocked, row));
                boot = rows.iter().map(|row| row.boot).fold(boot, i64::max);
            }
            _ => {}
        }
        restored.counts.add(part);
    })
    .await?;
    let records = new_keys(&file, unlocked, entropy, rekeyed.then_some(unlock), now)?;
    let (mut manifest, number) = new_manifest(manifest, &records, unlocked, entropy)?;
    manifest.push(hold_row(unlocked, root, ObjectId(entropy.bytes()), now)?);
    restored.counts.records += manifest.len() as u64;
    store
        .fill(now, id, Part::Records(manifest))
        .await
        .map_err(fill_failed)?;
    for part in entry(&file, unlocked, entropy, boot + BOOTS_AHEAD, number, now)? {
        store.fill(now, id, part).await.map_err(fill_failed)?;
    }
    let snapshot = Snapshot {
        revision: Revision(restored.revision.0.saturating_add(REVISIONS_AHEAD)),
        at: now,
        ..file.header.snapshot()
    };
    // From here on the store is an installation.
    let last = Part::Keys { records, snapshot };
    store.fill(now, id, last).await.map_err(fill_failed)?;
    Ok(restored)
}

/// The restore's own entry, as of a start of its own.
fn entry(
    file: &BackupFile,
    keys: &Keys,
    entropy: &dyn Entropy,
    boot: i64,
    number: Option<i64>,
    now: Time,
) -> Result<[Part; 3]> {
    let entry = Entry {
        at: now,
        request: RequestId(entropy.bytes()),
        dialect: Dialect::Internal,
        action: Action::RestoreBackup,
        outcome: OutcomeKind::Granted,
        reason: 0,
        principal: Some(job_principal("operator")?),
        who: Digest::ZERO,
        namespace: file.header.namespace,
        path: file.header.id.to_string(),
        version: number,
        digest: Some(file.digest),
        count: 1,
    };
    let note = Noted {
        entry,
        accessor: None,
        source: "".into(),
    };
    let (sealed, _) = Chain::new(boot, Lane::Changes).seal(keys, now, [note])?;
    Ok([
        Part::Boots(vec![boot_row(keys, boot, "restore", now)?]),
        Part::Entries(sealed.batch.class, sealed.entries),
        Part::Batches(vec![sealed.batch]),
    ])
}

/// The rows of a manifest that goes on from the backup's, with these keys in the place of its own; and its number. One
/// that was altered or is not there comes as it is: nothing is served before that is accepted.
fn new_manifest(
    rows: Vec<Record>,
    records: &[Record],
    keys: &Keys,
    entropy: &dyn Entropy,
) -> Result<(Vec<Record>, Option<i64>)> {
    let Some(old) = Manifest::of_rows(&rows, keys) else {
        return Ok((rows, None));
    };
    let number = number_ahead(old.number()).ok_or_else(|| Error::internal("the manifest's number"))?;
    let gone = [Kind::KeySlot, Kind::KeyRing, Kind::Token].map(|kind| old.slots_of(kind));
    let mut slots: Slots = gone.iter().flatten().map(|slot| ((*slot).to_owned(), None)).collect();
    slots.extend(listed(records));
    let (_, writes) = old.next(slots, number, None, &Scribe { keys, entropy })?;
    let written = writes.into_iter().filter_map(|write| match write {
        Write::Insert(Row::Record(row)) | Write::Replace(_, Row::Record(row)) => Some(row),
        _ => None,
    });
    let all = rows.into_iter().chain(written).map(|row| (row.name.clone(), row));
    let all: BTreeMap<String, Record> = all.collect();
    Ok((all.into_values().collect(), Some(number)))
}

/// Ring and slots of the restored installation.
fn new_keys(
    file: &BackupFile,
    unlocked: &Keys,
    entropy: &dyn Entropy,
    other: Option<&Unlock>,
    now: Time,
) -> Result<Vec<Record>> {
    let (mut slots, old) = (file.header.slots()?, file.header.ring()?);
    let random = || entropy.bytes();
    let mut keys = unlocked.with_new_token_signing(now, &random).map_err(Error::internal)?;
    if let Some(unlock) = other {
        keys = keys.under_new_ring_key(&random).map_err(Error::internal)?;
        let place = SlotPlace {
            namespace: old.namespace,
            row: ObjectId(entropy.bytes()),
        };
        let body = keys.wrap(unlock, place, now, &random);
        let slot = Record {
            body: serde_json::to_vec(&body.map_err(Error::internal)?).map_err(Error::internal)?,
            ..Record::blank(
                Key::new(old.namespace, Kind::KeySlot, unlock.method().name()),
                place.row,
            )
        };
        slots = vec![keys.mac_record(slot).map_err(Error::internal)?];
    }
    slots.push(ring_after(&old, &keys, entropy.bytes())?);
    Ok(slots)
}
