//! Clients that log in while rotations go on: some ask for the credential each time, some keep one for a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection as _;
use strongroom_testkit::scale;
use tokio::task::JoinHandle;

use super::users::{FIRST, logs_in, place};
use crate::harness::{Api, On};

const CLIENTS: usize = 8;
/// Of each client, from one rotation to the next: that is an interval.
const LOGINS: usize = 20;
/// For how many of them half of the clients keep a credential: 90 % of an interval.
const KEPT: usize = LOGINS * 9 / 10;
const ROTATIONS: f64 = 8.0;

struct Client {
    logins: Arc<AtomicUsize>,
    task: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    failures: Vec<String>,
    passwords: BTreeSet<String>,
    users: BTreeSet<String>,
}

impl Client {
    fn start(api: Api, port: u16, keeps: usize, stop: Arc<AtomicBool>) -> Self {
        let logins = Arc::new(AtomicUsize::new(0));
        let made = logins.clone();
        let task = tokio::spawn(async move {
            let (mut seen, mut credential) = (Seen::default(), Value::Null);
            while !stop.load(Ordering::Relaxed) {
                if made.load(Ordering::Relaxed).is_multiple_of(keeps) {
                    credential = api.value("app/db").await;
                    let text = |name: &str| credential[name].as_str().unwrap().to_owned();
                    seen.passwords.insert(text("password"));
                    seen.users.insert(text("username"));
                }
                match logs_in(port, &credential).await {
                    // It says goodbye, so that few are open at a time.
                    Ok(connection) => drop(connection.close().await),
                    Err(error) => seen.failures.push(error.to_string()),
                }
                made.fetch_add(1, Ordering::Relaxed);
            }
            seen
        });
        Self { logins, task }
    }
}

async fn nobody_is_kept_out(on: On) {
    let mut place = place(on).await;
    let root = place.stage.root.clone();
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
    root.written("rotation/app/db", policy).await;
    let (stop, port, began) = (Arc::new(AtomicBool::new(false)), place.cluster.port(), Instant::now());
    let clients: Vec<Client> = (0..CLIENTS)
        .map(|who| Client::start(root.clone(), port, if who % 2 == 0 { 1 } else { KEPT }, stop.clone()))
        .collect();
    let mut rotations = 0;
    while f64::from(rotations) < ROTATIONS * scale() {
        let before: Vec<usize> = clients
            .iter()
            .map(|client| client.logins.load(Ordering::Relaxed))
            .collect();
        while clients
            .iter()
            .zip(&before)
            .any(|(client, before)| client.logins.load(Ordering::Relaxed) < before + LOGINS)
        {
            assert!(began.elapsed() < Duration::from_hours(1), "{rotations} rotations");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (status, done) = root.told("app/db", "rotate").await;
        assert_eq!((status, &done["run"]), (200, &Value::Null), "{done}");
        rotations += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut logins, mut failures, mut users) = (0, Vec::new(), BTreeSet::new());
    for client in clients {
        let seen = client.task.await.unwrap();
        logins += client.logins.load(Ordering::Relaxed);
        failures.extend(seen.failures);
        place.seen.extend(seen.passwords);
        users.extend(seen.users);
    }
    println!(
        "{CLIENTS} clients through {rotations} rotations on {on:?}: {logins} logins, {} failed, in {:.1?}",
        failures.len(),
        began.elapsed()
    );
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(users, ["app", "app_alt"].map(str::to_owned).into());
    assert!(
        place.seen.len() > usize::try_from(rotations).unwrap() / 2,
        "credentials change"
    );
    // The test wrote this one itself.
    place.seen.remove(FIRST);
    place.wrote_down_no_password();
}

on_both_stores!(nobody_is_kept_out);
