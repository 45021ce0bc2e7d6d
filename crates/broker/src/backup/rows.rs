//! A part's rows as bytes, and back: the same for every kind of store. A row stands there as what its MAC or digest is
//! taken over.

#[cfg(test)]
mod tests;

use strongroom_domain::audit::{Batch, BatchId, Class, Entry, StoredEntry};
use strongroom_domain::canon::{Canon, Columns};
use strongroom_domain::{Digest, NamespaceId, ObjectId, Record, Time, Version};
use strongroom_ports::{BootRow, Part, Use};

const LABEL: &str = "strongroom backup rows";

/// What kind of rows a part holds. Keys stand in the header.
const RECORDS: u8 = 1;
const VERSIONS: u8 = 2;
const USES: u8 = 3;
const BOOTS: u8 = 4;
const BATCHES: u8 = 5;
const READS: u8 = 6;
const KEPT: u8 = 7;

/// `None` for the keys.
pub(super) fn to_bytes(part: &Part) -> Option<Vec<u8>> {
    let all = match part {
        Part::Keys { .. } => return None,
        Part::Records(rows) => each(RECORDS, rows, |all, row| all.bytes(&row.canonical()).bytes(&row.mac)),
        Part::Versions(rows) => each(VERSIONS, rows, |all, row| all.bytes(&row.canonical())),
        Part::Uses(rows) => each(USES, rows, |all, row| {
            all.bytes(&row.namespace.0).bytes(&row.secret.0).int(row.at.0)
        }),
        Part::Boots(rows) => each(BOOTS, rows, |all, row| {
            all.int(row.boot)
                .text(&row.node)
                .int(row.started_at.0)
                .bytes(&row.mac.0)
        }),
        Part::Batches(rows) => each(BATCHES, rows, |all, row| all.bytes(&row.canonical()).bytes(&row.mac.0)),
        Part::Entries(Class::Reads, rows) => each(READS, rows, entry),
        Part::Entries(Class::Kept, rows) => each(KEPT, rows, entry),
    };
    Some(all.done())
}

fn each<T>(kind: u8, rows: &[T], row: impl Fn(Canon, &T) -> Canon) -> Canon {
    rows.iter().fold(Canon::new(LABEL).byte(kind), row)
}

fn entry(all: Canon, row: &StoredEntry) -> Canon {
    all.int(row.batch.0)
        .int(row.place)
        .bytes(&row.entry.canonical())
        .maybe_text(row.accessor.as_deref())
        .maybe_text(row.source.as_deref())
}

/// `None` where the bytes are no part's that this program knows.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Part> {
    let mut columns = Columns::read(bytes, LABEL)?;
    let columns = &mut columns;
    Some(match columns.byte()? {
        RECORDS => Part::Records(all(columns, |row| {
            Record::from_canonical(row.bytes()?, row.bytes()?.to_vec())
        })?),
        VERSIONS => Part::Versions(all(columns, |row| Version::from_canonical(row.bytes()?))?),
        USES => Part::Uses(all(columns, read_use)?),
        BOOTS => Part::Boots(all(columns, read_boot)?),
        BATCHES => Part::Batches(all(columns, |row| Batch::from_canonical(row.bytes()?, digest(row)?))?),
        READS => Part::Entries(Class::Reads, all(columns, read_entry)?),
        KEPT => Part::Entries(Class::Kept, all(columns, read_entry)?),
        _ => return None,
    })
}

fn all<'a, T>(columns: &mut Columns<'a>, row: impl Fn(&mut Columns<'a>) -> Option<T>) -> Option<Vec<T>> {
    let mut rows = Vec::new();
    while !columns.is_done() {
        rows.push(row(columns)?);
    }
    Some(rows)
}

fn digest(columns: &mut Columns<'_>) -> Option<Digest> {
    Digest::from_slice(columns.bytes()?)
}

fn read_use(columns: &mut Columns<'_>) -> Option<Use> {
    Some(Use {
        namespace: NamespaceId::from_slice(columns.bytes()?)?,
        secret: ObjectId::from_slice(columns.bytes()?)?,
        at: Time(columns.int()?),
    })
}

fn read_boot(columns: &mut Columns<'_>) -> Option<BootRow> {
    Some(BootRow {
        boot: columns.int()?,
        node: columns.text()?.to_owned(),
        started_at: Time(columns.int()?),
        mac: digest(columns)?,
    })
}

fn read_entry(columns: &mut Columns<'_>) -> Option<StoredEntry> {
    Some(StoredEntry {
        batch: BatchId(columns.int()?),
        place: columns.int()?,
        entry: Entry::from_canonical(columns.bytes()?)?,
        accessor: columns.maybe_text()?.map(Into::into),
        source: columns.maybe_text()?.map(Into::into),
    })
}
