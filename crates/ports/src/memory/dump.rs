//! All of the state as parts, and back.

use futures_util::{Stream, stream};
use strongroom_domain::audit::{Class, StoredEntry};
use strongroom_domain::{ObjectId, Record, Row, Schema, Time, Version};

use super::state::State;
use crate::{Dump, KEY_KINDS, Part, Snapshot, StoreError, Use, pour};

fn each<T>(rows: Vec<T>) -> impl Stream<Item = Result<T, StoreError>> + Unpin {
    stream::iter(rows.into_iter().map(Ok))
}

impl State {
    pub(super) async fn dump(&self, now: Time, out: &mut dyn Dump) -> Result<(), StoreError> {
        let (keys, others): (Vec<Record>, Vec<Record>) = self
            .records()
            .cloned()
            .partition(|record| KEY_KINDS.contains(&record.kind));
        let uses = self.uses.iter().map(|((namespace, secret), at)| Use {
            namespace: *namespace,
            secret: *secret,
            at: *at,
        });
        out.take(Part::Keys {
            records: keys,
            snapshot: Snapshot {
                revision: self.top,
                at: now,
                oldest_program: Schema::OWN.oldest_program,
            },
        })
        .await?;
        pour(each(others), Part::Records, out).await?;
        pour(each(self.versions()), Part::Versions, out).await?;
        pour(each(uses.collect()), Part::Uses, out).await?;
        pour(each(self.boots.values().cloned().collect()), Part::Boots, out).await?;
        pour(each(self.batches.values().cloned().collect()), Part::Batches, out).await?;
        for class in Class::ALL {
            pour(each(self.entries_of(class)), |rows| Part::Entries(class, rows), out).await?;
        }
        Ok(())
    }

    fn versions(&self) -> Vec<Version> {
        let version = |row: &Row| match row {
            Row::Version(version) => Some(version.clone()),
            Row::Record(_) => None,
        };
        self.rows.values().filter_map(version).collect()
    }

    fn entries_of(&self, class: Class) -> Vec<StoredEntry> {
        let of_class = |stored: &&StoredEntry| {
            self.batches
                .get(&stored.batch)
                .is_some_and(|batch| batch.class == class)
        };
        self.entries.iter().filter(of_class).cloned().collect()
    }

    pub(super) fn begin_fill(&mut self, fill: ObjectId) -> Result<(), StoreError> {
        if !self.rows.is_empty() && self.filling.is_none() {
            return Err(StoreError::NotEmpty);
        }
        *self = Self {
            filling: Some(fill),
            ..Self::default()
        };
        Ok(())
    }

    pub(super) fn fill(&mut self, fill: ObjectId, part: Part) -> Result<(), StoreError> {
        if self.filling != Some(fill) {
            return Err(StoreError::NotFilling);
        }
        match part {
            Part::Keys { records, snapshot } => {
                self.insert(records.into_iter().map(Row::Record))?;
                self.top = snapshot.revision;
                self.filling = None;
            }
            Part::Records(rows) => self.insert(rows.into_iter().map(Row::Record))?,
            Part::Versions(rows) => self.insert(rows.into_iter().map(Row::Version))?,
            Part::Uses(rows) => self
                .uses
                .extend(rows.into_iter().map(|row| ((row.namespace, row.secret), row.at))),
            Part::Boots(rows) => self.boots.extend(rows.into_iter().map(|row| (row.boot, row))),
            Part::Batches(rows) => self.batches.extend(rows.into_iter().map(|row| (row.id, row))),
            Part::Entries(_, rows) => self.entries.extend(rows),
        }
        Ok(())
    }

    fn insert(&mut self, rows: impl Iterator<Item = Row>) -> Result<(), StoreError> {
        for row in rows {
            if self.name_is_taken(&row) || self.rows.insert(row.key(), row).is_some() {
                return Err(StoreError::Incomplete);
            }
        }
        Ok(())
    }
}
