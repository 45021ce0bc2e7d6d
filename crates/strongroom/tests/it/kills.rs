//! Promise 1: nothing acknowledged is lost, and nothing is half there or there twice.

mod cut;
mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use strongroom_testkit::{Cluster, scale};
use tokio::task::JoinHandle;

use crate::harness::{Api, KEEP_ALL, On, Store};
use ledger::{Dice, Outcome, Tally, Write, check, send};

const WRITERS: usize = 32;
const KILLS: f64 = 20.0;
/// Until a server serves again by itself once its database is back.
const RECOVERY: Duration = Duration::from_secs(15);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number of rounds"
)]
fn rounds(at_scale_one: f64) -> usize {
    (at_scale_one * scale()).ceil() as usize
}

/// Writers that go on until they are told to stop, whatever is answered.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Write>>>,
}

impl Writers {
    fn start(api: &Api, folder: &str, dice: &mut Dice) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks =
            (0..WRITERS).map(|_| tokio::spawn(write_on(api.clone(), folder.to_owned(), dice.fork(), stop.clone())));
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    async fn stop(self) -> Vec<Write> {
        self.stop.store(true, Ordering::Relaxed);
        let mut writes = Vec::new();
        for task in self.tasks {
            writes.extend(task.await.unwrap());
        }
        writes
    }
}

async fn write_on(api: Api, folder: String, mut dice: Dice, stop: Arc<AtomicBool>) -> Vec<Write> {
    let mut writes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut write = Write::random(&folder, &mut dice);
        write.outcome = send(&api, &write).await;
        let failed = !matches!(write.outcome, Outcome::Acknowledged(_));
        writes.push(write);
        if failed {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    writes
}

async fn server_kills(on: On) {
    let mut dice = Dice::seeded();
    let store = Store::fresh(on);
    let mut server = store.dev(&[KEEP_ALL]);
    let mut tally = Tally::default();
    for round in 0..rounds(KILLS) {
        let folder = format!("kills/{round:04}");
        let load = Writers::start(&Api::new(&server, store.root_token()), &folder, &mut dice);
        tokio::time::sleep(dice.millis(50, 400)).await;
        server.kill9();
        let writes = load.stop().await;
        server = store.dev(&[KEEP_ALL]);
        check(&Api::new(&server, store.root_token()), &folder, &writes, &mut tally).await;
        tally.kills += 1;
    }
    tally.judge(&format!("server on {on:?}"));
}

on_both_stores!(server_kills);

#[tokio::test(flavor = "multi_thread")]
async fn postgres_kills() {
    let mut dice = Dice::seeded();
    let mut cluster = Cluster::start();
    let store = Store::at(cluster.create_database("kills"));
    let server = store.dev(&[KEEP_ALL]);
    let api = Api::new(&server, store.root_token());
    let mut tally = Tally::default();
    for round in 0..rounds(KILLS / 2.0) {
        let folder = format!("kills/{round:04}");
        let load = Writers::start(&api, &folder, &mut dice);
        tokio::time::sleep(dice.millis(50, 400)).await;
        tokio::task::block_in_place(|| cluster.kill9());
        tokio::time::sleep(dice.millis(0, 200)).await;
        tokio::task::block_in_place(|| cluster.restart());
        tokio::time::sleep(dice.millis(0, 200)).await;
        let writes = load.stop().await;
        recovered(&api, &mut dice).await;
        check(&api, &folder, &writes, &mut tally).await;
        tally.kills += 1;
    }
    tally.judge("PostgreSQL");
}

async fn recovered(api: &Api, dice: &mut Dice) {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let outcome = send(api, &Write::random("kills/probe", dice)).await;
        if matches!(outcome, Outcome::Acknowledged(_)) {
            return;
        }
        assert!(Instant::now() < deadline, "the server does not recover: {outcome:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
