//! A store's rows in parts: out of one snapshot, and into an empty store of any kind. Change rows are left behind: who
//! follows them begins anew.

use std::mem;

use futures_util::{Stream, StreamExt as _};
use strongroom_domain::audit::{Batch, Class, StoredEntry};
use strongroom_domain::{Kind, NamespaceId, ObjectId, Record, Revision, Time, Version};

use crate::{BootRow, Fut, StoreError};

/// Kinds of the records that open all others.
pub const KEY_KINDS: [Kind; 2] = [Kind::KeySlot, Kind::KeyRing];
/// A part is full once its rows weigh this much: it is larger by one row at most.
pub const PART_BYTES: usize = 256 * 1024;

/// When a secret was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    pub namespace: NamespaceId,
    pub secret: ObjectId,
    pub at: Time,
}

/// What a dump is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest there was.
    pub revision: Revision,
    /// The store's time.
    pub at: Time,
    /// Rows are written as this level of program reads them: none that is older may run where they stand.
    pub oldest_program: i64,
}

/// Rows of one kind, each of them in one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What opens everything else. The first part of a dump, and the last of a fill: a store without key slots is no
    /// installation.
    Keys {
        records: Vec<Record>,
        snapshot: Snapshot,
    },
    Records(Vec<Record>),
    Versions(Vec<Version>),
    Uses(Vec<Use>),
    Boots(Vec<BootRow>),
    Batches(Vec<Batch>),
    Entries(Class, Vec<StoredEntry>),
}

/// Where a dump goes.
pub trait Dump: Send {
    /// An error ends the dump.
    fn take(&mut self, part: Part) -> Fut<'_, ()>;
}

/// About how many bytes a row takes.
pub trait Weigh {
    fn weight(&self) -> usize;
}

impl Weigh for Record {
    fn weight(&self) -> usize {
        self.name.len() + self.body.len() + 128
    }
}

impl Weigh for Version {
    fn weight(&self) -> usize {
        self.sealed.len() + 192
    }
}

impl Weigh for Use {
    fn weight(&self) -> usize {
        40
    }
}

impl Weigh for BootRow {
    fn weight(&self) -> usize {
        self.node.len() + 64
    }
}

impl Weigh for Batch {
    fn weight(&self) -> usize {
        160
    }
}

impl Weigh for StoredEntry {
    fn weight(&self) -> usize {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        self.entry.path.len() + text(&self.accessor) + text(&self.source) + 256
    }
}

/// Collects rows into parts, and hands on each as it is full.
pub async fn pour<T: Weigh + Send>(
    mut rows: impl Stream<Item = Result<T, StoreError>> + Send + Unpin,
    part: impl Fn(Vec<T>) -> Part + Send,
    out: &mut dyn Dump,
) -> Result<(), StoreError> {
    let (mut full, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().await {
        let row = row?;
        bytes += row.weight();
        full.push(row);
        if bytes >= PART_BYTES {
            bytes = 0;
            out.take(part(mem::take(&mut full))).await?;
        }
    }
    if full.is_empty() {
        Ok(())
    } else {
        out.take(part(full)).await
    }
}
