//! What commits and reads tell about the ground they stand on.

use std::future::Future;

use strongroom_domain::audit::{BatchId, Lane};
use strongroom_domain::{Change, Kind, Moved, NamespaceId, ObjectId, Outcome, Revision, Time, Touch};

use super::fixtures::{HERE, START, THERE, insert, quiet, seconds, secret, seen, touch, void};
use super::writer::Writer;
use crate::{AuditFilter, Store, Upkeep, UpkeepDone};

fn touches(moved: Moved) -> Vec<Touch> {
    match moved {
        Moved::Touches(touches) => touches,
        Moved::TooMany => panic!("these are not too many"),
    }
}

fn numbers(moved: Moved) -> Vec<i64> {
    touches(moved).iter().map(|touch| touch.revision.0).collect()
}

/// A change of no row with this many touches.
fn busy(count: usize) -> Change {
    seen([], &vec!["busy"; count])
}

pub(super) async fn revisions_have_no_gap_and_follow_the_order(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let written = [
        vec![touch(Kind::Secret, "grün/🔑", Some(7)), touch(Kind::Policy, "a", None)],
        vec![],
        vec![Touch {
            action: i16::MAX,
            ..touch(Kind::KeyRing, "z", Some(i64::MAX))
        }],
        vec![touch(Kind::Secret, "a", None), touch(Kind::Secret, "a", None)],
    ];
    let mut elsewhere = touch(Kind::Client, "b", Some(1));
    elsewhere.key.namespace = THERE;
    let group: Vec<Change> = written
        .iter()
        .map(|touches| Change {
            writes: vec![],
            touches: touches.clone(),
        })
        .collect();
    assert_eq!(writer.apply(&group, Revision(0)).await.fence.top, Revision(0));
    let last = Change {
        writes: vec![],
        touches: vec![elsewhere.clone()],
    };
    assert_eq!(writer.apply(&[last], Revision(0)).await.fence.top, Revision(5));

    let expected: Vec<Touch> = written
        .into_iter()
        .flatten()
        .chain([elsewhere])
        .zip(1..)
        .map(|(touch, revision)| Touch {
            revision: Revision(revision),
            ..touch
        })
        .collect();
    let at = store.touches(START, Revision(0), 100).await.unwrap();
    assert_eq!(at.revision, Revision(6));
    assert_eq!(touches(at.value), expected);
}

pub(super) async fn a_change_without_touches_takes_no_revision(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    assert_eq!(writer.change(quiet([insert(&secret(1, "a"))])).await, Outcome::Applied);
    let at = store.touches(START, Revision(0), 100).await.unwrap();
    assert_eq!((at.revision, at.value), (Revision(0), Moved::Touches(vec![])));
}

pub(super) async fn a_fence_tells_the_changes_above_and_only_them(store: &dyn Store) {
    let mut changes = Writer::new(store, Lane::Changes);
    let mut reads = Writer::new(store, Lane::Reads);
    for _ in 0..5 {
        changes.change(busy(1)).await;
    }
    for since in 0..=5 {
        let entry = reads.entry();
        let (_, fence) = reads.record(vec![entry], Revision(since)).await;
        assert_eq!(fence.top, Revision(5));
        assert_eq!(numbers(fence.moved), (since + 1..=5).collect::<Vec<_>>());
    }
    // What the group itself changes is no news to it.
    let applied = changes.apply(&[busy(2)], Revision(3)).await;
    assert_eq!(applied.fence.top, Revision(5));
    assert_eq!(numbers(applied.fence.moved), [4, 5]);
    let applied = changes.apply(&[quiet([insert(&secret(1, "a"))])], Revision(6)).await;
    assert_eq!(applied.fence.top, Revision(7));
    assert_eq!(numbers(applied.fence.moved), [7]);
}

pub(super) async fn a_verdict_sees_the_fence_that_is_returned(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    writer.change(busy(3)).await;
    let mut fences = Vec::new();
    let entry = writer.entry();
    let batch = writer.seal(vec![entry]);
    let applied = store
        .apply(Lane::Changes, START, &[busy(1)], Revision(1), &mut |fence, _| {
            fences.push(fence.clone());
            crate::Verdict::Commit(batch.clone())
        })
        .await
        .unwrap();
    assert_eq!(numbers(applied.fence.moved.clone()), [2, 3]);
    assert_eq!(fences, [applied.fence]);
}

pub(super) async fn more_than_a_hundred_changes_are_too_many(store: &dyn Store) {
    let mut changes = Writer::new(store, Lane::Changes);
    let mut reads = Writer::new(store, Lane::Reads);
    changes.change(busy(101)).await;
    let entry = reads.entry();
    let (_, fence) = reads.record(vec![entry.clone()], Revision(0)).await;
    assert_eq!((fence.top, fence.moved), (Revision(101), Moved::TooMany));
    let (_, fence) = reads.record(vec![entry], Revision(1)).await;
    assert_eq!(numbers(fence.moved).len(), 100);
    let applied = changes.apply(&[busy(1)], Revision(0)).await;
    assert_eq!(
        (applied.fence.top, applied.fence.moved),
        (Revision(101), Moved::TooMany)
    );
    let applied = changes.apply(&[quiet([insert(&secret(1, "a"))])], Revision(2)).await;
    assert_eq!(numbers(applied.fence.moved).len(), 100);
}

pub(super) async fn touches_are_bounded_by_their_limit(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    writer.change(busy(150)).await;
    for (since, limit, expected) in [
        (0, 150, Some(150)),
        (0, 149, None),
        (149, 1, Some(1)),
        (148, 1, None),
        (150, 1, Some(0)),
    ] {
        let at = store.touches(START, Revision(since), limit).await.unwrap();
        let found = match at.value {
            Moved::Touches(touches) => Some(touches.len()),
            Moved::TooMany => None,
        };
        assert_eq!(
            (found, at.revision),
            (expected, Revision(150)),
            "since {since}, limit {limit}"
        );
    }
}

pub(super) async fn changes_come_in_pages_that_follow_each_other(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    writer.change(busy(250)).await;
    let mut since = Revision(0);
    let mut pages = Vec::new();
    loop {
        let page = store.changes(START, since, 100).await.unwrap();
        assert_eq!(page.revision, Revision(250));
        let page = page.value.expect("all are kept");
        let Some(last) = page.last() else { break };
        since = last.revision;
        pages.push(page);
    }
    let all = touches(store.touches(START, Revision(0), 250).await.unwrap().value);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(pages.concat(), all);
}

pub(super) async fn changes_that_are_not_kept_are_told_from_none(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    // A node whose clock is ahead made the third: what is removed by time need not be the oldest by revision.
    for second in [0, 1, 9, 2, 3, 4] {
        writer.now = START + seconds(second);
        writer.change(busy(1)).await;
    }
    let before = START + seconds(4);
    while store.upkeep(START, Upkeep::Prune { before }).await.unwrap() == UpkeepDone::More {}
    let mut kept = Vec::new();
    for since in 0..=7 {
        let found = store.changes(START, Revision(since), 1).await.unwrap();
        assert_eq!(found.revision, Revision(6));
        kept.extend(found.value.map(|_| since));
    }
    // An embedded store's clock stays where it was ahead, so there what came behind the third is as young.
    assert!(kept == [2, 5, 6] || kept == [2, 3, 4, 5, 6], "{kept:?}");
}

pub(super) async fn a_read_tells_the_revision_of_its_snapshot(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let head = secret(1, "a");
    writer.change(seen([insert(&head)], &["a"])).await;
    writer.change(busy(1)).await;
    let batch = void(BatchId(1), Lane::Changes.class(), START).batch;
    let filter = AuditFilter {
        limit: 1,
        ..AuditFilter::default()
    };
    let (keys, now, id) = ([head.key()], START, ObjectId([1; 16]));
    let here: NamespaceId = HERE;
    let revisions = [
        revision(store.find(now, &keys)).await,
        revision(store.find_by_id(now, here, Kind::Secret, id)).await,
        revision(store.find_by_id(now, here, Kind::Policy, id)).await,
        revision(store.list(now, here, Kind::Secret, "", "", 10)).await,
        revision(store.list(now, here, Kind::Policy, "", "", 10)).await,
        revision(store.of_kind(now, Kind::Secret)).await,
        revision(store.of_kind(now, Kind::Token)).await,
        revision(store.version(now, here, id, 1)).await,
        revision(store.touches(now, Revision(0), 10)).await,
        revision(store.changes(now, Revision(0), 10)).await,
        revision(store.last_boot(now)).await,
        revision(store.entries(now, &filter)).await,
        revision(store.batches(now, BatchId(0), 10)).await,
        revision(store.batch_entries(now, &batch)).await,
        revision(store.sizes(now)).await,
        revision(store.find(now, &[])).await,
    ];
    assert_eq!(revisions, [Revision(2); 16]);
}

async fn revision<T>(read: impl Future<Output = Result<crate::At<T>, crate::StoreError>>) -> Revision {
    read.await.unwrap().revision
}

pub(super) async fn the_databases_time_does_not_go_backwards(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let mut last = Time(0);
    for second in 0..10 {
        let now = START + seconds(second);
        writer.now = now;
        let entry = writer.entry();
        let times = [
            store.touches(now, Revision(0), 100).await.unwrap().db_now,
            writer.apply(&[busy(1)], Revision(0)).await.fence.db_now,
            store.of_kind(now, Kind::Secret).await.unwrap().db_now,
            writer.record(vec![entry], Revision(0)).await.1.db_now,
        ];
        for time in times {
            assert!(time >= last, "{time} came after {last}");
            last = time;
        }
    }
}
