//! Upkeep removes what it names, and nothing else.

use strongroom_domain::audit::{Class, Entry, Lane, StoredEntry};
use strongroom_domain::{Kind, Moved, ObjectId, PrincipalId, Record, Revision, Time};

use super::contents::Contents;
use super::fixtures::{HERE, START, THERE, days, record, seconds, seen};
use super::writer::{Writer, keep_up};
use crate::{AuditFilter, Store, Upkeep, UpkeepDone};

async fn all_entries(store: &dyn Store) -> Vec<StoredEntry> {
    let filter = AuditFilter {
        limit: 1_000,
        ..AuditFilter::default()
    };
    store.entries(START, &filter).await.unwrap().value
}

pub(super) async fn pruning_removes_what_expired(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let due = |kind, id, name: &str, due| Record {
        due,
        ..record(kind, id, name)
    };
    let (before, after) = (Some(START - seconds(1)), Some(START + seconds(1)));
    writer
        .given(&[
            due(Kind::ChangeId, 1, "long due", Some(START - days(9))),
            due(Kind::ChangeId, 2, "due", before),
            due(Kind::ChangeId, 3, "due now", Some(START)),
            due(Kind::ChangeId, 4, "not yet", after),
            due(Kind::ChangeId, 5, "never", None),
            due(Kind::Token, 2, "token", before),
            due(Kind::Token, 3, "renewed", after),
            due(Kind::Revocation, 2, "revocation", before),
            due(Kind::Revocation, 3, "holds still", after),
            due(Kind::Secret, 2, "secret", before),
            due(Kind::Client, 3, "client", Some(START)),
        ])
        .await;
    assert_eq!(
        keep_up(
            store,
            START,
            Upkeep::Prune {
                before: START - days(7)
            }
        )
        .await,
        UpkeepDone::Done
    );
    for (kind, expected) in [
        (Kind::ChangeId, vec!["never", "not yet"]),
        (Kind::Token, vec!["renewed"]),
        (Kind::Revocation, vec!["holds still"]),
        (Kind::Secret, vec!["secret"]),
        (Kind::Client, vec!["client"]),
    ] {
        let records = store.of_kind(START, kind).await.unwrap().value;
        let mut names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}

pub(super) async fn pruning_many_change_ids_comes_to_an_end(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    for round in 0..10 {
        let records: Vec<Record> = (0..200)
            .map(|id| Record {
                due: Some(START),
                ..record(Kind::ChangeId, id, &format!("{round}/{id}"))
            })
            .map(|record| Record {
                namespace: strongroom_domain::NamespaceId([round; 16]),
                ..record
            })
            .collect();
        writer.given(&records).await;
    }
    keep_up(store, START, Upkeep::Prune { before: START }).await;
    assert!(store.of_kind(START, Kind::ChangeId).await.unwrap().value.is_empty());
}

pub(super) async fn pruning_keeps_young_changes_and_the_counter(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    for second in 0..6 {
        writer.now = START + seconds(second);
        writer.change(seen([], &["a"])).await;
    }
    // Changes 1, 2 and 3 are older, 4 is just not.
    let now = writer.now;
    keep_up(
        store,
        now,
        Upkeep::Prune {
            before: START + seconds(3),
        },
    )
    .await;
    let at = store.touches(now, Revision(3), 10).await.unwrap();
    assert_eq!(at.revision, Revision(6));
    assert!(matches!(at.value, Moved::Touches(touches) if touches.len() == 3));
    // None is left, and the next one takes the next number all the same.
    keep_up(
        store,
        now,
        Upkeep::Prune {
            before: now + seconds(1),
        },
    )
    .await;
    let at = store.touches(now, Revision(6), 10).await.unwrap();
    assert_eq!((at.revision, at.value), (Revision(6), Moved::Touches(vec![])));
    assert_eq!(
        writer.apply(&[seen([], &["a"])], Revision(6)).await.fence.top,
        Revision(6)
    );
    assert_eq!(store.touches(now, Revision(6), 10).await.unwrap().revision, Revision(7));
}

/// A cache that is older than the kept changes must drop everything, not believe that little happened.
pub(super) async fn pruned_changes_are_too_many_not_none(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    for second in 0..3 {
        writer.now = START + seconds(second);
        writer.change(seen([], &["a"])).await;
    }
    let now = writer.now;
    keep_up(
        store,
        now,
        Upkeep::Prune {
            before: START + seconds(2),
        },
    )
    .await;
    for (since, too_many) in [(0, true), (1, true), (2, false), (3, false)] {
        let moved = store.touches(now, Revision(since), 100).await.unwrap().value;
        assert_eq!(moved == Moved::TooMany, too_many, "touches since {since}");
        let entry = writer.entry();
        let (_, fence) = writer.record(vec![entry], Revision(since)).await;
        assert_eq!(fence.moved == Moved::TooMany, too_many, "record since {since}");
        let quiet = seen([], &[]);
        let fence = writer.apply(&[quiet], Revision(since)).await.fence;
        assert_eq!(fence.moved == Moved::TooMany, too_many, "apply since {since}");
    }
}

pub(super) async fn dropping_entries_keeps_the_young_and_the_other_class(store: &dyn Store) {
    let bound = START - days(90);
    for lane in Lane::ALL {
        let mut writer = Writer::new(store, lane);
        for at in [START - days(300), bound - seconds(1), bound, bound + seconds(1), START] {
            let entry = Entry { at, ..writer.entry() };
            writer.record(vec![entry], Revision(0)).await;
        }
    }
    let before = all_entries(store).await;
    let batches = store
        .batches(START, strongroom_domain::audit::BatchId(0), 100)
        .await
        .unwrap()
        .value;
    for class in Class::ALL {
        assert_eq!(
            keep_up(store, START, Upkeep::DropEntries { class, before: bound }).await,
            UpkeepDone::Done
        );
        let kept = |stored: &&StoredEntry| {
            // The classes are dropped in turn: what comes after this one is still whole.
            stored.entry.at >= bound || stored.entry.class() > class
        };
        let expected: Vec<StoredEntry> = before.iter().filter(kept).cloned().collect();
        assert_eq!(all_entries(store).await, expected);
    }
    let left = store
        .batches(START, strongroom_domain::audit::BatchId(0), 100)
        .await
        .unwrap()
        .value;
    assert_eq!(left, batches, "the batches' own rows are the proof, and stay");
}

pub(super) async fn erasing_a_principal_empties_its_clear_columns_alone(store: &dyn Store) {
    let (someone, other) = (PrincipalId([0x51; 16]), PrincipalId([0x52; 16]));
    for lane in Lane::ALL {
        let mut writer = Writer::new(store, lane);
        for at in [START - days(200), START] {
            let entries = [Some(someone), Some(other), None];
            let entries = entries
                .map(|principal| Entry {
                    at,
                    principal,
                    ..writer.entry()
                })
                .to_vec();
            writer.record(entries, Revision(0)).await;
        }
    }
    let mut expected = all_entries(store).await;
    for stored in expected
        .iter_mut()
        .filter(|stored| stored.entry.principal == Some(someone))
    {
        stored.accessor = None;
        stored.source = None;
    }
    for _ in 0..2 {
        assert_eq!(
            keep_up(store, START, Upkeep::ErasePrincipal(someone)).await,
            UpkeepDone::Done
        );
        assert_eq!(all_entries(store).await, expected);
    }
}

pub(super) async fn making_partitions_again_changes_nothing(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    let entry = writer.entry();
    writer.record(vec![entry], Revision(0)).await;
    let before = Contents::of(store, START).await;
    for now in [START, START, START + days(31), START + days(62), START + days(400)] {
        assert_eq!(keep_up(store, now, Upkeep::MakePartitions).await, UpkeepDone::Done);
        assert_eq!(Contents::of(store, now).await, before);
    }
}

pub(super) async fn counts_are_added_and_nothing_else(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&[record(Kind::Client, 1, "client")]).await;
    let count = |id, name: &str| Record {
        due: Some(START + days(7)),
        ..record(Kind::FlagCounts, id, name)
    };
    let rows = vec![count(1, "a/b/1"), count(2, "a/b/2")];
    for _ in 0..2 {
        assert_eq!(
            keep_up(store, START, Upkeep::Counted(rows.clone())).await,
            UpkeepDone::Done
        );
    }
    // Neither a name nor an id is taken from the row that has it.
    let others = vec![
        count(3, "a/b/1"),
        Record {
            rev: rows[0].rev.next(),
            ..count(1, "a/b/3")
        },
    ];
    assert_eq!(keep_up(store, START, Upkeep::Counted(others)).await, UpkeepDone::Done);
    let listed = store
        .list(START, HERE, Kind::FlagCounts, "a/b/", "", 10)
        .await
        .unwrap()
        .value;
    assert_eq!(listed, rows);
    // What else a row may be, upkeep does not write it.
    let before = Contents::of(store, START).await;
    let foreign = vec![count(4, "a/b/4"), record(Kind::Client, 2, "another")];
    assert!(store.upkeep(START, Upkeep::Counted(foreign)).await.is_err());
    assert_eq!(Contents::of(store, START).await, before);
    let later = START + days(7);
    let prune = Upkeep::Prune { before: START };
    assert_eq!(keep_up(store, later, prune).await, UpkeepDone::Done);
    assert!(store.of_kind(later, Kind::FlagCounts).await.unwrap().value.is_empty());
    assert_eq!(store.of_kind(later, Kind::Client).await.unwrap().value.len(), 1);
}

pub(super) async fn the_newest_use_of_a_secret_is_kept(store: &dyn Store) {
    let secret = |id| ObjectId([id; 16]);
    let used = |namespace, secrets: &[(u8, Time)]| Upkeep::Used {
        namespace,
        secrets: secrets.iter().map(|(id, at)| (secret(*id), *at)).collect(),
    };
    let later = START + seconds(60);
    for work in [
        used(HERE, &[(2, START), (1, START)]),
        used(HERE, &[(1, later), (2, START - seconds(60))]),
        used(THERE, &[(3, START)]),
        used(HERE, &[]),
    ] {
        assert_eq!(keep_up(store, START, work).await, UpkeepDone::Done);
    }
    let uses = async |namespace| {
        let ids = [secret(1), secret(2), secret(3), secret(4)];
        let mut found = store.last_used(START, namespace, &ids).await.unwrap().value;
        found.sort_unstable();
        found
    };
    assert_eq!(uses(HERE).await, [(secret(1), later), (secret(2), START)]);
    assert_eq!(uses(THERE).await, [(secret(3), START)]);
    let forget = Upkeep::ForgetUse {
        namespace: HERE,
        secret: secret(1),
    };
    keep_up(store, START, forget).await;
    assert_eq!(uses(HERE).await, [(secret(2), START)]);
}
