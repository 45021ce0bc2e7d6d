//! Three nodes over one database: a watcher that is killed and resumed anywhere, while nodes are killed and stopped, misses
//! nothing and is told nothing twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testkit::scale;

use super::{ALONE, Stream, put};
use crate::fence::writer::Dice;
use crate::harness::{Api, On, Store};

const WATCHERS: usize = 6;
const WRITERS: usize = 8;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of changes"
)]
fn changes() -> usize {
    (1000.0 * scale()).ceil() as usize
}

/// Where the nodes are now: a restarted one is elsewhere.
type Nodes = Arc<RwLock<Vec<Api>>>;

fn any(nodes: &Nodes, dice: &mut Dice) -> Api {
    let nodes = nodes.read().unwrap();
    nodes[dice.below(nodes.len())].clone()
}

/// Follows by streams and by single answers, at any node, each for as long as chance will; gives all it was told.
async fn follow(nodes: Nodes, number: usize, since: i64) -> (Vec<(i64, Value)>, usize) {
    let mut dice = Dice(number as u64 * 7919 + 17);
    let (mut told, mut last, mut resumed) = (Vec::new(), since, 0);
    let done = |told: &Vec<(i64, Value)>| {
        told.last()
            .is_some_and(|(_, data): &(i64, Value)| data["path"] == "race/end")
    };
    while !done(&told) {
        let node = any(&nodes, &mut dice);
        resumed += 1;
        if dice.below(4) == 0 {
            let page = node
                .call("GET", &format!("watch?since={last}&prefix=race&wait=1"), None)
                .await;
            if let Ok((200, page)) = page {
                let changes = page["changes"].as_array().unwrap().iter();
                told.extend(changes.map(|change| (change["revision"].as_i64().unwrap(), change.clone())));
                last = page["revision"].as_i64().unwrap();
            }
            continue;
        }
        let Some(mut stream) = Stream::resumed(&node, "?prefix=race", Some(last)).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let until = Instant::now() + Duration::from_millis(20 + dice.below(400) as u64);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(Some(event)) = tokio::time::timeout(left, stream.read()).await else {
                break;
            };
            match event.name.as_str() {
                "change" => told.push((event.id, event.data)),
                "start" | "lagged" => {}
                other => panic!("{other} at {}", event.id),
            }
            if done(&told) {
                break;
            }
        }
        // What was read of an event that did not come whole is read again.
        last = last.max(stream.last);
    }
    (told, resumed)
}

async fn write(nodes: Nodes, number: usize, rounds: usize) {
    let mut dice = Dice(number as u64 * 104_729 + 5);
    for round in 0..rounds {
        let body = json!({ "value": "v", "id": format!("race-{number}-{round}-{}", "0".repeat(32)) });
        loop {
            // The same again under the same id, wherever it is asked next: it is one change.
            let node = any(&nodes, &mut dice);
            let put = node
                .call(
                    "PUT",
                    &format!("secrets/race/{number}/{}", round % 7),
                    Some(body.clone()),
                )
                .await;
            if matches!(put, Ok((200 | 201, _))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resumed_anywhere_nothing_is_missed_or_told_twice() {
    let store = Store::fresh(On::Postgres);
    store.dev(&[]).terminate();
    let mut servers: Vec<_> = ["a", "b", "c"].map(|name| store.node(name, &[ALONE])).into();
    let root = Api::new(&servers[0], store.root_token());
    let nodes: Nodes = Arc::new(RwLock::new(servers.iter().map(|node| root.at(node)).collect()));
    let since = root.get("watch?wait=1").await.1["revision"].as_i64().unwrap();
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|number| tokio::spawn(follow(nodes.clone(), number, since)))
        .collect();
    let began = Instant::now();
    let each = changes().div_ceil(WRITERS);
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(nodes.clone(), number, each)))
        .collect();
    let over = Arc::new(AtomicBool::new(false));
    let mut restarts = 0;
    let mut dice = Dice(99);
    let waits = {
        let over = over.clone();
        tokio::spawn(async move {
            for writer in writers {
                writer.await.unwrap();
            }
            over.store(true, Ordering::Release);
        })
    };
    while !over.load(Ordering::Acquire) || restarts < 3 {
        let at = dice.below(servers.len());
        match dice.below(3) {
            0 => {
                servers[at].pause();
                tokio::time::sleep(Duration::from_millis(300)).await;
                servers[at].resume();
            }
            way => {
                let (old, name) = (servers.remove(at), format!("n{restarts}"));
                if way == 1 {
                    old.kill9();
                } else {
                    let _ = old.terminate();
                }
                servers.insert(at, store.node(&name, &[ALONE]));
                nodes.write().unwrap()[at] = root.at(&servers[at]);
                restarts += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    waits.await.unwrap();
    let root = root.at(&servers[0]);
    put(&root, "race/end").await;
    let mut all = BTreeMap::new();
    let mut next = since;
    while all.values().all(|data: &Value| data["path"] != "race/end") {
        let (status, page) = root.get(&format!("watch?since={next}&prefix=race&wait=1")).await;
        assert_eq!(status, 200, "{page}");
        let changes = page["changes"].as_array().unwrap().iter();
        all.extend(changes.map(|change| (change["revision"].as_i64().unwrap(), change.clone())));
        next = page["revision"].as_i64().unwrap();
    }
    assert_eq!(all.len(), WRITERS * each + 1, "every write is one change");
    let all: Vec<(i64, Value)> = all.into_iter().collect();
    let mut resumed = 0;
    for watcher in watchers {
        let (told, times) = watcher.await.unwrap();
        assert!(told == all, "{} told of {}", told.len(), all.len());
        resumed += times;
    }
    println!(
        "{} changes in {:?}, {restarts} restarts; {WATCHERS} watchers, resumed {resumed} times: 0 missed, 0 repeated",
        all.len(),
        began.elapsed()
    );
}
