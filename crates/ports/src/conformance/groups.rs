//! A change is all or nothing, and a group is what is left of its changes.

use strongroom_domain::audit::Lane;
use strongroom_domain::{Change, Fence, Kind, Moved, Outcome, Revision, Row, Write};

use super::contents::Contents;
use super::fixtures::{START, insert, quiet, replace, secret, seen, successor, version};
use super::writer::Writer;
use crate::{Applied, Store, StoreError, Verdict};

const APPLIED: Option<Outcome> = Some(Outcome::Applied);
const CONFLICT: Option<Outcome> = Some(Outcome::Conflict);

/// Applies a group on the lane of changes, says each of `verdicts` in turn, and tells what each was asked about.
async fn play(
    store: &dyn Store,
    group: &[Change],
    verdicts: Vec<Verdict>,
) -> (Result<Applied, StoreError>, Vec<(Fence, Vec<Option<Outcome>>)>) {
    let mut asked = Vec::new();
    let mut verdicts = verdicts.into_iter();
    let mut seal = |fence: &Fence, outcomes: &[Option<Outcome>]| {
        asked.push((fence.clone(), outcomes.to_vec()));
        verdicts.next().expect("the store asks no more often than it has to")
    };
    let result = store.apply(Lane::Changes, START, group, Revision(0), &mut seal).await;
    assert_eq!(verdicts.next().map(drop), None, "a verdict was not asked for");
    (result, asked)
}

async fn names(store: &dyn Store) -> Vec<String> {
    let mut records = store.of_kind(START, Kind::Secret).await.unwrap().value;
    records.sort_by(|a, b| a.name.cmp(&b.name));
    records.into_iter().map(|record| record.name).collect()
}

fn commit(writer: &mut Writer<'_>) -> Verdict {
    let entry = writer.entry();
    Verdict::Commit(writer.seal(vec![entry]))
}

pub(super) async fn a_change_is_all_or_nothing_and_the_others_still_apply(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let old = secret(1, "old");
    writer.given(std::slice::from_ref(&old)).await;
    let stale = successor(&old, "never stored");
    let half = [
        insert(&secret(2, "half")),
        Write::Insert(Row::Version(version(2, 1))),
        replace(&stale, "no"),
    ];
    let group = [
        seen([insert(&secret(3, "first"))], &["first"]),
        seen(half, &["half", "old"]),
        seen(
            [insert(&secret(4, "last")), Write::Insert(Row::Version(version(4, 1)))],
            &["last"],
        ),
    ];
    let applied = writer.apply(&group, Revision(0)).await;
    assert_eq!(applied.outcomes, [APPLIED, CONFLICT, APPLIED]);
    assert_eq!(names(store).await, ["first", "last", "old"]);
    let half = version(2, 1);
    assert!(
        store
            .version(START, half.namespace, half.owner, 1)
            .await
            .unwrap()
            .value
            .is_none()
    );
    let whole = version(4, 1);
    assert!(
        store
            .version(START, whole.namespace, whole.owner, 1)
            .await
            .unwrap()
            .value
            .is_some()
    );
    let Moved::Touches(touches) = store.touches(START, Revision(0), 10).await.unwrap().value else {
        panic!("two changes are not too many")
    };
    let told: Vec<(i64, &str)> = touches
        .iter()
        .map(|touch| (touch.revision.0, touch.key.name.as_str()))
        .collect();
    assert_eq!(told, [(1, "first"), (2, "last")], "what was left out took no number");
}

/// The same row replaced, the same version inserted, the same name taken: a set statement would write one of the two and
/// say that both are written.
pub(super) async fn of_two_changes_of_one_row_the_later_conflicts(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let head = secret(1, "head");
    writer.given(std::slice::from_ref(&head)).await;
    let put = |body: &str| quiet([replace(&head, body), Write::Insert(Row::Version(version(1, 1)))]);
    let group = [
        put("first"),
        put("second"),
        quiet([insert(&secret(2, "name"))]),
        quiet([insert(&secret(3, "name"))]),
    ];
    let (applied, _) = play(store, &group, vec![commit(&mut writer)]).await;
    assert_eq!(applied.unwrap().outcomes, [APPLIED, CONFLICT, APPLIED, CONFLICT]);
    let found = store.find(START, &[head.key()]).await.unwrap().value;
    assert_eq!(found[0].body, b"first");
    assert_eq!(names(store).await, ["head", "name"]);
}

pub(super) async fn a_large_group_with_many_conflicts_keeps_its_order(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let taken: Vec<_> = (0..60).step_by(3).map(|id| secret(id, &format!("s{id:02}"))).collect();
    writer.given(&taken).await;
    let group: Vec<Change> = (0..60)
        .rev()
        .map(|id| {
            let name = format!("s{id:02}");
            seen(
                [insert(&secret(id, &name)), Write::Insert(Row::Version(version(id, 1)))],
                &[&name],
            )
        })
        .collect();
    let applied = writer.apply(&group, Revision(0)).await;
    let expected: Vec<_> = (0..60)
        .rev()
        .map(|id| if id % 3 == 0 { CONFLICT } else { APPLIED })
        .collect();
    assert_eq!(applied.outcomes, expected);
    let Moved::Touches(touches) = store.touches(START, Revision(0), 100).await.unwrap().value else {
        panic!("40 changes are not too many")
    };
    let told: Vec<String> = touches.into_iter().map(|touch| touch.key.name).collect();
    let order: Vec<String> = (0..60)
        .rev()
        .filter(|id| id % 3 != 0)
        .map(|id| format!("s{id:02}"))
        .collect();
    assert_eq!(told, order, "revisions follow the group's order, not the keys'");
}

pub(super) async fn a_group_of_conflicts_asks_for_no_verdict_and_writes_nothing(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    writer.change(seen([insert(&secret(1, "a"))], &["a"])).await;
    let before = Contents::of(store, START).await;
    let group = [
        seen([insert(&secret(1, "a"))], &["a"]),
        quiet([replace(&secret(9, "z"), "no"), insert(&secret(2, "b"))]),
    ];
    for (group, outcomes) in [(&group[..], vec![CONFLICT, CONFLICT]), (&[], vec![])] {
        let (result, asked) = play(store, group, vec![]).await;
        let applied = result.unwrap();
        assert_eq!(applied.outcomes, outcomes);
        assert_eq!(applied.fence.top, Revision(1));
        assert!(matches!(applied.fence.moved, Moved::Touches(touches) if touches.len() == 1));
        assert!(asked.is_empty());
    }
    assert_eq!(Contents::of(store, START).await, before);
}

pub(super) async fn what_the_verdict_takes_out_leaves_nothing_behind(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    writer.given(&[secret(9, "taken")]).await;
    let group = [
        seen(
            [insert(&secret(1, "a")), Write::Insert(Row::Version(version(1, 1)))],
            &["a"],
        ),
        seen([insert(&secret(2, "b"))], &["b"]),
        seen([insert(&secret(9, "taken"))], &["taken"]),
        seen([insert(&secret(3, "c"))], &["c", "c again"]),
        seen([insert(&secret(4, "d"))], &["d"]),
    ];
    let verdicts = vec![
        Verdict::Without(vec![0]),
        Verdict::Without(vec![4]),
        commit(&mut writer),
    ];
    let (result, asked) = play(store, &group, verdicts).await;
    let applied = result.unwrap();
    let outcomes: Vec<_> = asked.iter().map(|(_, outcomes)| outcomes.clone()).collect();
    assert_eq!(
        outcomes,
        [
            vec![APPLIED, APPLIED, CONFLICT, APPLIED, APPLIED],
            vec![None, APPLIED, CONFLICT, APPLIED, APPLIED],
            vec![None, APPLIED, CONFLICT, APPLIED, None],
        ]
    );
    assert_eq!(Some(&applied.outcomes), outcomes.last());
    assert_eq!(asked.last().map(|(fence, _)| fence), Some(&applied.fence));
    assert_eq!(applied.fence.top, Revision(0));
    assert_eq!(names(store).await, ["b", "c", "taken"]);
    let gone = version(1, 1);
    assert!(
        store
            .version(START, gone.namespace, gone.owner, 1)
            .await
            .unwrap()
            .value
            .is_none()
    );
    let at = store.touches(START, Revision(0), 10).await.unwrap();
    assert_eq!(at.revision, Revision(3));
    assert!(matches!(at.value, Moved::Touches(touches) if touches[0].key.name == "b" && touches.len() == 3));
}

pub(super) async fn taking_out_every_change_writes_nothing(store: &dyn Store) {
    let before = Contents::of(store, START).await;
    let group = [
        seen([insert(&secret(1, "a"))], &["a"]),
        quiet([insert(&secret(2, "b"))]),
    ];
    let (result, asked) = play(store, &group, vec![Verdict::Without(vec![0, 1])]).await;
    assert_eq!(result.unwrap().outcomes, [None, None]);
    assert_eq!(asked.len(), 1);
    assert_eq!(Contents::of(store, START).await, before);
}

pub(super) async fn an_abandoned_group_leaves_nothing_behind(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let old = secret(1, "old");
    writer.given(std::slice::from_ref(&old)).await;
    let before = Contents::of(store, START).await;
    let group = [
        seen(
            [insert(&secret(2, "b")), Write::Insert(Row::Version(version(2, 1)))],
            &["b"],
        ),
        quiet([replace(&old, "no")]),
    ];
    let (result, _) = play(store, &group, vec![Verdict::Abandon]).await;
    assert!(matches!(result, Err(StoreError::Abandoned)), "{result:?}");
    let (result, _) = play(store, &group, vec![Verdict::Without(vec![0]), Verdict::Abandon]).await;
    assert!(matches!(result, Err(StoreError::Abandoned)), "{result:?}");
    assert_eq!(Contents::of(store, START).await, before);
    // The lane works on, and the numbers that were not used are used now.
    let (result, asked) = play(store, &group, vec![commit(&mut writer)]).await;
    assert_eq!(result.unwrap().outcomes, [APPLIED, APPLIED]);
    assert_eq!(asked[0].0.top, Revision(0));
    assert_eq!(
        store.touches(START, Revision(0), 10).await.unwrap().revision,
        Revision(1)
    );
}

pub(super) async fn a_group_with_a_taken_batch_number_leaves_nothing_behind(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Changes);
    let entry = writer.entry();
    let (batch, _) = writer.record(vec![entry.clone(), entry.clone()], Revision(0)).await;
    let before = Contents::of(store, START).await;
    let group = [seen([insert(&secret(1, "a"))], &["a"])];
    let again = Verdict::Commit(super::fixtures::sealed(
        batch.batch.id,
        batch.batch.class,
        START,
        vec![entry],
    ));
    let (result, _) = play(store, &group, vec![again]).await;
    assert!(matches!(result, Err(StoreError::BatchTaken)), "{result:?}");
    assert_eq!(Contents::of(store, START).await, before);
    assert_eq!(writer.apply(&group, Revision(0)).await.outcomes, [APPLIED]);
}
