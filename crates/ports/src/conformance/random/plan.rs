//! Which step comes next. It looks at the model for revisions that are right, and is wrong often enough on purpose.

use strongroom_domain::audit::{Action, BatchId, Class, Entry, Lane, OutcomeKind, SealedBatch};
use strongroom_domain::row::Key;
use strongroom_domain::{
    Change, Kind, NamespaceId, ObjectId, PrincipalId, Record, Revision, Row, RowRev, Time, Version, Write,
};

use super::dice::Dice;
use super::step::{Call, Say, Step};
use crate::conformance::contents::{NUMBERS, OWNERS};
use crate::conformance::fixtures::{BOOT, HERE, START, THERE, entry, record, sealed, seconds, touch, version, void};
use crate::memory::MemoryStore;
use crate::{AuditFilter, BootRow, Store, Upkeep};

const NAMESPACES: [NamespaceId; 2] = [HERE, THERE];
const KINDS: [Kind; 4] = [Kind::Secret, Kind::Policy, Kind::ChangeId, Kind::Token];
const PRINCIPALS: [PrincipalId; 3] = [PrincipalId([1; 16]), PrincipalId([2; 16]), PrincipalId([3; 16])];
const PATHS: [&str; 6] = ["", "a", "a/b", "A/b", "a%b", "ü/🔑"];

/// What a group writes at most once: either of two names under either of two ids, or a version.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Record {
        namespace: NamespaceId,
        kind: Kind,
        number: u8,
    },
    Version {
        namespace: NamespaceId,
        owner: u8,
        number: i64,
    },
}

fn slots() -> Vec<Slot> {
    let mut slots = Vec::new();
    for namespace in NAMESPACES {
        for kind in KINDS {
            slots.extend((0..2).map(|number| Slot::Record {
                namespace,
                kind,
                number,
            }));
        }
        for owner in OWNERS {
            slots.extend(NUMBERS.map(|number| Slot::Version {
                namespace,
                owner,
                number,
            }));
        }
    }
    slots
}

pub(super) struct Plan {
    dice: Dice,
    now: Time,
    next: [i64; 3],
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            now: START,
            next: [0; 3],
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    pub(super) async fn next(&mut self, model: &MemoryStore) -> Step {
        self.now = self.now + seconds(self.dice.below(10));
        let top = model.touches(self.now, Revision(0), 1).await.unwrap().revision;
        let call = match self.dice.below(100) {
            0..55 => self.apply(model, top).await,
            55..70 => {
                let lane = self.dice.pick(&Lane::ALL);
                Call::Record {
                    lane,
                    batch: self.batch(lane),
                    since: self.since(top),
                }
            }
            70..76 => {
                let lane = self.dice.pick(&Lane::ALL);
                Call::Settle {
                    lane,
                    void: void(self.batch_id(lane, 50), lane.class(), self.now),
                }
            }
            76..84 => Call::Upkeep(self.upkeep()),
            84..88 => Call::Find(self.keys()),
            88..90 => self.list(),
            90 => Call::Due {
                kind: self.dice.pick(&KINDS),
                limit: self.dice.pick(&[1, 2, 100]),
            },
            91 => Call::LastUsed {
                namespace: self.dice.pick(&NAMESPACES),
                secret: self.secret(),
            },
            92..95 => Call::Touches {
                since: self.since(top),
                limit: self.dice.pick(&[1, 3, 1_000]),
            },
            _ => Call::Entries(self.filter()),
        };
        Step { now: self.now, call }
    }

    async fn apply(&mut self, model: &MemoryStore, top: Revision) -> Call {
        let lane = self.dice.pick(&Lane::ALL);
        let mut free = slots();
        let mut group = Vec::new();
        for _ in 0..=self.dice.below(6) {
            group.push(self.change(model, &mut free).await);
        }
        let mut says = Vec::new();
        while self.dice.percent(15) {
            says.push(Say::Without(self.dice.index(6)));
        }
        if self.dice.percent(8) {
            says.push(Say::Abandon);
        }
        Call::Apply {
            lane,
            group,
            since: self.since(top),
            says,
            batch: self.batch(lane),
        }
    }

    async fn change(&mut self, model: &MemoryStore, free: &mut Vec<Slot>) -> Change {
        let mut writes = Vec::new();
        for _ in 0..=self.dice.below(3) {
            match self.dice.draw(free) {
                Some(Slot::Record {
                    namespace,
                    kind,
                    number,
                }) => {
                    writes.push(self.write_record(model, namespace, kind, number).await);
                }
                Some(Slot::Version {
                    namespace,
                    owner,
                    number,
                }) => {
                    writes.push(self.write_version(model, namespace, owner, number).await);
                }
                None => {}
            }
        }
        let count = self.dice.pick(&[0, 0, 1, 1, 2]);
        let touches = (0..count)
            .map(|_| touch(self.dice.pick(&KINDS), self.dice.pick(&PATHS), None))
            .collect();
        Change { writes, touches }
    }

    async fn write_record(&mut self, model: &MemoryStore, namespace: NamespaceId, kind: Kind, number: u8) -> Write {
        let ids = [1 + number, 101 + number];
        let names = [format!("{number}"), format!("{number}/ÿ")];
        let fresh = Record {
            namespace,
            due: self.dice.percent(50).then(|| self.now + seconds(self.dice.below(60))),
            ..record(kind, self.dice.pick(&ids), &self.dice.pick(&names))
        };
        let keys = names.map(|name| Key::new(namespace, kind, name));
        let there = model.find(self.now, &keys).await.unwrap().value;
        if there.is_empty() || self.dice.percent(20) {
            // An absent row is sometimes swapped, and a present one inserted.
            let write = Write::Insert(Row::Record(fresh.clone()));
            // A record keeps its name for ever: one that is there is not swapped for one of another.
            let renames = there.iter().any(|stored| stored.id == fresh.id);
            return if renames || self.dice.percent(85) {
                write
            } else {
                self.swap(Row::Record(fresh))
            };
        }
        let stored = self.dice.pick(&there);
        let body = vec![number; self.dice.index(4)];
        self.swap(Row::Record(Record {
            body,
            due: fresh.due,
            ..stored
        }))
    }

    async fn write_version(&mut self, model: &MemoryStore, namespace: NamespaceId, owner: u8, number: i64) -> Write {
        let fresh = Version {
            namespace,
            ..version(owner, number)
        };
        let found = model
            .version(self.now, namespace, ObjectId([owner; 16]), number)
            .await
            .unwrap()
            .value;
        match found {
            Some(stored) if self.dice.percent(80) => self.swap(Row::Version(Version {
                sealed: vec![],
                ..stored
            })),
            _ => Write::Insert(Row::Version(fresh)),
        }
    }

    /// Replaces or removes the row as it is stored, mostly at its own revision.
    fn swap(&mut self, stored: Row) -> Write {
        let rev = RowRev(stored.rev().0 + i64::from(self.dice.percent(20)));
        if self.dice.percent(30) {
            return Write::Remove(stored.key(), rev);
        }
        Write::Replace(
            rev,
            match stored {
                Row::Record(record) => Row::Record(Record {
                    rev: rev.next(),
                    ..record
                }),
                Row::Version(version) => Row::Version(Version {
                    rev: rev.next(),
                    ..version
                }),
            },
        )
    }

    fn since(&mut self, top: Revision) -> Revision {
        Revision(top.0 - i64::try_from(self.dice.below(12)).unwrap().min(top.0))
    }

    /// The lane's next number, or by chance one that may be taken.
    fn batch_id(&mut self, lane: Lane, taken: u64) -> BatchId {
        let next = &mut self.next[lane as usize];
        if *next > 0 && self.dice.percent(taken) {
            return BatchId::new(BOOT, lane, i64::try_from(self.dice.below(next.unsigned_abs())).unwrap());
        }
        *next += 1;
        BatchId::new(BOOT, lane, *next - 1)
    }

    fn batch(&mut self, lane: Lane) -> SealedBatch {
        let id = self.batch_id(lane, 5);
        let entries = (0..=self.dice.below(5)).map(|_| self.entry(lane.class())).collect();
        sealed(id, lane.class(), self.now, entries)
    }

    fn entry(&mut self, class: Class) -> Entry {
        let base = Entry {
            namespace: self.dice.pick(&NAMESPACES),
            principal: self.dice.maybe(80, &PRINCIPALS),
            path: self.dice.pick(&PATHS).into(),
            ..entry(class, self.now - seconds(self.dice.below(5)))
        };
        match class {
            Class::Reads => Entry {
                outcome: self.dice.pick(&[OutcomeKind::Granted, OutcomeKind::Refused]),
                ..base
            },
            Class::Kept => Entry {
                outcome: self.dice.pick(OutcomeKind::ALL),
                ..base
            },
        }
    }

    fn secret(&mut self) -> ObjectId {
        ObjectId([self.dice.pick(&[1, 2, 3]); 16])
    }

    fn upkeep(&mut self) -> Upkeep {
        let before = self.now - seconds(self.dice.below(120));
        match self.dice.below(8) {
            0 => Upkeep::Boot(BootRow {
                boot: 1 + i64::try_from(self.dice.below(6)).unwrap(),
                node: "node".into(),
                started_at: self.now,
                mac: strongroom_domain::Digest([1; 32]),
            }),
            1 => Upkeep::MakePartitions,
            2 => Upkeep::DropEntries {
                class: self.dice.pick(&Class::ALL),
                before,
            },
            3 => Upkeep::Prune { before },
            4 => Upkeep::Used {
                namespace: self.dice.pick(&NAMESPACES),
                secrets: vec![(self.secret(), self.now - seconds(self.dice.below(100)))],
            },
            5 => Upkeep::ForgetUse {
                namespace: self.dice.pick(&NAMESPACES),
                secret: self.secret(),
            },
            _ => Upkeep::ErasePrincipal(self.dice.pick(&PRINCIPALS)),
        }
    }

    fn keys(&mut self) -> Vec<Key> {
        let mut names = vec!["0", "1", "0/ÿ", "1/ÿ", "absent"];
        let (namespace, kind) = (self.dice.pick(&NAMESPACES), self.dice.pick(&KINDS));
        let count = self.dice.index(names.len());
        (0..count)
            .filter_map(|_| self.dice.draw(&mut names))
            .map(|name| Key::new(namespace, kind, name))
            .collect()
    }

    fn list(&mut self) -> Call {
        Call::List {
            namespace: self.dice.pick(&NAMESPACES),
            kind: self.dice.pick(&KINDS),
            prefix: self.dice.pick(&["", "0", "0/", "1"]).into(),
            after: self.dice.pick(&["", "", "0", "0/ÿ"]).into(),
            limit: self.dice.pick(&[1, 2, 100]),
        }
    }

    fn filter(&mut self) -> AuditFilter {
        let times = [0, 10, 60, 300].map(|age| self.now - seconds(age));
        AuditFilter {
            namespace: self.dice.maybe(30, &NAMESPACES),
            since: self.dice.maybe(30, &times),
            until: self.dice.maybe(30, &times),
            principal: self.dice.maybe(30, &PRINCIPALS),
            path: self.dice.maybe(30, &PATHS).map(Into::into),
            action: self
                .dice
                .maybe(20, &[Action::SecretRead.number(), Action::SecretWrite.number()]),
            outcome: self.dice.maybe(30, &[1, 2, 3]),
            before: self
                .dice
                .maybe(30, &times)
                .map(|at| (at, BatchId::new(BOOT, Lane::Changes, 3), 1)),
            limit: self.dice.pick(&[1, 5, 1_000]),
        }
    }
}
