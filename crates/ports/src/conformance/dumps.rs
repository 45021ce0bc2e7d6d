//! What was dumped of one store fills another: here the model, and back.

use strongroom_domain::audit::{BatchId, Class, Lane};
use strongroom_domain::{Kind, ObjectId, Revision, Row, Time, Write};

use super::contents::Contents;
use super::fixtures::{BOOT, HERE, START, THERE, days, entry, record, sealed, secret, seen, version};
use super::writer::Writer;
use crate::memory::MemoryStore;
use crate::{BootRow, Dump, Fut, KEY_KINDS, PART_BYTES, Part, Store, StoreError, Upkeep, Weigh};

const FILL: ObjectId = ObjectId([0xf1; 16]);
const OTHER_FILL: ObjectId = ObjectId([0xf2; 16]);

#[derive(Default)]
struct Collected(Vec<Part>);

impl Dump for Collected {
    fn take(&mut self, part: Part) -> Fut<'_, ()> {
        self.0.push(part);
        Box::pin(async { Ok(()) })
    }
}

async fn dump(store: &dyn Store) -> Vec<Part> {
    let mut collected = Collected::default();
    store.dump(START, &mut collected).await.unwrap();
    collected.0
}

/// The keys last, as a fill wants them.
async fn fill(store: &dyn Store, fill: ObjectId, parts: Vec<Part>) -> Result<(), StoreError> {
    let (keys, others): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| matches!(part, Part::Keys { .. }));
    for part in others.into_iter().chain(keys) {
        store.fill(START, fill, part).await?;
    }
    Ok(())
}

/// Rows of every kind and table, entries of several months among them.
async fn furnish(store: &dyn Store) {
    store.upkeep(START, Upkeep::MakePartitions).await.unwrap();
    let boot = BootRow {
        boot: BOOT,
        node: "node-ä".into(),
        started_at: START,
        mac: strongroom_domain::Digest([8; 32]),
    };
    store.upkeep(START, Upkeep::Boot(boot)).await.unwrap();
    let mut writer = Writer::new(store, Lane::Changes);
    let records: Vec<_> = (1..)
        .zip(Kind::ALL)
        .map(|(id, kind)| record(*kind, id, "thing"))
        .collect();
    writer.given(&records).await;
    for owner in 1..=3 {
        let head = strongroom_domain::Record {
            namespace: if owner == 3 { THERE } else { HERE },
            due: Some(START),
            ..secret(owner + 100, &format!("a/{owner}\u{fc}"))
        };
        let versions = (1..=2).map(|number| Write::Insert(Row::Version(version(owner, number))));
        let writes: Vec<Write> = versions.chain([Write::Insert(Row::Record(head))]).collect();
        writer.apply(&[seen(writes, &["a"])], Revision(0)).await;
    }
    for (number, age) in [(1, 0), (2, 40), (3, 200)] {
        for (lane, class) in [(Lane::Reads, Class::Reads), (Lane::Events, Class::Kept)] {
            let at = Time(START.0 - i64::try_from(days(age).as_micros()).unwrap());
            let id = BatchId::new(BOOT - 1, lane, number);
            let batch = sealed(id, class, at, vec![entry(class, at); 3]);
            store.record(lane, START, &batch, Revision(0)).await.unwrap();
        }
    }
    let used = Upkeep::Used {
        namespace: HERE,
        secrets: vec![(ObjectId([1; 16]), START), (ObjectId([2; 16]), START - days(3))],
    };
    store.upkeep(START, used).await.unwrap();
}

async fn uses(store: &dyn Store) -> Vec<(ObjectId, Time)> {
    let secrets: Vec<ObjectId> = (1..=3).map(|id| ObjectId([id; 16])).collect();
    let mut found = store.last_used(START, HERE, &secrets).await.unwrap().value;
    found.sort_unstable();
    found
}

async fn assert_same(found: &dyn Store, expected: &dyn Store) {
    let (mut a, mut b) = (Contents::of(found, START).await, Contents::of(expected, START).await);
    a.forget_changes();
    b.forget_changes();
    assert_eq!(a, b);
    assert_eq!(uses(found).await, uses(expected).await);
    assert_eq!(uses(found).await.len(), 2);
}

pub(super) async fn what_was_dumped_fills_another_store(store: &dyn Store) {
    furnish(store).await;
    let model = MemoryStore::new();
    model.begin_fill(START, FILL).await.unwrap();
    fill(&model, FILL, dump(store).await).await.unwrap();
    assert_same(&model, store).await;
}

pub(super) async fn an_empty_store_is_filled(store: &dyn Store) {
    let model = MemoryStore::new();
    furnish(&model).await;
    store.begin_fill(START, FILL).await.unwrap();
    fill(store, FILL, dump(&model).await).await.unwrap();
    assert_same(store, &model).await;
    // And goes on as any other.
    let mut writer = Writer::new(store, Lane::Events);
    writer.given(&[record(Kind::Policy, 99, "new")]).await;
}

pub(super) async fn the_keys_and_nothing_else_come_first(store: &dyn Store) {
    furnish(store).await;
    let parts = dump(store).await;
    let Some(Part::Keys { records, snapshot }) = parts.first() else {
        panic!("the first part is {:?}", parts.first());
    };
    let mut kinds: Vec<Kind> = records.iter().map(|record| record.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, KEY_KINDS);
    assert_eq!(snapshot.revision, store.sizes(START).await.unwrap().revision);
    assert_eq!(snapshot.oldest_program, store.schema().oldest_program);
    let again = |part: &Part| match part {
        Part::Keys { .. } => true,
        Part::Records(records) => records.iter().any(|record| KEY_KINDS.contains(&record.kind)),
        _ => false,
    };
    assert!(!parts.iter().skip(1).any(again));
}

pub(super) async fn large_rows_go_in_several_parts(store: &dyn Store) {
    let mut writer = Writer::new(store, Lane::Events);
    for id in 1..=4 {
        let mut large = secret(id, &format!("large/{id}"));
        large.body = vec![id; PART_BYTES * 3 / 4];
        writer.given(&[large]).await;
    }
    let parts = dump(store).await;
    let weights = parts.iter().filter_map(|part| match part {
        Part::Records(records) => Some(records.iter().map(Weigh::weight).sum::<usize>()),
        _ => None,
    });
    let weights: Vec<usize> = weights.collect();
    assert!(
        weights.len() >= 2 && weights.iter().all(|weight| *weight < 2 * PART_BYTES),
        "{weights:?}"
    );
}

/// Writes to the store between the parts that it is given.
struct Meddler<'a> {
    parts: Vec<Part>,
    writer: Writer<'a>,
}

impl Dump for Meddler<'_> {
    fn take(&mut self, part: Part) -> Fut<'_, ()> {
        let id = 200 + u8::try_from(self.parts.len()).unwrap();
        self.parts.push(part);
        Box::pin(async move {
            let (name, late) = (format!("late/{id}"), record(Kind::Policy, id, &format!("late {id}")));
            self.writer
                .apply(&[seen(vec![Write::Insert(Row::Record(late))], &[&name])], Revision(0))
                .await;
            Ok(())
        })
    }
}

pub(super) async fn a_dump_is_of_one_moment(store: &dyn Store) {
    furnish(store).await;
    let before = store.sizes(START).await.unwrap();
    let mut writer = Writer::new(store, Lane::Changes);
    writer.number_from(1000);
    let mut meddler = Meddler {
        parts: Vec::new(),
        writer,
    };
    store.dump(START, &mut meddler).await.unwrap();
    let model = MemoryStore::new();
    model.begin_fill(START, FILL).await.unwrap();
    fill(&model, FILL, meddler.parts).await.unwrap();
    let found = model.sizes(START).await.unwrap();
    assert_eq!(found.revision, before.revision);
    assert_eq!(found.value.records, before.value.records);
    let batches = model.batches(START, BatchId(0), 1000).await.unwrap().value;
    assert!(batches.iter().all(|batch| batch.id.number() < 1000), "{batches:?}");
    assert!(store.sizes(START).await.unwrap().value.records > before.value.records);
}

struct Refusing;

impl Dump for Refusing {
    fn take(&mut self, _: Part) -> Fut<'_, ()> {
        Box::pin(async { Err(StoreError::Abandoned) })
    }
}

pub(super) async fn whoever_takes_a_dump_can_end_it(store: &dyn Store) {
    furnish(store).await;
    assert!(matches!(
        store.dump(START, &mut Refusing).await,
        Err(StoreError::Abandoned)
    ));
    assert!(!dump(store).await.is_empty());
}

pub(super) async fn a_store_with_rows_is_not_filled(store: &dyn Store) {
    furnish(store).await;
    let model = MemoryStore::new();
    furnish(&model).await;
    assert!(matches!(store.begin_fill(START, FILL).await, Err(StoreError::NotEmpty)));
    for part in dump(&model).await {
        assert!(matches!(
            store.fill(START, FILL, part).await,
            Err(StoreError::NotFilling)
        ));
    }
    assert_same(store, &model).await;
}

pub(super) async fn an_unfinished_fill_leaves_nothing_to_the_next(store: &dyn Store) {
    let (old, model) = (MemoryStore::new(), MemoryStore::new());
    furnish(&model).await;
    furnish(&old).await;
    let mut writer = Writer::new(&old, Lane::Changes);
    writer.number_from(1000);
    writer.given(&[record(Kind::Client, 77, "left behind")]).await;
    store.begin_fill(START, FILL).await.unwrap();
    for part in dump(&old).await {
        if !matches!(part, Part::Keys { .. }) {
            store.fill(START, FILL, part).await.unwrap();
        }
    }
    store.begin_fill(START, OTHER_FILL).await.unwrap();
    for part in dump(&old).await {
        let late = store.fill(START, FILL, part).await;
        assert!(matches!(late, Err(StoreError::NotFilling)), "{late:?}");
    }
    fill(store, OTHER_FILL, dump(&model).await).await.unwrap();
    assert_same(store, &model).await;
    assert!(matches!(store.begin_fill(START, FILL).await, Err(StoreError::NotEmpty)));
}

pub(super) async fn a_part_that_is_there_already_is_refused(store: &dyn Store) {
    store.begin_fill(START, FILL).await.unwrap();
    let part = || Part::Records(vec![record(Kind::Policy, 1, "one")]);
    store.fill(START, FILL, part()).await.unwrap();
    assert!(store.fill(START, FILL, part()).await.is_err());
}
