//! A connection to the database that is cut at every place of a write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use strongroom_testkit::{Direction, Proxy, run_sql};

use super::ledger::{Dice, Outcome, Stored, Write, repeat, send};
use crate::harness::{Api, KEEP_ALL, On, Store};

/// Cuts spread over the whole write, and cuts at each byte around its end, where the COMMIT is.
const SPREAD: u64 = 36;
const AROUND_THE_END: u64 = 24;
/// Answers that promise that nothing was changed.
const NOTHING_CHANGED: [&str; 3] = ["audit_unavailable", "store_unavailable", "unsettled"];

/// A store on PostgreSQL behind a proxy, and the way past it.
fn behind_proxy() -> (Store, Proxy, String) {
    let mut store = Store::fresh(On::Postgres);
    let url = store.url.take().unwrap();
    let (server, database) = url.rsplit_once('/').unwrap();
    let (user, address) = server.rsplit_once('@').unwrap();
    let proxy = Proxy::start(address.parse::<SocketAddr>().unwrap());
    store.url = Some(format!("{user}@{}/{database}", proxy.addr()));
    (store, proxy, url)
}

fn bytes_to_server(proxy: &Proxy) -> u64 {
    let events = proxy
        .events()
        .into_iter()
        .filter(|event| event.direction == Direction::ToServer);
    events.map(|event| event.bytes as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn commit_cut() {
    let mut dice = Dice::seeded();
    let (store, proxy, _) = behind_proxy();
    let server = store.dev(&[
        KEEP_ALL,
        ("STRONGROOM_CACHE_POLL_MS", "0"),
        ("STRONGROOM_AUDIT_DEADLINE_MS", "400"),
    ]);
    let api = Api::new(&server, store.root_token());
    let length = length_of_a_write(&api, &proxy, &mut dice).await;
    let spread = (0..SPREAD).map(|cut| 10 + length * cut / SPREAD);
    let offsets: Vec<u64> = spread.chain(length - AROUND_THE_END..length + AROUND_THE_END).collect();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for &offset in &offsets {
        for heals_at_once in [true, false] {
            let outcome = one_cut(&api, &proxy, &mut dice, offset, heals_at_once).await;
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    println!("{} cuts in a write of {length} bytes: {outcomes:?}", 2 * offsets.len());
    for met in ["acknowledged", "store_unavailable", "outcome_unknown"] {
        assert!(outcomes.contains_key(met), "no cut was {met}: {outcomes:?}");
    }
}

/// Of one write, in bytes to the database.
async fn length_of_a_write(api: &Api, proxy: &Proxy, dice: &mut Dice) -> u64 {
    // The first writes make connections and plans; the ones that count have them.
    for _ in 0..8 {
        repeat(api, &Write::random("cut/warm", dice)).await;
    }
    let mut length = u64::MAX;
    for sample in 0..5 {
        let before = bytes_to_server(proxy);
        repeat(api, &Write::random(&folder(sample, true), dice)).await;
        // The server's own upkeep can only add to it.
        length = length.min(bytes_to_server(proxy) - before);
    }
    length
}

/// Always as long, so that a write below it has the length that was measured.
fn folder(offset: u64, heals_at_once: bool) -> String {
    format!("cut/{offset:06}/{}", u8::from(heals_at_once))
}

/// Cuts behind so many bytes of one write, and mends the connection at once or only once there is an answer.
async fn one_cut(api: &Api, proxy: &Proxy, dice: &mut Dice, offset: u64, heals_at_once: bool) -> String {
    for _ in 0..4 {
        repeat(api, &Write::random("cut/warm", dice)).await;
    }
    let folder = folder(offset, heals_at_once);
    let write = Write::random(&folder, dice);
    proxy.cut_after(offset);
    let mending = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if heals_at_once {
            proxy.heal();
        }
    };
    let (outcome, ()) = tokio::join!(send(api, &write), mending);
    proxy.heal();
    let key = (write.path.clone(), write.id.clone());
    let found = Stored::below(api, &folder).await.ids.remove(&key);
    let what = format!("cut behind {offset} bytes, healed at once: {heals_at_once}, {outcome:?}, found {found:?}");
    let name = match outcome {
        Outcome::Acknowledged(version) => {
            assert_eq!(found, Some(vec![version]), "lost: {what}");
            "acknowledged".to_owned()
        }
        Outcome::Refused(code) => {
            assert!(
                found.is_none() || !NOTHING_CHANGED.contains(&code.as_str()),
                "there though refused: {what}"
            );
            code
        }
        Outcome::Dropped => panic!("nothing was answered: {what}"),
    };
    let version = repeat(api, &write).await;
    let stored = Stored::below(api, &folder).await;
    assert_eq!(
        stored.ids,
        BTreeMap::from([(key, vec![version])]),
        "after a retry: {what}"
    );
    assert!(stored.is_whole(&write.path, version, &write.value), "{what}");
    name
}

/// Whoever can write to the database puts a row where a batch goes whose commit is lost: it is not taken for ours.
#[tokio::test(flavor = "multi_thread")]
async fn anothers_batch_confirms_nothing() {
    let mut dice = Dice::seeded();
    let (store, proxy, direct) = behind_proxy();
    let server = store.dev(&[
        KEEP_ALL,
        ("STRONGROOM_CACHE_POLL_MS", "0"),
        ("STRONGROOM_AUDIT_DEADLINE_MS", "1500"),
    ]);
    let api = Api::new(&server, store.root_token());
    let length = length_of_a_write(&api, &proxy, &mut dice).await;
    let (mut planted, mut unconfirmed) = (0, 0);
    for offset in length - AROUND_THE_END..length + 4 {
        repeat(&api, &Write::random("cut/warm", &mut dice)).await;
        let folder = folder(offset, false);
        let write = Write::random(&folder, &mut dice);
        proxy.cut_after(offset);
        let intruder = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let plant = "WITH newest AS (SELECT batch FROM strongroom.entry_kept WHERE path LIKE 'cut/%' ORDER BY at DESC LIMIT 1) \
                 INSERT INTO strongroom.audit_batch (id, class, at, count, root, previous, key, mac) \
                 SELECT b.id + 1, b.class, b.at, b.count, b.root, b.previous, b.key, b.mac FROM strongroom.audit_batch b, newest \
                 WHERE b.id = newest.batch RETURNING id";
            let id = run_sql(&direct, plant);
            proxy.heal();
            id
        };
        let (outcome, id) = tokio::join!(send(&api, &write), intruder);
        assert!(!id.is_empty());
        planted += 1;
        let found = Stored::below(&api, &folder)
            .await
            .ids
            .remove(&(write.path.clone(), write.id.clone()));
        match outcome {
            Outcome::Acknowledged(version) => assert_eq!(found, Some(vec![version]), "cut behind {offset} bytes"),
            _ => unconfirmed += usize::from(found.is_none()),
        }
    }
    println!("{planted} planted, {unconfirmed} writes that were neither made nor acknowledged");
    assert!(unconfirmed > 4, "no cut met a commit");
    let metrics = reqwest::get(server.url("/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let failures = metrics
        .lines()
        .find(|line| line.starts_with("strongroom_integrity_failures_total"));
    assert!(failures.is_some_and(|line| !line.ends_with(" 0")), "{failures:?}");
}
