//! Searching the log.

use strongroom_domain::audit::{Action, Entry, Lane, OutcomeKind, StoredEntry};
use strongroom_domain::{PrincipalId, Revision, Time};

use super::fixtures::{START, THERE, days, seconds};
use super::writer::{Writer, keep_up};
use crate::{AuditFilter, Store, Upkeep};

fn filter() -> AuditFilter {
    AuditFilter {
        limit: 1_000,
        ..AuditFilter::default()
    }
}

async fn search(store: &dyn Store, filter: &AuditFilter) -> Vec<StoredEntry> {
    store.entries(START, filter).await.unwrap().value
}

fn place(stored: &StoredEntry) -> (Time, strongroom_domain::audit::BatchId, i64) {
    (stored.entry.at, stored.batch, stored.place)
}

/// Entries of both classes, many of them at the same time, recorded out of that order. Newest first.
async fn varied_log(store: &dyn Store) -> Vec<StoredEntry> {
    let mut all = Vec::new();
    for lane in Lane::ALL {
        let mut writer = Writer::new(store, lane);
        for round in [2, 0, 1] {
            let base = Entry {
                at: START + seconds(round),
                ..writer.entry()
            };
            let denied = Entry {
                action: Action::SecretRead,
                outcome: OutcomeKind::Denied,
                ..base.clone()
            };
            let refused = Entry {
                outcome: OutcomeKind::Refused,
                reason: 20,
                ..base.clone()
            };
            let mut entries = vec![
                base.clone(),
                refused,
                Entry {
                    principal: None,
                    ..base.clone()
                },
                Entry {
                    principal: Some(PrincipalId([9; 16])),
                    path: "payments/prod".into(),
                    ..base.clone()
                },
                Entry {
                    namespace: THERE,
                    path: "PAYMENTS/prod/api-key".into(),
                    ..base.clone()
                },
                Entry {
                    at: START,
                    path: "payments%prod_x".into(),
                    ..base.clone()
                },
                Entry {
                    path: "ü\\é".into(),
                    ..base
                },
            ];
            if lane != Lane::Reads {
                entries.push(denied);
            }
            all.extend(writer.record(entries, Revision(0)).await.0.entries);
        }
    }
    all.sort_by_key(|stored| std::cmp::Reverse(place(stored)));
    all
}

pub(super) async fn entries_come_newest_first(store: &dyn Store) {
    let all = varied_log(store).await;
    assert_eq!(search(store, &filter()).await, all);
}

pub(super) async fn pages_of_entries_leave_none_out_and_repeat_none(store: &dyn Store) {
    let all = varied_log(store).await;
    for limit in [1, 4, 1_000] {
        let (mut paged, mut before) = (Vec::new(), None);
        loop {
            let page = search(
                store,
                &AuditFilter {
                    before,
                    limit,
                    ..filter()
                },
            )
            .await;
            assert!(page.len() <= limit.into());
            let Some(last) = page.last() else { break };
            before = Some(place(last));
            paged.extend(page);
            assert!(paged.len() <= all.len(), "pages repeat themselves");
        }
        assert_eq!(paged, all, "by {limit}");
    }
}

type Condition = fn(&Entry) -> bool;

const SECOND: Time = Time(START.0 + 1_000_000);
const THIRD: Time = Time(START.0 + 2_000_000);
const SOMEONE: PrincipalId = PrincipalId([9; 16]);

fn with(set: impl FnOnce(&mut AuditFilter)) -> AuditFilter {
    let mut filter = filter();
    set(&mut filter);
    filter
}

/// Each filter beside what it means.
fn conditions() -> Vec<(AuditFilter, Condition)> {
    let read = Some(Action::SecretRead.number());
    let denied = Some(OutcomeKind::Denied.number());
    let between = |since, until| with(|f| (f.since, f.until) = (Some(since), Some(until)));
    let denied_reads = with(|f| (f.since, f.action, f.outcome) = (Some(SECOND), read, denied));
    vec![
        (with(|f| f.namespace = Some(THERE)), |entry| entry.namespace == THERE),
        (with(|f| f.since = Some(SECOND)), |entry| entry.at >= SECOND),
        (with(|f| f.until = Some(SECOND)), |entry| entry.at < SECOND),
        (between(SECOND, THIRD), |entry| entry.at == SECOND),
        (between(SECOND, SECOND), |_| false),
        (with(|f| f.principal = Some(SOMEONE)), |entry| {
            entry.principal == Some(SOMEONE)
        }),
        (with(|f| f.action = read), |entry| entry.action == Action::SecretRead),
        (with(|f| f.outcome = denied), |entry| {
            entry.outcome == OutcomeKind::Denied
        }),
        (
            with(|f| (f.namespace, f.principal) = (Some(THERE), Some(SOMEONE))),
            |_| false,
        ),
        (denied_reads, |entry| {
            entry.at >= SECOND && entry.outcome == OutcomeKind::Denied
        }),
    ]
}

/// A path is no pattern, and no collation makes two letters one.
fn path_conditions() -> Vec<(AuditFilter, Condition)> {
    let path = |path: &str| with(|f| f.path = Some(path.into()));
    let early = AuditFilter {
        until: Some(SECOND),
        ..path("payments/prod/")
    };
    vec![
        (path(""), |_| true),
        (path("payments/prod"), |entry| entry.path.starts_with("payments/prod")),
        (path("payments/prod/"), |entry| entry.path == "payments/prod/api-key"),
        (path("payments%"), |entry| entry.path == "payments%prod_x"),
        (path("payments_"), |_| false),
        (path("P"), |entry| entry.path == "PAYMENTS/prod/api-key"),
        (path("ü\\"), |entry| entry.path == "ü\\é"),
        (path("u"), |_| false),
        (early, |entry| {
            entry.at < SECOND && entry.path == "payments/prod/api-key"
        }),
    ]
}

async fn expect_conditions(store: &dyn Store, conditions: Vec<(AuditFilter, Condition)>) {
    let all = varied_log(store).await;
    for (filter, holds) in conditions {
        let expected: Vec<StoredEntry> = all.iter().filter(|stored| holds(&stored.entry)).cloned().collect();
        assert_eq!(search(store, &filter).await, expected, "{filter:?}");
    }
}

pub(super) async fn every_condition_on_entries_holds(store: &dyn Store) {
    expect_conditions(store, conditions()).await;
}

pub(super) async fn a_path_of_entries_is_matched_byte_for_byte(store: &dyn Store) {
    expect_conditions(store, path_conditions()).await;
}

pub(super) async fn a_page_of_filtered_entries_goes_on_before_a_place(store: &dyn Store) {
    let all = varied_log(store).await;
    let denied = OutcomeKind::Denied;
    let expected: Vec<StoredEntry> = all
        .into_iter()
        .filter(|stored| stored.entry.outcome == denied)
        .collect();
    for stored in &expected {
        let filter = AuditFilter {
            outcome: Some(denied.number()),
            before: Some(place(stored)),
            limit: 2,
            ..filter()
        };
        let older = expected
            .iter()
            .skip_while(|other| place(other) >= place(stored))
            .take(2);
        assert_eq!(search(store, &filter).await, older.cloned().collect::<Vec<_>>());
    }
}

/// Entries can be older than any partition, and newer too: they lie in the default one until there is a better place,
/// and making that place must not fail over them.
pub(super) async fn entries_of_any_month_are_stored_and_found(store: &dyn Store) {
    let mut all = Vec::new();
    for lane in [Lane::Reads, Lane::Changes] {
        let mut writer = Writer::new(store, lane);
        keep_up(store, START, Upkeep::MakePartitions).await;
        keep_up(store, START, Upkeep::MakePartitions).await;
        for at in [START - days(600), START, START + days(40), START + days(200)] {
            writer.now = at.max(START);
            let entry = Entry { at, ..writer.entry() };
            let (batch, _) = writer.record(vec![entry], Revision(0)).await;
            assert_eq!(
                store.batch_entries(START, &batch.batch).await.unwrap().value,
                batch.entries
            );
            all.extend(batch.entries);
        }
    }
    all.sort_by_key(|stored| std::cmp::Reverse(place(stored)));
    assert_eq!(search(store, &filter()).await, all);
    keep_up(store, START + days(150), Upkeep::MakePartitions).await;
    keep_up(store, START + days(210), Upkeep::MakePartitions).await;
    assert_eq!(search(store, &filter()).await, all);
}

pub(super) async fn the_newest_granted_are_found_by_action(store: &dyn Store) {
    let mut kept = Writer::new(store, Lane::Changes);
    let mut reads = Writer::new(store, Lane::Reads);
    let wanted = [Action::PolicyWrite, Action::RoleDelete];
    let of = |action, second, version| Entry {
        at: START + seconds(second),
        action,
        version,
        ..kept.entry()
    };
    let denied = Entry {
        outcome: OutcomeKind::Denied,
        ..of(Action::PolicyWrite, 8, Some(8))
    };
    let entries = vec![
        of(Action::PolicyWrite, 3, Some(3)),
        of(Action::RoleDelete, 1, Some(1)),
        of(Action::PolicyWrite, 2, Some(2)),
        of(Action::RoleWrite, 7, Some(7)),
        of(Action::RoleDelete, 9, None),
        denied,
    ];
    kept.record(entries, Revision(0)).await;
    let read = Entry {
        at: START + seconds(10),
        version: Some(10),
        ..reads.entry()
    };
    reads.record(vec![read], Revision(0)).await;
    let actions = wanted.map(Action::number);
    let found = async |since: Time, limit| {
        let found = store.newest_granted(START, &actions, since, limit).await.unwrap().value;
        found
            .iter()
            .filter_map(|stored| stored.entry.version)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(START, 10).await, [3, 2, 1]);
    assert_eq!(found(START, 2).await, [3, 2]);
    assert_eq!(found(START + seconds(2), 10).await, [3, 2]);
    assert_eq!(found(START + seconds(4), 10).await, [0; 0]);
}
