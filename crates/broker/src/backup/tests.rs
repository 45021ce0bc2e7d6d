use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use strongroom_crypto::{Passphrase, RecoveryKey, RootKey, Unlock};
use strongroom_domain::audit::Action;
use strongroom_domain::{Code, Error, Kind, Name, Record, Result, Row, Schema, SlotMethod, Time, Version};
use strongroom_ports::memory::MemoryStore;
use strongroom_ports::{AuditFilter, Clock as _, Store};
use tokio::sync::mpsc;

use super::*;
use crate::NewSlot;
use crate::place::{Place, Pretended, root_key};

async fn backup_of(place: &Place) -> (Vec<u8>, Counts) {
    let (out, mut parts) = mpsc::channel(1);
    let collect = async {
        let mut bytes = Vec::new();
        while let Some(part) = parts.recv().await {
            bytes.extend(part);
        }
        bytes
    };
    let request = place.request().of_operator();
    let (bytes, done) = tokio::join!(collect, place.broker.backup(&request, out));
    (bytes, done.unwrap())
}

async fn furnished() -> Place {
    let place = Place::new().await;
    for at in 0..5 {
        place.put(&format!("app/{at}"), &format!("value {at}")).await;
    }
    place.put("app/0", "a newer value").await;
    place.read("app/0").await.unwrap();
    place
}

async fn open(bytes: &[u8]) -> Result<BackupFile> {
    BackupFile::read(Box::new(Cursor::new(bytes.to_vec()))).await
}

async fn restored(bytes: &[u8], clock: &Pretended, key: &Unlock) -> Result<(Arc<MemoryStore>, Restored)> {
    let file = open(bytes).await?;
    let keys = file.unlock([key, &root_key()], Schema::OWN)?;
    let memory = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = memory.clone();
    let restored = restore(&store, clock, clock, file, &keys, key).await?;
    Ok((memory, restored))
}

async fn verified(bytes: &[u8], clock: &Pretended) -> Result<Verified> {
    let file = open(bytes).await?;
    let keys = file.unlock([&root_key()], Schema::OWN)?;
    let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
    verify(&scratch, clock, clock, file, &keys).await
}

/// The two lines in clear, and each part with what stands before it.
fn taken_apart(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').take(2).collect();
    let (header, mut rest) = bytes.split_at(ends[1] + 1);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap());
        let (part, more) = rest.split_at(5 + length as usize);
        parts.push(part.to_vec());
        rest = more;
    }
    (header.to_vec(), parts)
}

fn put_together(header: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    [header.to_vec(), parts.concat()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_is_restored() {
    let place = furnished().await;
    let (bytes, counts) = backup_of(&place).await;
    let stamp = open(&bytes).await.unwrap().stamp();
    let (memory, restored) = restored(&bytes, &place.clock, &root_key()).await.unwrap();
    assert_eq!((restored.at, restored.revision), (stamp.at, stamp.revision));
    assert_eq!((restored.tokens, restored.rekeyed), (1, false));
    // Without the token, and with what holds it back from systems outside.
    assert_eq!(restored.counts.records, counts.records);
    assert_eq!(
        (restored.counts.versions, restored.counts.entries),
        (counts.versions, counts.entries)
    );
    let again = Place::on(memory, place.clock.clone(), &root_key()).await.unwrap();
    assert_eq!(
        again.read("app/0").await,
        Err(Code::Unauthenticated),
        "the old root token"
    );
    assert!(again.broker.revision() > place.broker.revision() + 1_000_000);
    let boots = |store: Arc<MemoryStore>| async move { store.last_boot(Time(0)).await.unwrap().value };
    assert!(boots(again.store.clone()).await > boots(place.store.clone()).await + 1000);
    let filter = AuditFilter {
        action: Some(Action::RestoreBackup.number()),
        limit: 10,
        ..AuditFilter::default()
    };
    let found = again.store.entries(again.clock.now(), &filter).await.unwrap().value;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].entry.path, stamp.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_installation_is_backed_up_and_verified_again() {
    let place = furnished().await;
    let (bytes, _) = backup_of(&place).await;
    let first = verified(&bytes, &place.clock).await.unwrap();
    assert_eq!((first.failures, first.opened), (Vec::<String>::new(), 6));
    let (memory, _) = restored(&bytes, &place.clock, &root_key()).await.unwrap();
    let again = Place::on(memory, place.clock.clone(), &root_key()).await.unwrap();
    let (bytes, counts) = backup_of(&again).await;
    let second = verified(&bytes, &place.clock).await.unwrap();
    assert_eq!((second.failures, second.opened), (Vec::<String>::new(), 6));
    assert!(second.batches > first.batches && counts.versions == 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_can_have_another_root_key() {
    let place = furnished().await;
    let (bytes, _) = backup_of(&place).await;
    let other = Unlock::RootKey(RootKey::new([8; 32]));
    let refused = open(&bytes).await.unwrap().unlock([&other], Schema::OWN).map(drop);
    assert_eq!(refused.unwrap_err().code, Code::BackupNotOpened);
    let (memory, restored) = restored(&bytes, &place.clock, &other).await.unwrap();
    assert!(restored.rekeyed);
    let by_the_old = Place::on(memory.clone(), place.clock.clone(), &root_key()).await;
    assert!(by_the_old.is_err());
    let again = Place::on(memory, place.clock.clone(), &other).await.unwrap();
    let (bytes, _) = backup_of(&again).await;
    assert!(open(&bytes).await.unwrap().unlock([&root_key()], Schema::OWN).is_err());
    assert!(open(&bytes).await.unwrap().unlock([&other], Schema::OWN).is_ok());
}

/// By whatever opened the installation when it was made.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_opens_by_every_slot_of_its_day() {
    let place = furnished().await;
    let words = "correct horse battery staple";
    let new = |name: &str, method, passphrase: Option<&str>| NewSlot {
        name: Name::parse(name).unwrap(),
        method,
        passphrase: passphrase.map(Into::into),
    };
    let words_slot = new("words", SlotMethod::Passphrase, Some(words));
    place.broker.add_slot(&place.request(), words_slot).await.unwrap();
    let safe = new("safe", SlotMethod::Recovery, None);
    let safe = place
        .broker
        .add_slot(&place.request(), safe)
        .await
        .unwrap()
        .key
        .unwrap();
    let (bytes, _) = backup_of(&place).await;
    let file = open(&bytes).await.unwrap();
    let unlocks = [
        Unlock::Passphrase(Passphrase::parse(words).unwrap()),
        Unlock::Recovery(RecoveryKey::parse(safe.expose_secret()).unwrap()),
    ];
    for unlock in &unlocks {
        let (memory, restored) = restored(&bytes, &place.clock, unlock).await.unwrap();
        assert!(!restored.rekeyed);
        Place::on(memory, place.clock.clone(), &root_key()).await.unwrap();
    }
    let other = Unlock::Passphrase(Passphrase::parse("incorrect horse battery").unwrap());
    let refused = file.unlock([&other], Schema::OWN).unwrap_err();
    assert!(
        refused.detail.contains("'safe'") && refused.detail.contains("'words'"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_store_is_restored_into() {
    let place = furnished().await;
    let (bytes, _) = backup_of(&place).await;
    let file = open(&bytes).await.unwrap();
    let keys = file.unlock([&root_key()], Schema::OWN).unwrap();
    let store: Arc<dyn Store> = place.store.clone();
    let done = restore(&store, &*place.clock, &*place.clock, file, &keys, &root_key()).await;
    assert_eq!(done.unwrap_err().code, Code::StoreNotEmpty);
    assert_eq!(place.read("app/0").await.unwrap(), b"a newer value");
}

async fn recorded(place: &Place, action: Action) -> usize {
    let filter = AuditFilter {
        action: Some(action.number()),
        limit: 10,
        ..AuditFilter::default()
    };
    place.store.entries(Time(0), &filter).await.unwrap().value.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_on_record_before_and_behind_it() {
    let place = furnished().await;
    assert_eq!(place.broker.last_backup(), None);
    let (out, taken) = mpsc::channel(1);
    drop(taken);
    assert!(place.broker.backup(&place.request(), out).await.is_err());
    place.clock.now.fetch_add(1_000_000, Ordering::Relaxed);
    let (bytes, _) = backup_of(&place).await;
    let kept = open(&bytes).await.unwrap().stamp();
    place.broker.backup_kept(&place.request(), &kept).await.unwrap();
    assert_eq!(place.broker.last_backup(), Some(kept.at));
    assert_eq!(
        recorded(&place, Action::Backup).await,
        2,
        "one that nobody took is on record too"
    );
    assert_eq!(recorded(&place, Action::BackupKept).await, 1);
    let on_the_same = Place::on(place.store.clone(), place.clock.clone(), &root_key())
        .await
        .unwrap();
    assert_eq!(
        on_the_same.broker.last_backup(),
        Some(kept.at),
        "a new node knows it from its start"
    );
}

/// Two nodes make one each, and the older is kept last.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_backup_is_the_newest() {
    let place = furnished().await;
    let (older, _) = backup_of(&place).await;
    place.clock.now.fetch_add(1_000_000, Ordering::Relaxed);
    let (newer, _) = backup_of(&place).await;
    let (older, newer) = (open(&older).await.unwrap().stamp(), open(&newer).await.unwrap().stamp());
    for stamp in [&newer, &older] {
        place.broker.backup_kept(&place.request(), stamp).await.unwrap();
        assert_eq!(place.broker.last_backup(), Some(newer.at));
    }
    assert_eq!(recorded(&place, Action::BackupKept).await, 2);
    let beside = Place::on(place.store.clone(), place.clock.clone(), &root_key()).await;
    assert_eq!(beside.unwrap().broker.last_backup(), Some(newer.at));
    place.broker.0.node.backup_was_read(Some(older.at));
    assert_eq!(
        place.broker.last_backup(),
        Some(newer.at),
        "by one that read it before the newer was kept"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_no_more_of_a_backup_is_given_up() {
    let place = furnished().await;
    let (broker, request) = (place.broker.clone(), place.request());
    let (out, mut parts) = mpsc::channel(1);
    let stalled = tokio::spawn(async move { broker.backup(&request, out).await });
    parts.recv().await.unwrap();
    let (out, _taken) = mpsc::channel(1);
    let second = place.broker.backup(&place.request(), out).await.unwrap_err();
    assert_eq!(second.code, Code::Conflict);
    let ended = tokio::time::timeout(PATIENCE * 2, stalled).await.unwrap();
    assert_eq!(ended.unwrap().unwrap_err().code, Code::Internal);
    drop(parts);
    backup_of(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_altered_before_the_backup_are_told() {
    let place = furnished().await;
    let secret = |name: &str| {
        let key = place.broker.key(Kind::Secret, name);
        let store = place.store.clone();
        async move { store.find(Time(0), &[key]).await.unwrap().value.remove(0) }
    };
    let (one, two, three) = (secret("app/1").await, secret("app/2").await, secret("app/3").await);
    let version = place.store.version(Time(0), one.namespace, one.id, 1).await.unwrap();
    let mut version = version.value.unwrap();
    version.sealed[0] ^= 1;
    place.store.alter(Row::Version(version.clone()));
    place.store.alter(Row::Record(Record {
        due: Some(Time(1)),
        ..two.clone()
    }));
    place.store.alter(Row::Version(Version { number: 9, ..version }));
    let (bytes, _) = backup_of(&place).await;
    let found = verified(&bytes, &place.clock).await.unwrap();
    let told = |what: &str| found.failures.iter().any(|failure| failure.contains(what));
    assert!(
        told(&format!("The secret {} vouches for a version 1", one.id)),
        "{found:?}"
    );
    assert!(told(&format!("The secret {} fails its check", two.id)), "{found:?}");
    assert!(told("6 versions, and 7 are stored"), "{found:?}");
    assert!(!told(&three.id.to_string()));
    assert_eq!((found.failed, found.opened), (3, 5));
}

fn damage(done: Result<Verified>) -> String {
    let error: Error = done.unwrap_err();
    let expected = matches!(error.code, Code::BackupDamaged | Code::BackupNotOpened);
    assert!(expected, "{error:?}");
    assert!(!error.detail.is_empty());
    error.detail
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_have_one_place_in_one_file() {
    let place = furnished().await;
    let (bytes, _) = backup_of(&place).await;
    let (header, parts) = taken_apart(&bytes);
    assert!(parts.len() > 4, "{}", parts.len());
    assert_eq!(put_together(&header, &parts), bytes);
    let (other_header, other) = taken_apart(&backup_of(&place).await.0);
    let check = async |header: &[u8], parts: &[Vec<u8>]| verified(&put_together(header, parts), &place.clock).await;
    let last = parts.len() - 1;
    for at in 0..parts.len() {
        let mut without = parts.clone();
        without.remove(at);
        damage(check(&header, &without).await);
        let mut twice = parts.clone();
        twice.insert(at, parts[at].clone());
        damage(check(&header, &twice).await);
        let mut mixed = parts.clone();
        mixed[at] = other[at.min(other.len() - 1)].clone();
        assert!(damage(check(&header, &mixed).await).contains(&format!("part {}", at + 1)));
        let mut swapped = parts.clone();
        swapped.swap(at, (at + 1) % parts.len());
        damage(check(&header, &swapped).await);
        let said = damage(check(&header, &parts[..at]).await);
        assert!(said.contains(&format!("cut off behind part {at}")), "{said}");
        // The mark of the last part, on another.
        let mut ended = parts[..=at].to_vec();
        ended[at][0] = 1;
        assert_eq!(check(&header, &ended).await.is_ok(), at == last);
    }
    damage(check(&other_header, &parts).await);
    let mut more = parts.clone();
    more.push(vec![0]);
    assert!(damage(check(&header, &more).await).contains("follows its end"));
    assert!(damage(verified(b"strongroom backup 2\n{}\n", &place.clock).await).contains("newer program"));
    damage(verified(b"", &place.clock).await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Many positions a case, since a backup is made for each.
    #[test]
    fn no_altered_byte_and_no_cut_goes_unnoticed(places in vec((any::<prop::sample::Index>(), 0..8_u8), 40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = furnished().await;
            let (bytes, _) = backup_of(&place).await;
            for (at, bit) in places {
                let at = at.index(bytes.len());
                let mut altered = bytes.clone();
                altered[at] ^= 1 << bit;
                damage(verified(&altered, &place.clock).await);
                damage(verified(&bytes[..at], &place.clock).await);
            }
        });
    }
}
