//! Finding and listing.

use strongroom_domain::audit::Lane;
use strongroom_domain::row::Key;
use strongroom_domain::{Kind, ObjectId, Record, Revision, Row, Version, Write, upgrade};

use super::fixtures::{HERE, START, THERE, insert, quiet, record, seconds, secret, version};
use super::writer::{Writer, keep_up};
use crate::{BootRow, Store, Upkeep, UpkeepDone};

/// Names whose byte order, prefixes or case a collation or a pattern would get wrong.
const NAMES: [&str; 22] = [
    "A",
    "B",
    "Z/1",
    "a",
    "a b",
    "a!",
    "a%b",
    "a-b",
    "a/",
    "a/B",
    "a/b",
    "a/b/c",
    "a0",
    "a\\b",
    "aB",
    "a_b",
    "aab",
    "aé",
    "aÿ",
    "a\u{d7ff}",
    "a\u{10ffff}x",
    "🔑/a",
];

fn secrets() -> Vec<Record> {
    NAMES.iter().zip(1..).map(|(name, id)| secret(id, name)).collect()
}

fn keys(names: &[&str]) -> Vec<Key> {
    names.iter().map(|name| Key::new(HERE, Kind::Secret, *name)).collect()
}

fn names(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.name.as_str()).collect()
}

pub(super) async fn find_leaves_out_what_is_absent(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&secrets()).await;
    writer
        .given(&[
            record(Kind::Policy, 1, "absent"),
            Record {
                namespace: THERE,
                ..secret(1, "absent")
            },
        ])
        .await;
    let mut wanted = keys(&NAMES);
    wanted.extend(keys(&["absent", "a/b/", "b", "%", ""]));
    let found = store.find(START, &wanted).await.unwrap().value;
    let mut found = names(&found);
    found.sort_unstable();
    let mut expected = NAMES;
    expected.sort_unstable();
    assert_eq!(found, expected);
    for absent in ["absent", "", "\0", "a\0b", "'", "\u{ffff}"] {
        assert!(store.find(START, &keys(&[absent])).await.unwrap().value.is_empty());
    }
    assert!(store.find(START, &[]).await.unwrap().value.is_empty());
}

pub(super) async fn find_takes_keys_of_several_namespaces_and_kinds(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let there = Record {
        namespace: THERE,
        ..secret(1, "b")
    };
    writer
        .given(&[
            secret(1, "a"),
            secret(2, "b"),
            record(Kind::Policy, 1, "a"),
            there.clone(),
        ])
        .await;
    let wanted = [
        Key::new(HERE, Kind::Secret, "a"),
        Key::new(HERE, Kind::Policy, "a"),
        there.key(),
        // Each column is somewhere, but they stand nowhere together.
        Key::new(THERE, Kind::Policy, "a"),
        Key::new(THERE, Kind::Secret, "a"),
    ];
    let found = store.find(START, &wanted).await.unwrap().value;
    let mut found: Vec<Key> = found.iter().map(Record::key).collect();
    let mut expected = wanted[..3].to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

pub(super) async fn a_record_is_found_by_its_id(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let there = Record {
        namespace: THERE,
        ..secret(1, "there")
    };
    writer
        .given(&[secret(1, "here"), record(Kind::Policy, 1, "policy"), there])
        .await;
    for (namespace, kind, id, expected) in [
        (HERE, Kind::Secret, 1, Some("here")),
        (HERE, Kind::Policy, 1, Some("policy")),
        (THERE, Kind::Secret, 1, Some("there")),
        (THERE, Kind::Policy, 1, None),
        (HERE, Kind::Secret, 2, None),
    ] {
        let found = store
            .find_by_id(START, namespace, kind, ObjectId([id; 16]))
            .await
            .unwrap()
            .value;
        assert_eq!(found.as_ref().map(|record| record.name.as_str()), expected);
    }
}

pub(super) async fn a_listing_is_in_byte_order(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&secrets()).await;
    writer
        .given(&[
            record(Kind::Policy, 1, "a/policy"),
            Record {
                namespace: THERE,
                ..secret(1, "a/there")
            },
        ])
        .await;
    let all = store.list(START, HERE, Kind::Secret, "", "", 100).await.unwrap().value;
    let mut expected = NAMES;
    expected.sort_unstable();
    assert_eq!(names(&all), expected);
}

pub(super) async fn a_listing_holds_to_its_prefix_byte_for_byte(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&secrets()).await;
    let prefixes = [
        "a",
        "A",
        "a/",
        "a/b",
        "a%",
        "a_",
        "a\\",
        "aÿ",
        "a\u{d7ff}",
        "a\u{10ffff}",
        "🔑",
        "\u{10ffff}",
        "x",
    ];
    for prefix in prefixes {
        let found = store
            .list(START, HERE, Kind::Secret, prefix, "", 100)
            .await
            .unwrap()
            .value;
        let mut expected: Vec<&str> = NAMES.into_iter().filter(|name| name.starts_with(prefix)).collect();
        expected.sort_unstable();
        assert_eq!(names(&found), expected, "{prefix:?}");
    }
}

pub(super) async fn a_listing_goes_on_after_a_name(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&secrets()).await;
    for prefix in ["", "a", "a/"] {
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = store
                .list(START, HERE, Kind::Secret, prefix, &after, 3)
                .await
                .unwrap()
                .value;
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            after.clone_from(&last.name);
            paged.extend(page.into_iter().map(|record| record.name));
            assert!(paged.len() <= NAMES.len(), "pages repeat themselves");
        }
        let mut expected: Vec<&str> = NAMES.into_iter().filter(|name| name.starts_with(prefix)).collect();
        expected.sort_unstable();
        assert_eq!(paged, expected, "{prefix:?}");
    }
    // The name that a page starts after need not be there, nor within the prefix.
    for (after, first) in [("a/a", Some("a/b")), ("A", Some("a/")), ("b", None)] {
        let page = store
            .list(START, HERE, Kind::Secret, "a/", after, 1)
            .await
            .unwrap()
            .value;
        assert_eq!(names(&page).first().copied(), first, "{after:?}");
    }
    // Whatever of both comes first.
    for prefix in ["", "a", "a/", "a/b"] {
        for after in NAMES {
            let page = store.list(START, HERE, Kind::Secret, prefix, after, 100);
            let page = page.await.unwrap().value;
            let follows = |name: &&str| name.starts_with(prefix) && *name > after;
            let mut expected: Vec<&str> = NAMES.into_iter().filter(follows).collect();
            expected.sort_unstable();
            assert_eq!(names(&page), expected, "{prefix:?} {after:?}");
        }
    }
}

pub(super) async fn records_of_a_kind_are_found_in_every_namespace(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let there = Record {
        namespace: THERE,
        ..record(Kind::Policy, 1, "a")
    };
    writer
        .given(&[
            record(Kind::Policy, 1, "a"),
            record(Kind::Policy, 2, "b"),
            there,
            secret(3, "c"),
        ])
        .await;
    let mut found = store.of_kind(START, Kind::Policy).await.unwrap().value;
    found.sort_by_key(|record| (record.namespace, record.id));
    let found: Vec<_> = found
        .iter()
        .map(|record| (record.namespace, record.name.as_str()))
        .collect();
    assert_eq!(found, [(HERE, "a"), (HERE, "b"), (THERE, "a")]);
    assert!(store.of_kind(START, Kind::Role).await.unwrap().value.is_empty());
}

pub(super) async fn a_boot_number_is_taken_once(store: &dyn Store) {
    let boot = |boot, node: &str| BootRow {
        boot,
        node: node.into(),
        started_at: START,
        mac: strongroom_domain::Digest([1; 32]),
    };
    assert_eq!(store.last_boot(START).await.unwrap().value, 0);
    for (row, expected, last) in [
        (boot(1, "node-ä"), UpkeepDone::Done, 1),
        (boot(2, "node-b"), UpkeepDone::Done, 2),
        (boot(2, "node-c"), UpkeepDone::Taken, 2),
        (boot(2, "node-b"), UpkeepDone::Taken, 2),
        (boot((1 << 24) - 1, "node-c"), UpkeepDone::Done, (1 << 24) - 1),
    ] {
        assert_eq!(keep_up(store, START, Upkeep::Boot(row)).await, expected);
        assert_eq!(store.last_boot(START).await.unwrap().value, last);
    }
}

pub(super) async fn sizes_count_rows(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let sizes = store.sizes(START).await.unwrap().value;
    assert_eq!((sizes.records, sizes.versions), (0, 0));
    let version = |number| {
        let row = strongroom_domain::Row::Version(super::fixtures::version(1, number));
        strongroom_domain::Write::Insert(row)
    };
    writer
        .write([
            insert(&secret(1, "a")),
            insert(&secret(2, "b")),
            version(1),
            version(2),
            version(3),
        ])
        .await;
    let sizes = store.sizes(START).await.unwrap().value;
    assert_eq!((sizes.records, sizes.versions), (2, 3));
    assert!(sizes.database_bytes >= 0);
}

pub(super) async fn records_that_fell_due_come_oldest_first(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let due = |kind, id, name: &str, due| Record {
        due,
        ..record(kind, id, name)
    };
    let elsewhere = Record {
        namespace: THERE,
        ..due(Kind::Secret, 5, "elsewhere", Some(START - seconds(2)))
    };
    writer
        .given(&[
            due(Kind::Secret, 1, "now", Some(START)),
            due(Kind::Secret, 2, "old", Some(START - seconds(9))),
            due(Kind::Secret, 3, "later", Some(START + seconds(1))),
            due(Kind::Secret, 4, "never", None),
            due(Kind::Client, 1, "client", Some(START - seconds(9))),
            elsewhere,
        ])
        .await;
    for limit in [1, 2, 100] {
        let found = store.due(START, Kind::Secret, None, START, limit).await.unwrap().value;
        let names: Vec<&str> = found.iter().map(|record| record.name.as_str()).collect();
        let all = ["old", "elsewhere", "now"];
        assert_eq!(names, all[..all.len().min(limit.into())]);
    }
    let ahead = store
        .due(START, Kind::Secret, None, START + seconds(1), 100)
        .await
        .unwrap();
    assert_eq!(ahead.value.last().unwrap().name, "later");
    let again = store.due(START, Kind::Secret, None, START, 100).await.unwrap();
    assert_eq!(again.value.len(), 3, "what is asked ahead is not yet");
    // Page by page, also where several fall due at one time.
    let same = (10..15).map(|id| due(Kind::Secret, id, &format!("same-{id}"), Some(START - seconds(1))));
    writer.given(&same.collect::<Vec<_>>()).await;
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = store.due(START, Kind::Secret, after, START, 2).await.unwrap().value;
        let Some(last) = page.last() else { break };
        after = last.due.map(|due| (due, last.id));
        names.extend(page.into_iter().map(|record| record.name));
    }
    let all = store.due(START, Kind::Secret, None, START, 100).await.unwrap().value;
    assert_eq!(names, all.into_iter().map(|record| record.name).collect::<Vec<_>>());
    assert_eq!(names.len(), 8);
}

pub(super) async fn versions_under_old_keys_are_found(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let under = |owner, number, epoch| Version {
        epoch,
        ..version(owner, number)
    };
    let elsewhere = Version {
        namespace: THERE,
        ..under(1, 1, 1)
    };
    let rows = [
        under(2, 1, 1),
        under(1, 2, 1),
        under(1, 1, 3),
        under(3, 1, 7),
        under(3, 2, 8),
        under(4, 1, 0),
        elsewhere,
    ];
    let writes: Vec<Write> = rows.map(|row| Write::Insert(Row::Version(row))).into();
    writer.apply(&[quiet(writes)], Revision(0)).await;
    for limit in [2, 100] {
        let found = store.sealed_before(START, HERE, 7, limit).await.unwrap().value;
        let found: Vec<(u8, i64)> = found.iter().map(|row| (row.owner.0[0], row.number)).collect();
        let all = [(1, 2), (2, 1), (1, 1)];
        assert_eq!(found, all[..all.len().min(limit.into())]);
    }
}

pub(super) async fn a_fresh_schema_takes_this_program(store: &dyn Store) {
    let schema = store.schema();
    assert_eq!((schema.level, schema.fits()), (upgrade::LEVEL, Ok(())));
    assert!(upgrade::reads(schema.writes()), "{schema:?}");
}
