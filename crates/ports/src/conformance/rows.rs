//! Rows are written whole, and only where they compare.

use strongroom_domain::audit::Lane;
use strongroom_domain::row::{Key, RowKey};
use strongroom_domain::{Kind, ObjectId, Outcome, PayloadKind, Record, Row, RowRev, Time, Version, Write};

use super::contents::{show_record, show_version};
use super::fixtures::{HERE, START, THERE, days, insert, record, remove, replace, secret, successor, version};
use super::writer::Writer;
use crate::Store;

async fn stored(store: &dyn Store, record: &Record) -> Option<Record> {
    store
        .find_by_id(START, record.namespace, record.kind, record.id)
        .await
        .unwrap()
        .value
}

async fn expect_stored(store: &dyn Store, record: &Record) {
    let found = stored(store, record).await.expect("the record is there");
    assert_eq!(show_record(&found), show_record(record));
}

/// Columns at their edges: absent, empty, binary, large, and text that some encodings mangle.
fn unusual_records() -> Vec<Record> {
    let base = secret(1, "plain");
    let all_bytes: Vec<u8> = (0..=255).collect();
    let names = [
        "grün/日本/🔑",
        "quote'\"\\back",
        "{curly},(round)",
        "NULL",
        " spaces ",
        "%_*?",
        "a\u{10ffff}",
    ];
    let mut records = vec![
        Record {
            due: Some(START),
            ..base.clone()
        },
        Record {
            id: ObjectId([2; 16]),
            name: "empty".into(),
            body: vec![],
            mac: vec![],
            ..base.clone()
        },
        Record {
            id: ObjectId([0; 16]),
            name: "zeros".into(),
            body: vec![0],
            mac: vec![0; 36],
            ..base.clone()
        },
        Record {
            id: ObjectId([255; 16]),
            name: "binary".into(),
            body: all_bytes,
            format: i16::MAX,
            ..base.clone()
        },
        Record {
            id: ObjectId([3; 16]),
            name: "large".into(),
            body: vec![0xfe; 200_000],
            ..base.clone()
        },
        Record {
            id: ObjectId([4; 16]),
            name: "far".into(),
            due: Some(Time(i64::MAX)),
            ..base.clone()
        },
        Record {
            id: ObjectId([5; 16]),
            name: "counted".into(),
            rev: RowRev(i64::MAX - 1),
            ..base.clone()
        },
    ];
    for (name, id) in names.iter().zip(10..) {
        records.push(Record {
            id: ObjectId([id; 16]),
            name: (*name).into(),
            ..base.clone()
        });
    }
    records
}

pub(super) async fn a_record_comes_back_as_it_was_written(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let records = unusual_records();
    writer.given(&records).await;
    for record in &records {
        expect_stored(store, record).await;
        let by_name = store.find(START, &[record.key()]).await.unwrap().value;
        assert_eq!(
            by_name.iter().map(show_record).collect::<Vec<_>>(),
            [show_record(record)]
        );
    }
}

pub(super) async fn a_record_of_each_kind_comes_back(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let records: Vec<Record> = Kind::ALL.iter().map(|kind| record(*kind, 1, "same")).collect();
    writer.given(&records).await;
    for record in &records {
        expect_stored(store, record).await;
    }
}

pub(super) async fn a_version_comes_back_as_it_was_written(store: &dyn Store) {
    let base = version(1, 1);
    let versions = [
        base.clone(),
        Version {
            number: 2,
            payload: PayloadKind::Text,
            epoch: i64::MAX,
            ..base.clone()
        },
        Version {
            number: 3,
            salt: vec![],
            commitment: vec![],
            sealed: vec![],
            ..base.clone()
        },
        Version {
            number: i64::MAX,
            sealed: (0..=255).collect(),
            format: 7,
            rev: RowRev(9),
            ..base.clone()
        },
        Version {
            namespace: THERE,
            payload: PayloadKind::Bytes,
            sealed: vec![0; 100_000],
            ..base.clone()
        },
        Version {
            owner: ObjectId([9; 16]),
            ..base
        },
    ];
    let inserts: Vec<Write> = versions.iter().cloned().map(Row::Version).map(Write::Insert).collect();
    assert_eq!(Writer::new(store, Lane::Events).write(inserts).await, Outcome::Applied);
    for version in &versions {
        let found = store
            .version(START, version.namespace, version.owner, version.number)
            .await
            .unwrap()
            .value;
        assert_eq!(found.as_ref().map(show_version), Some(show_version(version)));
    }
    assert!(
        store
            .version(START, THERE, ObjectId([9; 16]), 1)
            .await
            .unwrap()
            .value
            .is_none()
    );
}

pub(super) async fn a_replacement_changes_every_column_but_the_key(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let first = Record {
        due: Some(START),
        ..secret(1, "a")
    };
    writer.given(std::slice::from_ref(&first)).await;
    let second = Record {
        due: None,
        format: 2,
        body: vec![0, 255],
        ..successor(&first, "")
    };
    let third = Record {
        due: Some(START + days(1)),
        body: vec![],
        ..successor(&second, "")
    };
    for (before, after) in [(&first, &second), (&second, &third)] {
        let write = Write::Replace(before.rev, Row::Record(after.clone()));
        assert_eq!(writer.write([write]).await, Outcome::Applied);
        expect_stored(store, after).await;
    }
}

pub(super) async fn a_version_is_replaced_and_removed(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let first = version(1, 1);
    let destroyed = Version {
        rev: first.rev.next(),
        salt: vec![],
        commitment: vec![],
        sealed: vec![],
        ..first.clone()
    };
    let key = RowKey::Version(HERE, first.owner, 1);
    let read = async || store.version(START, HERE, first.owner, 1).await.unwrap().value;
    assert_eq!(
        writer.write([Write::Insert(Row::Version(first.clone()))]).await,
        Outcome::Applied
    );
    assert_eq!(
        writer.write([Write::Insert(Row::Version(first.clone()))]).await,
        Outcome::Conflict
    );
    let swap = Write::Replace(first.rev, Row::Version(destroyed.clone()));
    assert_eq!(writer.write([swap.clone()]).await, Outcome::Applied);
    assert_eq!(writer.write([swap]).await, Outcome::Conflict);
    assert_eq!(read().await.as_ref().map(show_version), Some(show_version(&destroyed)));
    assert_eq!(
        writer.write([Write::Remove(key.clone(), first.rev)]).await,
        Outcome::Conflict
    );
    assert_eq!(
        writer.write([Write::Remove(key, destroyed.rev)]).await,
        Outcome::Applied
    );
    assert!(read().await.is_none());
}

pub(super) async fn a_stale_row_revision_conflicts(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let first = secret(1, "a");
    let second = successor(&first, "second");
    let ahead = successor(&second, "third");
    writer.given(std::slice::from_ref(&first)).await;
    assert_eq!(writer.write([replace(&ahead, "no")]).await, Outcome::Conflict);
    assert_eq!(writer.write([remove(&ahead)]).await, Outcome::Conflict);
    assert_eq!(writer.write([replace(&first, "second")]).await, Outcome::Applied);
    assert_eq!(writer.write([replace(&first, "no")]).await, Outcome::Conflict);
    assert_eq!(writer.write([remove(&first)]).await, Outcome::Conflict);
    expect_stored(store, &second).await;
}

pub(super) async fn a_row_that_is_absent_is_neither_replaced_nor_removed(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let absent = secret(1, "a");
    assert_eq!(writer.write([replace(&absent, "no")]).await, Outcome::Conflict);
    assert_eq!(writer.write([remove(&absent)]).await, Outcome::Conflict);
    assert_eq!(stored(store, &absent).await, None);
}

pub(super) async fn a_taken_key_conflicts(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let first = secret(1, "a");
    writer.given(std::slice::from_ref(&first)).await;
    assert_eq!(writer.write([insert(&secret(1, "b"))]).await, Outcome::Conflict);
    assert_eq!(writer.write([insert(&first)]).await, Outcome::Conflict);
    expect_stored(store, &first).await;
}

pub(super) async fn a_taken_name_conflicts(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let first = secret(1, "a");
    writer.given(std::slice::from_ref(&first)).await;
    assert_eq!(writer.write([insert(&secret(2, "a"))]).await, Outcome::Conflict);
    expect_stored(store, &first).await;
    assert_eq!(stored(store, &secret(2, "a")).await, None);
}

pub(super) async fn names_and_ids_are_taken_within_namespace_and_kind_only(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let records = [
        secret(1, "a"),
        record(Kind::Policy, 1, "a"),
        Record {
            namespace: THERE,
            ..secret(1, "a")
        },
        // Another name, though some collations hold it to be the same.
        secret(2, "A"),
        secret(3, "á"),
        secret(4, "a\u{301}"),
        secret(5, "a "),
    ];
    for record in &records {
        assert_eq!(
            writer.write([insert(record)]).await,
            Outcome::Applied,
            "{}",
            record.name
        );
    }
    for record in &records {
        expect_stored(store, record).await;
    }
}

pub(super) async fn a_removed_row_leaves_its_key_and_name_free(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&[secret(1, "a")]).await;
    assert_eq!(writer.write([remove(&secret(1, "a"))]).await, Outcome::Applied);
    assert!(
        store
            .find(START, &[Key::new(HERE, Kind::Secret, "a")])
            .await
            .unwrap()
            .value
            .is_empty()
    );
    writer.given(&[secret(1, "b"), secret(2, "a")]).await;
    expect_stored(store, &secret(1, "b")).await;
    expect_stored(store, &secret(2, "a")).await;
}
