//! Lanes work at the same time, and nothing is lost, doubled or out of order.

use strongroom_domain::audit::{BatchId, Lane};
use strongroom_domain::{Moved, Outcome, Record, Revision};

use super::fixtures::{START, insert, quiet, replace, secret, seen, successor};
use super::writer::Writer;
use crate::Store;

const ROUNDS: u8 = 20;

pub(super) async fn of_several_swaps_of_one_row_exactly_one_wins(store: &dyn Store) {
    let mut current = secret(1, "contended");
    Writer::new(store, Lane::Changes)
        .given(std::slice::from_ref(&current))
        .await;
    let [mut reads, mut changes, mut events] = Lane::ALL.map(|lane| {
        let mut writer = Writer::new(store, lane);
        // The first number of a lane may be taken by the row above.
        writer.seal(vec![]);
        writer
    });
    for round in 1..=ROUNDS {
        let swap = |body| [seen([replace(&current, body)], &["contended"])];
        let (first, second, third) = (swap("reads"), swap("changes"), swap("events"));
        let results = tokio::join!(
            reads.apply(&first, Revision(0)),
            changes.apply(&second, Revision(0)),
            events.apply(&third, Revision(0))
        );
        let outcomes = [results.0, results.1, results.2].map(|applied| applied.outcomes[0]);
        let winners = outcomes.iter().zip(["reads", "changes", "events"]);
        let winners: Vec<&str> = winners
            .filter(|(outcome, _)| **outcome == Some(Outcome::Applied))
            .map(|(_, name)| name)
            .collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        current = successor(&current, winners[0]);
        let at = store.find(START, &[current.key()]).await.unwrap();
        assert_eq!(at.value, [current.clone()]);
        assert_eq!(at.revision, Revision(round.into()), "only winners take a revision");
    }
}

pub(super) async fn of_several_inserts_of_one_name_exactly_one_wins(store: &dyn Store) {
    let [mut reads, mut changes, mut events] = Lane::ALL.map(|lane| Writer::new(store, lane));
    for round in 0..ROUNDS {
        let name = format!("contended/{round}");
        let insert = |lane: u8| [quiet([insert(&secret(3 * round + lane, &name))])];
        let (first, second, third) = (insert(0), insert(1), insert(2));
        let results = tokio::join!(
            reads.apply(&first, Revision(0)),
            changes.apply(&second, Revision(0)),
            events.apply(&third, Revision(0))
        );
        let outcomes = [results.0, results.1, results.2].map(|applied| applied.outcomes[0]);
        let winners = outcomes
            .iter()
            .filter(|outcome| **outcome == Some(Outcome::Applied))
            .count();
        assert_eq!(winners, 1, "{outcomes:?}");
    }
    assert_eq!(store.sizes(START).await.unwrap().value.records, i64::from(ROUNDS));
}

/// A lane of reads that asks each time for what is new sees every change once, in order, whatever the others do.
pub(super) async fn fences_beside_other_lanes_miss_no_change(store: &dyn Store) {
    let changing = async {
        let mut writer = Writer::new(store, Lane::Changes);
        for id in 0..ROUNDS {
            let (first, second) = (
                secret(id, &format!("seen/{id}")),
                secret(id + ROUNDS, &format!("also/{id}")),
            );
            let group = [
                seen([insert(&first)], &[&first.name]),
                seen([insert(&second)], &[&second.name]),
            ];
            writer.apply(&group, Revision(0)).await;
        }
    };
    let noting = async {
        let mut writer = Writer::new(store, Lane::Events);
        let mut head: Record = secret(200, "quiet");
        writer.given(std::slice::from_ref(&head)).await;
        for _ in 0..ROUNDS {
            assert_eq!(writer.write([replace(&head, "again")]).await, Outcome::Applied);
            head = successor(&head, "again");
        }
    };
    let reading = async {
        let mut writer = Writer::new(store, Lane::Reads);
        let mut top = Revision(0);
        for _ in 0..2 * ROUNDS {
            top = catch_up(&mut writer, top).await;
        }
        (writer, top)
    };
    let ((), (), (mut writer, top)) = tokio::join!(changing, noting, reading);
    assert_eq!(catch_up(&mut writer, top).await, Revision(2 * i64::from(ROUNDS)));
    let batches = store.batches(START, BatchId(0), 1_000).await.unwrap().value;
    assert_eq!(batches.len(), usize::from(ROUNDS) * 4 + 2);
}

async fn catch_up(writer: &mut Writer<'_>, since: Revision) -> Revision {
    let entry = writer.entry();
    let (_, fence) = writer.record(vec![entry], since).await;
    let Moved::Touches(touches) = fence.moved else {
        panic!("{ROUNDS} rounds change less than a fence tells")
    };
    let numbers: Vec<i64> = touches.iter().map(|touch| touch.revision.0).collect();
    assert_eq!(numbers, (since.0 + 1..=fence.top.0).collect::<Vec<_>>());
    fence.top
}
