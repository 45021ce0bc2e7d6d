//! A change of rows that a manifest lists is a change of the manifest, in the same transaction. This is the one place
//! which sees to that: no verb can forget it.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_domain::audit::Action;
use strongroom_domain::manifest::{Listed, TOP, key, lists, must_be_listed, slot, slot_of_top};
use strongroom_domain::row::RowKey;
use strongroom_domain::{Kind, NamespaceId, Record, Result, Revision, Row, Touch, Write};

use super::{Manifest, Scribe, Slots};
use crate::Broker;
use crate::cache::Fresh;
use crate::locks::Held as Turn;
use crate::rows::touch;

/// What a change of grants writes besides.
pub(crate) struct Vouched {
    pub(crate) writes: Vec<Write>,
    pub(crate) touches: Vec<Touch>,
    /// The manifests as they are then.
    pub(crate) fresh: Vec<Fresh>,
    /// Of the manifest of `root`.
    pub(crate) number: i64,
    /// As of when the manifest it goes on from is the newest, as far as this node knows.
    pub(crate) at: Revision,
    /// The next writer of this node may go on once it is let go.
    _turn: Turn,
}

/// Whether a manifest may list the row. What is removed is known by its id alone.
fn may_be_listed(write: &Write) -> bool {
    match write {
        Write::Insert(Row::Record(row)) | Write::Replace(_, Row::Record(row)) => lists(row.kind) && must_be_listed(row),
        Write::Remove(RowKey::Record(_, kind, _), _) => lists(*kind) || *kind == Kind::Manifest,
        _ => false,
    }
}

fn is_of_manifest(write: &Write) -> bool {
    matches!(write.key(), RowKey::Record(_, Kind::Manifest, _))
}

impl Broker {
    /// What must go along with these writes; `None` where nothing that grants is among them, or they have a manifest.
    pub(crate) async fn vouch(&self, writes: &[Write], action: Action) -> Result<Option<Vouched>> {
        let made = |write: &Write| !matches!(write, Write::Remove(..)) && is_of_manifest(write);
        if writes.iter().any(made) {
            return Ok(None);
        }
        let mut of: BTreeMap<NamespaceId, Vec<&Write>> = BTreeMap::new();
        for write in writes.iter().filter(|write| may_be_listed(write)) {
            let (RowKey::Record(namespace, ..) | RowKey::Version(namespace, ..)) = write.key();
            of.entry(namespace).or_default().push(write);
        }
        if of.is_empty() {
            return Ok(None);
        }
        let root = self.0.root;
        // All changes of grants write the top of `root`: this node's take turns rather than conflict.
        let turn = self.0.locks.hold(vec![key(root, TOP)]).await;
        let at = self.0.node.revision();
        let keys = self.0.ring.keys.load_full();
        let scribe = Scribe {
            keys: &keys,
            entropy: &*self.0.entropy,
        };
        let of_root = of.remove(&root).unwrap_or_default();
        let (mut all, mut tops) = (Vec::new(), Slots::new());
        for (namespace, writes) in of {
            // What is left of a namespace that is deleted goes last.
            if writes.iter().any(|write| is_of_manifest(write)) {
                tops.push((slot_of_top(namespace), None));
                continue;
            }
            let manifest = self.manifest(namespace).await?;
            let slots = manifest.slots_in(&writes);
            if !slots.is_empty() {
                let next = manifest.next(slots, manifest.number() + 1, None, &scribe)?;
                tops.extend(
                    next.0
                        .top
                        .as_ref()
                        .map(|top| (slot_of_top(namespace), Some(Listed::of(top)))),
                );
                all.push(next);
            }
        }
        let manifest = self.manifest(root).await?;
        let mut slots = manifest.slots_in(&of_root);
        slots.extend(tops);
        if slots.is_empty() {
            return Ok(None);
        }
        let number = manifest.number() + 1;
        all.push(manifest.next(slots, number, None, &scribe)?);
        let mut vouched = Vouched {
            writes: Vec::new(),
            touches: Vec::new(),
            fresh: Vec::new(),
            number,
            at,
            _turn: turn,
        };
        for (manifest, writes) in all {
            let version = (manifest.namespace == root).then_some(number);
            vouched
                .touches
                .push(touch(key(manifest.namespace, TOP), action, version));
            vouched.writes.extend(writes);
            vouched.fresh.push(Fresh::Manifest(Arc::new(manifest)));
        }
        Ok(Some(vouched))
    }
}

impl Manifest {
    /// What these writes make of its slots.
    fn slots_in(&self, writes: &[&Write]) -> Slots {
        let slot_of = |row: &Record| slot(row.kind, &row.name);
        let each = writes.iter().filter_map(|write| match write {
            Write::Insert(Row::Record(row)) | Write::Replace(_, Row::Record(row)) => {
                Some((slot_of(row), Some(Listed::of(row))))
            }
            Write::Remove(RowKey::Record(_, kind, id), _) => Some((self.called(*kind, *id)?.to_owned(), None)),
            _ => None,
        });
        each.collect()
    }
}
