use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::manifest::lists;
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Kind, Name, Record, Row, SlotMethod, Time};
use strongroom_ports::Store as _;
use strongroom_ports::memory::MemoryStore;

use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::place::{Place, root_key};
use crate::policies::Noun;
use crate::record::Effect;
use crate::rows::{remove, touch};
use crate::{Broker, NewSlot, Request};

const NAME: &str = "one";

/// Ring and slots are what a start opens, and have a test of their own.
fn kinds() -> impl Iterator<Item = Kind> {
    let all = Kind::ALL.iter().copied();
    all.filter(|kind| lists(*kind) && ![Kind::KeyRing, Kind::KeySlot].contains(kind))
}

/// Of each kind one that a manifest lists.
fn body(kind: Kind, number: i64) -> Value {
    let at = serde_json::to_value(Time(1_786_795_200_000_000)).unwrap();
    let mut body = json!({"number": number, "root": true, "created_at": at});
    if kind == Kind::Principal {
        body["erased_at"] = at;
    }
    body
}

impl Place {
    /// Writes an object of a kind, or removes it, as a verb would.
    async fn write(&self, kind: Kind, name: &str, body: Option<Value>) {
        let (broker, body) = (&self.broker, &body);
        let asked = Asked {
            action: Action::RoleWrite,
            path: String::new(),
            locks: vec![broker.key(kind, name)],
            id: ChangeId::Version(broker.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        };
        let request = self.request().of_operator();
        let done = broker.change(&request, asked, |_| async move {
            let old = broker.load::<Value>(kind, name).await?.value;
            let old = old.as_ref().map(|old| &old.record);
            let write = match body {
                Some(body) => broker.upsert(old, kind, name, body)?.1,
                None => remove(old.unwrap()),
            };
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: vec![touch(broker.key(kind, name), Action::RoleWrite, None)],
                effects: vec![Effect::new(Action::RoleWrite, "")],
                answer: (),
            }))
        });
        done.await.unwrap();
    }

    /// Another node on the same store.
    async fn beside(&self) -> Self {
        Self::on(self.store.clone(), self.clock.clone(), &root_key())
            .await
            .unwrap()
    }
}

/// What a request for the object gives; it may be gone.
async fn used(broker: &Broker, request: Request, kind: Kind) -> Result<bool, Code> {
    let name = Name::parse(NAME).unwrap();
    let noun = Noun {
        kind,
        name: NAME,
        action: Action::RoleRead,
        access: Access::Role(&name, Capability::Read),
    };
    match broker.get_object::<Value>(&request.of_operator(), noun).await {
        Ok(_) => Ok(true),
        Err(error) if error.code == Code::NotFound => Ok(false),
        Err(error) => Err(error.code),
    }
}

async fn of_kind(store: &MemoryStore, kind: Kind) -> Vec<Record> {
    store.of_kind(Time(0), kind).await.unwrap().value
}

/// Makes what there is of a kind under this name the same as in another.
async fn put_back(store: &MemoryStore, kind: Kind, name: Option<&str>, before: &MemoryStore) {
    let is_meant = |row: &Record| name.is_none_or(|name| row.name == name);
    for row in of_kind(store, kind).await.into_iter().filter(is_meant) {
        store.take_away(&Row::Record(row).key());
    }
    for row in of_kind(before, kind).await.into_iter().filter(is_meant) {
        store.alter(Row::Record(row));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Deleted,
    InsertedAgain,
    RolledBack,
}

/// An object is written, and written again or deleted; then its row is as it was before.
async fn tampered(kind: Kind, how: How, manifest_too: bool) -> (Place, Place) {
    let place = Place::new().await;
    let untold = place.beside().await;
    let mut before = place.store.copy();
    place.write(kind, NAME, Some(body(kind, 1))).await;
    if how != How::Deleted {
        before = place.store.copy();
        let next = (how == How::RolledBack).then(|| body(kind, 2));
        place.write(kind, NAME, next).await;
    }
    assert_eq!(
        used(&place.broker, place.request(), kind).await,
        Ok(how != How::InsertedAgain)
    );
    put_back(&place.store, kind, Some(NAME), &before).await;
    if manifest_too {
        put_back(&place.store, Kind::Manifest, None, &before).await;
    }
    (place, untold)
}

#[tokio::test]
async fn no_grant_is_put_back_unnoticed() {
    for kind in kinds() {
        for how in [How::Deleted, How::InsertedAgain, How::RolledBack] {
            for manifest_too in [false, true] {
                let what = format!("{} {how:?}, its manifest too: {manifest_too}", kind.name());
                let (place, untold) = tampered(kind, how, manifest_too).await;
                let expected = if manifest_too {
                    Code::GrantsPutBack
                } else {
                    Code::IntegrityFailed
                };
                let found = used(&place.broker, place.request(), kind).await;
                assert_eq!(found, Err(expected), "{what}, on the node that made the change");
                let found = used(&untold.broker, untold.request(), kind).await;
                assert_eq!(found, Err(expected), "{what}, on one that nothing told of it");
                let started = place.beside().await;
                let found = used(&started.broker, started.request(), kind).await;
                // What a start itself rests on is compared at the start.
                let at_start = kind == Kind::Namespace;
                let expected = if at_start { Code::GrantsPutBack } else { expected };
                assert_eq!(found, Err(expected), "{what}, on one that starts");
                let health = started.broker.health().await;
                assert_eq!(health.ready, expected != Code::GrantsPutBack, "{what}: {health:?}");
            }
        }
    }
}

/// Decided and written by a manifest that was put back, on a node which nothing told of the newer one.
#[tokio::test]
async fn no_change_goes_on_from_a_manifest_that_was_put_back() {
    let (place, untold) = tampered(Kind::Policy, How::RolledBack, true).await;
    let name = Name::parse("another").unwrap();
    let request = untold.request().of_operator();
    let written = untold.broker.put_group(&request, &name, Vec::new()).await;
    assert_eq!(written.unwrap_err().code, Code::GrantsPutBack);
    assert_eq!(of_kind(&place.store, Kind::Group).await.len(), 0);
}

#[tokio::test]
async fn neither_slots_nor_ring_are_put_back_unnoticed() {
    let removed = async |place: &Place| {
        let new = NewSlot {
            name: Name::parse(NAME).unwrap(),
            method: SlotMethod::File,
            passphrase: None,
        };
        place.broker.add_slot(&place.request(), new).await.unwrap();
        let before = place.store.copy();
        place
            .broker
            .remove_slot(&place.request(), &Name::parse(NAME).unwrap())
            .await
            .unwrap();
        before
    };
    for manifest_too in [false, true] {
        for kind in [Kind::KeySlot, Kind::KeyRing] {
            let place = Place::new().await;
            let untold = place.beside().await;
            let mut before = removed(&place).await;
            if kind == Kind::KeyRing {
                before = place.store.copy();
                place.broker.rotate_data_key(&place.request()).await.unwrap();
            }
            put_back(&place.store, kind, None, &before).await;
            if manifest_too {
                put_back(&place.store, Kind::Manifest, None, &before).await;
            }
            let expected = if manifest_too {
                Code::GrantsPutBack
            } else {
                Code::IntegrityFailed
            };
            for node in [&place, &untold] {
                let found = match kind {
                    Kind::KeySlot => node.broker.slots(&node.request()).await.map(drop),
                    _ => node.broker.rotate_data_key(&node.request()).await.map(drop),
                };
                assert_eq!(found.unwrap_err().code, expected, "{} {manifest_too}", kind.name());
            }
            let started = place.beside().await;
            assert!(!started.broker.health().await.ready);
            assert_eq!(
                started.broker.slots(&started.request()).await.unwrap_err().code,
                Code::GrantsPutBack
            );
        }
    }
}

#[tokio::test]
async fn what_is_put_back_can_be_accepted() {
    for manifest_too in [false, true] {
        let (place, untold) = tampered(Kind::Policy, How::RolledBack, manifest_too).await;
        used(&place.broker, place.request(), Kind::Policy).await.unwrap_err();
        used(&untold.broker, untold.request(), Kind::Policy).await.unwrap_err();
        let started = place.beside().await;
        let request = || started.request().of_operator();
        for reason in ["", "a\nb", &"a".repeat(201)] {
            let refused = started.broker.accept_restore(&request(), reason).await;
            assert_eq!(refused.unwrap_err().code, Code::InvalidRequest);
        }
        started.clock.now.fetch_add(1, Ordering::Relaxed);
        let accepted = started.broker.accept_restore(&request(), "a drill").await.unwrap();
        started.clock.now.fetch_add(1, Ordering::Relaxed);
        assert_eq!((accepted.number % (1 << 32), accepted.broken), (0, 0));
        for node in [&started, &untold, &place] {
            node.broker.health().await;
            assert_eq!(used(&node.broker, node.request(), Kind::Policy).await, Ok(true));
            assert_eq!(
                node.broker.slots(&node.request()).await.unwrap_err().code,
                Code::Unauthenticated,
                "the root token is void"
            );
        }
        started.write(Kind::Policy, NAME, Some(body(Kind::Policy, 3))).await;
        untold.broker.check_manifests().await.unwrap();
        let recovered = untold
            .broker
            .recover_admin(&untold.request().of_operator())
            .await
            .unwrap();
        let request = untold.request().with_token(Some(recovered.token));
        untold.broker.slots(&request).await.unwrap();
    }
}

#[tokio::test]
async fn a_whole_store_that_is_put_back_is_noticed_by_who_has_seen_newer() {
    let place = Place::new().await;
    let before = place.store.copy();
    place.write(Kind::Policy, NAME, Some(body(Kind::Policy, 1))).await;
    place.store.put_back(&before);
    assert_eq!(
        used(&place.broker, place.request(), Kind::Policy).await,
        Err(Code::GrantsPutBack)
    );
    // Only a checkpoint outside of the store could tell this one.
    let started = place.beside().await;
    assert_eq!(used(&started.broker, started.request(), Kind::Policy).await, Ok(false));
    // It goes on, and comes to where the other was: that is no acceptance.
    for number in 0..3 {
        started.write(Kind::Role, NAME, Some(body(Kind::Role, number))).await;
    }
    assert!(!place.broker.health().await.ready);
    started
        .broker
        .accept_restore(&started.request().of_operator(), "it was meant")
        .await
        .unwrap();
    assert!(place.broker.health().await.ready);
    assert_eq!(used(&place.broker, place.request(), Kind::Role).await, Ok(true));
}

#[tokio::test]
async fn without_a_manifest_nothing_is_served() {
    let place = Place::new().await;
    let empty = MemoryStore::new();
    put_back(&place.store, Kind::Manifest, None, &empty).await;
    let started = place.beside().await;
    assert!(!started.broker.health().await.ready);
    assert_eq!(
        used(&started.broker, started.request(), Kind::Role).await,
        Err(Code::GrantsPutBack)
    );
    started
        .broker
        .accept_restore(&started.request().of_operator(), "of an older program")
        .await
        .unwrap();
    started.broker.check_manifests().await.unwrap();
    let again = place.beside().await;
    assert!(again.broker.health().await.ready);
}

/// A read that began before a change of this node's, and ends after it.
#[tokio::test]
async fn an_answer_that_comes_late_is_no_older_state() {
    let place = Place::new().await;
    let known = place.broker.0.node.manifests();
    let (before, top) = (known.seen(), place.broker.stored_top().await.unwrap().value.unwrap());
    place.write(Kind::Role, NAME, Some(body(Kind::Role, 1))).await;
    known.see(&before, &top).unwrap();
    let number = known.number_seen();
    assert!(number > top.rev.0);
    assert!(known.see(&known.seen(), &top).is_err());
}

#[tokio::test]
async fn writers_of_grants_on_two_nodes_take_turns() {
    let place = Arc::new(Place::new().await);
    let other = Arc::new(place.beside().await);
    let write = |node: Arc<Place>, at: i64| {
        tokio::spawn(async move {
            node.write(Kind::Role, &format!("r{at}"), Some(body(Kind::Role, at)))
                .await;
        })
    };
    let all: Vec<_> = (0..40)
        .map(|at| write(if at % 2 == 0 { place.clone() } else { other.clone() }, at))
        .collect();
    for one in all {
        one.await.unwrap();
    }
    place.broker.check_manifests().await.unwrap();
    other.broker.check_manifests().await.unwrap();
}
