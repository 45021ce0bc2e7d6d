//! Batches and their entries, and what becomes of a batch whose commit was not confirmed.

use strongroom_domain::audit::{Action, BatchId, Class, Dialect, Entry, Lane, OutcomeKind, SealedBatch};
use strongroom_domain::{Digest, NamespaceId, PrincipalId, Revision, Time};

use super::contents::Contents;
use super::fixtures::{BOOT, START, entry, sealed, seconds, void};
use super::writer::Writer;
use crate::{Store, StoreError};

/// Entries with each optional column there and absent, and texts that some encodings mangle.
fn unusual_entries(lane: Lane) -> Vec<Entry> {
    let base = entry(lane.class(), START);
    let odd = match lane.class() {
        Class::Reads => Entry {
            action: Action::AuditRead,
            outcome: OutcomeKind::Refused,
            reason: 20,
            ..base.clone()
        },
        Class::Kept => Entry {
            action: Action::SecretRead,
            outcome: OutcomeKind::Denied,
            reason: 12,
            ..base.clone()
        },
    };
    vec![
        base.clone(),
        odd,
        Entry {
            principal: None,
            version: None,
            digest: None,
            path: String::new(),
            ..base.clone()
        },
        Entry {
            digest: Some(Digest([0xab; 32])),
            version: Some(i64::MAX),
            count: i64::MAX,
            ..base.clone()
        },
        Entry {
            path: "grün/日本/🔑'\"\\{},%_".into(),
            reason: i16::MAX,
            ..base.clone()
        },
        Entry {
            dialect: Dialect::Internal,
            namespace: NamespaceId([0; 16]),
            who: Digest::ZERO,
            ..base.clone()
        },
        // Committed a moment after midnight of a new month, asked before.
        Entry {
            at: Time::parse("2026-07-31T23:59:59.999999Z").unwrap(),
            ..base
        },
    ]
}

fn unusual_batch(lane: Lane) -> SealedBatch {
    let mut batch = sealed(BatchId::new(BOOT, lane, 4), lane.class(), START, unusual_entries(lane));
    batch.entries[1].accessor = None;
    batch.entries[2].source = None;
    batch.entries[3].accessor = Some("".into());
    batch.entries[4].source = Some("2001:db8::1 'ü'\\".into());
    batch
}

async fn expect_whole(store: &dyn Store, sealed: &SealedBatch) {
    let before = BatchId(sealed.batch.id.0 - 1);
    let batches = store.batches(START, before, 1).await.unwrap().value;
    assert_eq!(batches.as_slice(), std::slice::from_ref(&sealed.batch));
    assert_eq!(
        store.batch_entries(START, &sealed.batch).await.unwrap().value,
        sealed.entries
    );
}

pub(super) async fn a_recorded_batch_comes_back_as_it_was_sealed(store: &dyn Store) {
    for lane in Lane::ALL {
        let batch = unusual_batch(lane);
        store.record(lane, START, &batch, Revision(0)).await.unwrap();
        expect_whole(store, &batch).await;
    }
}

pub(super) async fn a_batch_applied_with_a_group_comes_back_as_it_was_sealed(store: &dyn Store) {
    for lane in [Lane::Changes, Lane::Events] {
        let batch = unusual_batch(lane);
        let change = super::fixtures::seen([], &["a"]);
        let mut seal = |_: &_, _: &[_]| crate::Verdict::Commit(batch.clone());
        store
            .apply(lane, START, &[change], Revision(0), &mut seal)
            .await
            .unwrap();
        expect_whole(store, &batch).await;
    }
}

pub(super) async fn a_large_batch_comes_back_whole(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Reads);
    let entries = (0..1_000)
        .map(|n| Entry {
            version: Some(n),
            ..writer.entry()
        })
        .collect();
    let (batch, _) = writer.record(entries, Revision(0)).await;
    expect_whole(store, &batch).await;
}

pub(super) async fn batches_come_in_the_order_of_their_ids(store: &dyn Store) {
    let ids: Vec<BatchId> = [(BOOT, 7), (BOOT, 8), (BOOT + 1, 0), (2, 3)]
        .into_iter()
        .flat_map(|(boot, number)| Lane::ALL.map(|lane| BatchId::new(boot, lane, number)))
        .collect();
    for id in &ids {
        let lane = id.lane().unwrap();
        let batch = sealed(*id, lane.class(), START, vec![entry(lane.class(), START)]);
        store.record(lane, START, &batch, Revision(0)).await.unwrap();
    }
    let mut sorted = ids;
    sorted.sort();
    let (mut paged, mut after) = (Vec::new(), BatchId(0));
    loop {
        let page = store.batches(START, after, 5).await.unwrap().value;
        assert!(page.len() <= 5);
        let Some(last) = page.last() else { break };
        after = last.id;
        paged.extend(page.iter().map(|batch| batch.id));
        assert!(paged.len() <= sorted.len(), "pages repeat themselves");
    }
    assert_eq!(paged, sorted);
}

pub(super) async fn a_taken_batch_number_is_refused(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Reads);
    let entry = writer.entry();
    let (first, _) = writer.record(vec![entry.clone()], Revision(0)).await;
    let before = Contents::of(store, START).await;
    let later = START + seconds(1);
    let other = sealed(
        first.batch.id,
        Class::Reads,
        later,
        vec![Entry {
            principal: Some(PrincipalId([1; 16])),
            ..entry
        }],
    );
    for batch in [&first, &other] {
        let result = store.record(Lane::Reads, later, batch, Revision(0)).await;
        assert!(matches!(result, Err(StoreError::BatchTaken)), "{result:?}");
    }
    assert_eq!(Contents::of(store, START).await, before);
}

pub(super) async fn settling_a_lost_batch_keeps_it_out_for_ever(store: &dyn Store) {
    for lane in Lane::ALL {
        let mut writer = Writer::new(store, lane);
        let entry = writer.entry();
        let lost = writer.seal(vec![entry]);
        let void = void(lost.batch.id, lane.class(), START);
        assert_eq!(store.settle(lane, START, &void).await.unwrap(), void.batch.mac);
        let late = store.record(lane, START, &lost, Revision(0)).await;
        assert!(matches!(late, Err(StoreError::BatchTaken)), "{late:?}");
        expect_whole(store, &void).await;
    }
}

pub(super) async fn settling_a_batch_that_was_committed_says_so(store: &dyn Store) {
    for lane in Lane::ALL {
        let mut writer = Writer::new(store, lane);
        let entry = writer.entry();
        let (batch, _) = writer.record(vec![entry], Revision(0)).await;
        let before = Contents::of(store, START).await;
        let void = void(batch.batch.id, lane.class(), START);
        assert_eq!(store.settle(lane, START, &void).await.unwrap(), batch.batch.mac);
        assert_eq!(Contents::of(store, START).await, before);
    }
}

/// The commit of a settlement can itself go unconfirmed: asked again, it finds its own void batch.
pub(super) async fn settling_again_gives_the_same_answer(store: &dyn Store) {
    let id = BatchId::new(BOOT, Lane::Changes, 9);
    let first = void(id, Class::Kept, START);
    for second in 0..3 {
        let now = START + seconds(second);
        let mut again = void(id, Class::Kept, now);
        again.batch.mac = if second == 0 { first.batch.mac } else { Digest([9; 32]) };
        assert_eq!(store.settle(Lane::Changes, now, &again).await.unwrap(), first.batch.mac);
    }
    expect_whole(store, &first).await;
}
