//! Which rows that grant something were written last, as a node holds it: read with everything it rests on checked, and
//! written anew by each change of such a row. What it is made of stands in [`strongroom_domain::manifest`].

mod check;
mod known;
mod load;
#[cfg(test)]
mod tests;
mod vouch;

pub(crate) use check::JOB;
pub(crate) use known::Known;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use strongroom_crypto::Keys;
use strongroom_domain::manifest::{
    Bucket, Listed, TOP, Top, Unlike, bucket_of, compare, key, must_be_listed, slot, token_is_void,
};
use strongroom_domain::row::Key;
use strongroom_domain::{Digest, Error, Kind, NamespaceId, ObjectId, Record, Result, Row, RowRev, Time, Write};
use strongroom_ports::Entropy;

/// A namespace's manifest, every bucket of it.
#[derive(Clone)]
pub(crate) struct Manifest {
    pub(crate) namespace: NamespaceId,
    /// Without its body. None: nothing is listed yet.
    pub(crate) top: Option<Record>,
    tokens_since: Option<Time>,
    buckets: BTreeMap<String, Arc<Held>>,
}

struct Held {
    id: ObjectId,
    rev: RowRev,
    digest: Digest,
    listed: Bucket,
    /// For who knows a row by its id alone.
    slots: HashMap<ObjectId, String>,
}

impl Held {
    fn new(record: &Record, listed: Bucket) -> Self {
        Self {
            id: record.id,
            rev: record.rev,
            digest: record.digest(),
            slots: listed.iter().map(|(slot, row)| (row.id, slot.clone())).collect(),
            listed,
        }
    }
}

/// What a row that is not the one to be expected is told as.
pub(crate) fn unlike(kind: Kind, unlike: Unlike) -> Error {
    Error::integrity(format!("A stored row of kind '{}' {}.", kind.name(), unlike.text()))
}

/// Slots, and what is to stand in them; none: nothing.
pub(crate) type Slots = Vec<(String, Option<Listed>)>;

/// Those of the rows that are to be listed.
pub(crate) fn listed<'r>(rows: impl IntoIterator<Item = &'r Record>) -> Slots {
    let rows = rows.into_iter().filter(|row| must_be_listed(row));
    rows.map(|row| (slot(row.kind, &row.name), Some(Listed::of(row))))
        .collect()
}

/// What makes a manifest's own rows.
pub(crate) struct Scribe<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) entropy: &'a dyn Entropy,
}

impl Scribe<'_> {
    /// The record that follows `old`, and how it is written.
    fn write(
        &self,
        key: Key,
        old: Option<(ObjectId, RowRev)>,
        rev: RowRev,
        body: &impl serde::Serialize,
    ) -> Result<(Record, Write)> {
        let id = old.map_or_else(|| ObjectId(self.entropy.bytes()), |(id, _)| id);
        let record = Record {
            rev,
            body: serde_json::to_vec(body).map_err(Error::internal)?,
            ..Record::blank(key, id)
        };
        let record = self.keys.mac_record(record).map_err(Error::internal)?;
        let row = Row::Record(record.clone());
        Ok((
            record,
            old.map_or(Write::Insert(row.clone()), |(_, rev)| Write::Replace(rev, row)),
        ))
    }
}

impl Manifest {
    pub(crate) fn empty(namespace: NamespaceId) -> Self {
        Self {
            namespace,
            top: None,
            tokens_since: None,
            buckets: BTreeMap::new(),
        }
    }

    /// Of its top and these of its buckets. `None`: they are not those that the top names.
    fn assembled(top: Record, body: &Top, buckets: BTreeMap<String, Arc<Held>>) -> Option<Self> {
        let manifest = Self {
            namespace: top.namespace,
            tokens_since: body.tokens_since,
            top: Some(without_body(top)),
            buckets,
        };
        (manifest.digests() == body.buckets).then_some(manifest)
    }

    /// Of all its rows, where these hold.
    pub(crate) fn of_rows(rows: &[Record], keys: &Keys) -> Option<Self> {
        let top = rows.iter().find(|row| row.name == TOP)?;
        keys.check_record(top).ok()?;
        let buckets = rows.iter().filter(|row| row.name != TOP).map(|row| {
            let bucket = serde_json::from_slice(&row.body).ok()?;
            Some((row.name.clone(), Arc::new(Held::new(row, bucket))))
        });
        Self::assembled(
            top.clone(),
            &serde_json::from_slice(&top.body).ok()?,
            buckets.collect::<Option<_>>()?,
        )
    }

    pub(crate) fn number(&self) -> i64 {
        self.top.as_ref().map_or(0, |top| top.rev.0)
    }

    fn is(&self, other: &Self) -> bool {
        let mac = |of: &Self| of.top.as_ref().map(|top| top.mac.clone());
        mac(self) == mac(other)
    }

    fn find(&self, slot: &str) -> Option<&Listed> {
        self.buckets.get(&bucket_of(slot))?.listed.get(slot)
    }

    /// What a row is called of which nothing but its id is known.
    fn called(&self, kind: Kind, id: ObjectId) -> Option<&str> {
        let all = self.buckets.values().filter_map(|bucket| bucket.slots.get(&id));
        all.map(String::as_str).find(|found| is_of(found, kind))
    }

    /// Slots of a kind, in the order of the rows' names.
    pub(crate) fn slots_of(&self, kind: Kind) -> BTreeSet<&str> {
        let all = self.buckets.values().flat_map(|bucket| bucket.listed.keys());
        all.map(String::as_str).filter(|slot| is_of(slot, kind)).collect()
    }

    /// Whether rows that were asked for by name are as they should be, those that are absent too.
    pub(crate) fn judge(&self, keys: &[Key], found: &[Record]) -> Result<()> {
        keys.iter().try_for_each(|key| {
            let row = found.iter().find(|row| row.kind == key.kind && row.name == key.name);
            self.judge_row(key.kind, &key.name, row)
        })
    }

    fn judge_row(&self, kind: Kind, name: &str, row: Option<&Record>) -> Result<()> {
        compare(self.find(&slot(kind, name)), row).map_err(|how| unlike(kind, how))
    }

    /// The same for one that was asked for by its id.
    pub(crate) fn judge_id(&self, kind: Kind, id: ObjectId, found: Option<&Record>) -> Result<()> {
        match (found, self.called(kind, id)) {
            (Some(row), _) => self.judge_row(kind, &row.name, found),
            (None, Some(_)) => Err(unlike(kind, Unlike::Gone)),
            (None, None) => Ok(()),
        }
    }

    /// The same for all rows of a kind behind a name, or where they go on, up to the last of them.
    pub(crate) fn judge_page(&self, kind: Kind, after: &str, goes_on: bool, found: &[Record]) -> Result<()> {
        for row in found {
            self.judge_row(kind, &row.name, Some(row))?;
        }
        let names: BTreeSet<String> = found.iter().map(|row| slot(kind, &row.name)).collect();
        let after = slot(kind, after);
        let last = names.last().filter(|_| goes_on);
        let expected = self.slots_of(kind);
        let mut here = expected
            .iter()
            .filter(|slot| **slot > after.as_str() && last.is_none_or(|last| **slot <= last.as_str()));
        if here.any(|slot| !names.contains(*slot)) {
            return Err(unlike(kind, Unlike::Gone));
        }
        Ok(())
    }

    /// What is the matter with rows that are all there are, each told by its kind and id.
    pub(crate) fn differences(&self, rows: Slots) -> Vec<String> {
        let rows: BTreeMap<String, Listed> = rows.into_iter().filter_map(|(slot, row)| Some((slot, row?))).collect();
        let here = self.buckets.values().flat_map(|bucket| &bucket.listed);
        let here: BTreeMap<&String, &Listed> = here.collect();
        let all: BTreeSet<&String> = rows.keys().chain(here.keys().copied()).collect();
        let each = all.into_iter().filter_map(|slot| {
            let (listed, row) = (here.get(slot).copied(), rows.get(slot));
            let how = match (listed, row) {
                (Some(listed), Some(row)) if listed == row => return None,
                (Some(_), Some(_)) => Unlike::Another,
                (Some(_), None) => Unlike::Gone,
                (None, _) => Unlike::PutBack,
            };
            let kind = slot.split('/').next().unwrap_or_default();
            let id = row.or(listed).map_or_else(String::new, |row| row.id.to_string());
            Some(format!("The {kind} {id} {}.", how.text()))
        });
        each.collect()
    }

    /// Whether this is an opaque token that a restore has voided.
    pub(crate) fn voids(&self, row: &Record) -> bool {
        self.tokens_since.is_some_and(|since| token_is_void(row, since))
    }

    /// The manifest that follows, and the rows to write for it.
    pub(crate) fn next(
        &self,
        changes: Slots,
        number: i64,
        tokens_since: Option<Time>,
        scribe: &Scribe<'_>,
    ) -> Result<(Self, Vec<Write>)> {
        let mut changed: BTreeMap<String, Bucket> = BTreeMap::new();
        for (slot, listed) in changes {
            let name = bucket_of(&slot);
            let bucket = changed.entry(name).or_insert_with_key(|name| {
                self.buckets
                    .get(name)
                    .map(|held| held.listed.clone())
                    .unwrap_or_default()
            });
            match listed {
                Some(listed) => bucket.insert(slot, listed),
                None => bucket.remove(&slot),
            };
        }
        let mut next = Self {
            tokens_since: tokens_since.or(self.tokens_since),
            ..self.clone()
        };
        let mut writes = Vec::with_capacity(changed.len() + 1);
        for (name, bucket) in changed {
            let old = self.buckets.get(&name).map(|held| (held.id, held.rev));
            let rev = old.map_or(RowRev::FIRST, |(_, rev)| rev.next());
            let (record, write) = scribe.write(key(self.namespace, &name), old, rev, &bucket)?;
            next.buckets.insert(name, Arc::new(Held::new(&record, bucket)));
            writes.push(write);
        }
        let top = Top {
            buckets: next.digests(),
            tokens_since: next.tokens_since,
        };
        let old = self.top.as_ref().map(|top| (top.id, top.rev));
        let (record, write) = scribe.write(key(self.namespace, TOP), old, RowRev(number), &top)?;
        next.top = Some(without_body(record));
        writes.push(write);
        Ok((next, writes))
    }

    fn digests(&self) -> BTreeMap<String, Digest> {
        let of = |(name, held): (&String, &Arc<Held>)| (name.clone(), held.digest);
        self.buckets.iter().map(of).collect()
    }
}

fn is_of(slot: &str, kind: Kind) -> bool {
    slot.strip_prefix(kind.name()).is_some_and(|rest| rest.starts_with('/'))
}

fn without_body(record: Record) -> Record {
    Record {
        body: Vec::new(),
        ..record
    }
}
