//! A part's rows as bytes, and back: the same for every kind of store.

use strongroom_domain::audit::{Action, Batch, BatchId, Class, Dialect, Entry, OutcomeKind, StoredEntry};
use strongroom_domain::canon::{Canon, Columns};
use strongroom_domain::ids::RequestId;
use strongroom_domain::{Digest, Kind, NamespaceId, ObjectId, PayloadKind, PrincipalId, Record, RowRev, Time, Version};
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
        Part::Records(rows) => each(RECORDS, rows, record),
        Part::Versions(rows) => each(VERSIONS, rows, version),
        Part::Uses(rows) => each(USES, rows, |all, row| {
            all.bytes(&row.namespace.0).bytes(&row.secret.0).int(row.at.0)
        }),
        Part::Boots(rows) => each(BOOTS, rows, |all, row| {
            all.int(row.boot)
                .text(&row.node)
                .int(row.started_at.0)
                .bytes(&row.mac.0)
        }),
        Part::Batches(rows) => each(BATCHES, rows, batch),
        Part::Entries(Class::Reads, rows) => each(READS, rows, entry),
        Part::Entries(Class::Kept, rows) => each(KEPT, rows, entry),
    };
    Some(all.done())
}

fn each<T>(kind: u8, rows: &[T], row: impl Fn(Canon, &T) -> Canon) -> Canon {
    rows.iter().fold(Canon::new(LABEL).byte(kind), row)
}

fn record(all: Canon, row: &Record) -> Canon {
    all.bytes(&row.namespace.0)
        .int(row.kind.number().into())
        .bytes(&row.id.0)
        .text(&row.name)
        .int(row.rev.0)
        .maybe_int(row.due.map(|due| due.0))
        .int(row.format.into())
        .bytes(&row.body)
        .bytes(&row.mac)
}

fn version(all: Canon, row: &Version) -> Canon {
    all.bytes(&row.namespace.0)
        .bytes(&row.owner.0)
        .int(row.number)
        .int(row.rev.0)
        .int(row.format.into())
        .int(row.payload.number().into())
        .int(row.epoch)
        .bytes(&row.salt)
        .bytes(&row.commitment)
        .bytes(&row.sealed)
}

fn batch(all: Canon, row: &Batch) -> Canon {
    all.int(row.id.0)
        .int(row.class.number().into())
        .int(row.at.0)
        .int(row.count)
        .bytes(&row.root.0)
        .bytes(&row.previous.0)
        .int(row.key)
        .bytes(&row.mac.0)
}

fn entry(all: Canon, row: &StoredEntry) -> Canon {
    let entry = &row.entry;
    all.int(row.batch.0)
        .int(row.place)
        .int(entry.at.0)
        .bytes(&entry.request.0)
        .int(entry.dialect.number().into())
        .int(entry.action.number().into())
        .int(entry.outcome.number().into())
        .int(entry.reason.into())
        .maybe_bytes(entry.principal.as_ref().map(PrincipalId::as_slice))
        .bytes(&entry.who.0)
        .bytes(&entry.namespace.0)
        .text(&entry.path)
        .maybe_int(entry.version)
        .maybe_bytes(entry.digest.as_ref().map(Digest::as_slice))
        .int(entry.count)
        .maybe_bytes(row.accessor.as_deref().map(str::as_bytes))
        .maybe_bytes(row.source.as_deref().map(str::as_bytes))
}

/// `None` where the bytes are no part's.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Part> {
    let mut columns = Columns::read(bytes, LABEL)?;
    let columns = &mut columns;
    Some(match columns.byte()? {
        RECORDS => Part::Records(all(columns, read_record)?),
        VERSIONS => Part::Versions(all(columns, read_version)?),
        USES => Part::Uses(all(columns, read_use)?),
        BOOTS => Part::Boots(all(columns, read_boot)?),
        BATCHES => Part::Batches(all(columns, read_batch)?),
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

fn small(columns: &mut Columns<'_>) -> Option<i16> {
    columns.int()?.try_into().ok()
}

fn time(columns: &mut Columns<'_>) -> Option<Time> {
    columns.int().map(Time)
}

fn digest(columns: &mut Columns<'_>) -> Option<Digest> {
    Digest::from_slice(columns.bytes()?)
}

fn namespace(columns: &mut Columns<'_>) -> Option<NamespaceId> {
    NamespaceId::from_slice(columns.bytes()?)
}

fn object(columns: &mut Columns<'_>) -> Option<ObjectId> {
    ObjectId::from_slice(columns.bytes()?)
}

/// What may be absent; `None` within where it is.
fn maybe<'a, T>(columns: &mut Columns<'a>, of: impl Fn(&'a [u8]) -> Option<T>) -> Option<Option<T>> {
    match columns.maybe_bytes()? {
        None => Some(None),
        Some(bytes) => of(bytes).map(Some),
    }
}

fn read_record(columns: &mut Columns<'_>) -> Option<Record> {
    Some(Record {
        namespace: namespace(columns)?,
        kind: Kind::from_number(small(columns)?)?,
        id: object(columns)?,
        name: columns.text()?.to_owned(),
        rev: RowRev(columns.int()?),
        due: columns.maybe_int()?.map(Time),
        format: small(columns)?,
        body: columns.bytes()?.to_vec(),
        mac: columns.bytes()?.to_vec(),
    })
}

fn read_version(columns: &mut Columns<'_>) -> Option<Version> {
    Some(Version {
        namespace: namespace(columns)?,
        owner: object(columns)?,
        number: columns.int()?,
        rev: RowRev(columns.int()?),
        format: small(columns)?,
        payload: PayloadKind::from_number(small(columns)?)?,
        epoch: columns.int()?,
        salt: columns.bytes()?.to_vec(),
        commitment: columns.bytes()?.to_vec(),
        sealed: columns.bytes()?.to_vec(),
    })
}

fn read_use(columns: &mut Columns<'_>) -> Option<Use> {
    Some(Use {
        namespace: namespace(columns)?,
        secret: object(columns)?,
        at: time(columns)?,
    })
}

fn read_boot(columns: &mut Columns<'_>) -> Option<BootRow> {
    Some(BootRow {
        boot: columns.int()?,
        node: columns.text()?.to_owned(),
        started_at: time(columns)?,
        mac: digest(columns)?,
    })
}

fn read_batch(columns: &mut Columns<'_>) -> Option<Batch> {
    Some(Batch {
        id: BatchId(columns.int()?),
        class: Class::from_number(small(columns)?)?,
        at: time(columns)?,
        count: columns.int()?,
        root: digest(columns)?,
        previous: digest(columns)?,
        key: columns.int()?,
        mac: digest(columns)?,
    })
}

fn read_entry(columns: &mut Columns<'_>) -> Option<StoredEntry> {
    let text = |bytes| std::str::from_utf8(bytes).ok().map(Into::into);
    Some(StoredEntry {
        batch: BatchId(columns.int()?),
        place: columns.int()?,
        entry: Entry {
            at: time(columns)?,
            request: RequestId::from_slice(columns.bytes()?)?,
            dialect: Dialect::from_number(small(columns)?)?,
            action: Action::from_number(small(columns)?)?,
            outcome: OutcomeKind::from_number(small(columns)?)?,
            reason: small(columns)?,
            principal: maybe(columns, PrincipalId::from_slice)?,
            who: digest(columns)?,
            namespace: namespace(columns)?,
            path: columns.text()?.to_owned(),
            version: columns.maybe_int()?,
            digest: maybe(columns, Digest::from_slice)?,
            count: columns.int()?,
        },
        accessor: maybe(columns, text)?,
        source: maybe(columns, text)?,
    })
}
