//! Rows of any content, as bytes and back.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use strongroom_domain::audit::{Action, Batch, BatchId, Class, Dialect, Entry, OutcomeKind, StoredEntry};
use strongroom_domain::ids::RequestId;
use strongroom_domain::row::Key;
use strongroom_domain::{Digest, Kind, NamespaceId, ObjectId, PayloadKind, PrincipalId, Record, RowRev, Time, Version};
use strongroom_ports::{BootRow, Part, Use};

use super::{from_bytes, to_bytes};

fn id() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn record() -> impl Strategy<Value = Record> {
    let kind = prop::sample::select(Kind::ALL);
    let columns = (
        id(),
        kind,
        id(),
        any::<String>(),
        any::<i64>(),
        option::of(any::<i64>()),
        any::<i16>(),
        bytes(),
        bytes(),
    );
    columns.prop_map(|(namespace, kind, id, name, rev, due, format, body, mac)| Record {
        rev: RowRev(rev),
        due: due.map(Time),
        format,
        body,
        mac,
        ..Record::blank(Key::new(NamespaceId(namespace), kind, name), ObjectId(id))
    })
}

fn version() -> impl Strategy<Value = Version> {
    let payload = prop::sample::select(vec![PayloadKind::Text, PayloadKind::Json, PayloadKind::Bytes]);
    let columns = (
        id(),
        id(),
        any::<i64>(),
        any::<i64>(),
        any::<i16>(),
        payload,
        any::<i64>(),
        bytes(),
        bytes(),
        bytes(),
    );
    columns.prop_map(
        |(namespace, owner, number, rev, format, payload, epoch, salt, commitment, sealed)| Version {
            rev: RowRev(rev),
            format,
            payload,
            epoch,
            salt,
            commitment,
            sealed,
            ..Version::blank(NamespaceId(namespace), ObjectId(owner), number)
        },
    )
}

fn entry() -> impl Strategy<Value = StoredEntry> {
    let named = (
        prop::sample::select(Action::ALL),
        prop::sample::select(Dialect::ALL),
        prop::sample::select(OutcomeKind::ALL),
        option::of(id()),
        option::of(digest()),
        option::of(any::<String>()),
        option::of(any::<String>()),
    );
    let columns = (
        any::<[i64; 4]>(),
        any::<i16>(),
        id(),
        id(),
        digest(),
        any::<String>(),
        option::of(any::<i64>()),
    );
    (columns, named).prop_map(|((ints, reason, request, namespace, who, path, version), named)| {
        let (action, dialect, outcome, principal, digest, accessor, source) = named;
        StoredEntry {
            batch: BatchId(ints[0]),
            place: ints[1],
            entry: Entry {
                at: Time(ints[2]),
                request: RequestId(request),
                dialect,
                action,
                outcome,
                reason,
                principal: principal.map(PrincipalId),
                who,
                namespace: NamespaceId(namespace),
                path,
                version,
                digest,
                count: ints[3],
            },
            accessor: accessor.map(Into::into),
            source: source.map(Into::into),
        }
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    let class = prop::sample::select(Class::ALL.to_vec());
    (any::<[i64; 4]>(), class, digest(), digest(), digest()).prop_map(|(ints, class, root, previous, mac)| Batch {
        id: BatchId(ints[0]),
        class,
        at: Time(ints[1]),
        count: ints[2],
        root,
        previous,
        key: ints[3],
        mac,
    })
}

fn part() -> impl Strategy<Value = Part> {
    let uses = (id(), id(), any::<i64>()).prop_map(|(namespace, secret, at)| Use {
        namespace: NamespaceId(namespace),
        secret: ObjectId(secret),
        at: Time(at),
    });
    let boots = (any::<i64>(), any::<String>(), any::<i64>(), digest()).prop_map(|(boot, node, at, mac)| BootRow {
        boot,
        node,
        started_at: Time(at),
        mac,
    });
    prop_oneof![
        vec(record(), 0..5).prop_map(Part::Records),
        vec(version(), 0..5).prop_map(Part::Versions),
        vec(uses, 0..5).prop_map(Part::Uses),
        vec(boots, 0..5).prop_map(Part::Boots),
        vec(batch(), 0..5).prop_map(Part::Batches),
        vec(entry(), 0..5).prop_map(|rows| Part::Entries(Class::Reads, rows)),
        vec(entry(), 0..5).prop_map(|rows| Part::Entries(Class::Kept, rows)),
    ]
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were_written(part in part()) {
        let bytes = to_bytes(&part).unwrap();
        prop_assert_eq!(from_bytes(&bytes), Some(part));
    }

    #[test]
    fn anything_else_is_no_part(part in part(), at: prop::sample::Index, junk in vec(any::<u8>(), 0..60)) {
        let bytes = to_bytes(&part).unwrap();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_ne!(from_bytes(cut), Some(part));
        let _ = from_bytes(&[cut, &junk].concat());
    }
}
