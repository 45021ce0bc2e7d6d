//! One fault at one point of one rotation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::place::{HASTE, Outside, Place};
use super::{Cell, Fault};
use crate::harness::{Api, On};

/// More than a claim lasts.
const PAUSE: Duration = Duration::from_millis(31_000 / HASTE as u64);
/// More than making a user for a lease may take.
const LONG_PAUSE: Duration = Duration::from_millis(61_000 / HASTE as u64);
/// More than is waited for an answer of a target.
const SLOW: Duration = Duration::from_millis(21_000 / HASTE as u64);
const DOWN: Duration = Duration::from_millis(700);
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Logs in as long as it lasts, past the proxy.
struct Logins {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(usize, usize)>,
}

impl Logins {
    fn start(outside: &Arc<Outside>, credential: &Value) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (outside, credential, stopped) = (outside.clone(), credential.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let (mut tried, mut failed) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                tried += 1;
                failed += usize::from(!outside.logs_in(&credential).await);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (tried, failed)
        });
        Self { stop, task }
    }

    async fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

impl Outside {
    pub(super) async fn logs_in(&self, credential: &Value) -> bool {
        let text = |name: &str| credential[name].as_str().unwrap();
        self.lets_in(text("username"), text("password")).await
    }
}

impl Place {
    /// The rotation is over, and led to this version.
    async fn comes_to(&self, version: i64, api: &Api, cell: Cell) {
        let began = Instant::now();
        loop {
            let seen = api.call("GET", "rotation/app/db", None).await;
            if let Ok((200, rotation)) = &seen
                && rotation["run"].is_null()
                && rotation["version"].as_i64() >= Some(version)
            {
                return assert_eq!(rotation["version"], version, "{cell}: {rotation}");
            }
            assert!(began.elapsed() < PATIENCE, "{cell}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// By the log: each version became current once at most.
    pub(super) async fn promoted_nothing_twice(&self) {
        let (status, log) = self
            .root()
            .get("audit?action=rotation.finish&path=app/db&outcome=granted&limit=1000")
            .await;
        assert_eq!(status, 200, "{log}");
        let mut promoted: BTreeMap<i64, usize> = BTreeMap::new();
        for version in log["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|entry| entry["version"].as_i64())
        {
            *promoted.entry(version).or_default() += 1;
        }
        let (current, _) = self.labelled("current").await;
        assert_eq!(
            promoted.keys().copied().collect::<Vec<_>>(),
            (2..=current).collect::<Vec<_>>()
        );
        assert!(promoted.values().all(|times| *times == 1), "{promoted:?}");
    }
}

/// What comes while the node that had it is gone.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Version(i64),
    Nothing,
}

impl Then {
    async fn comes(self, place: &Place, api: &Api, cell: Cell) {
        match self {
            Self::Version(version) => place.comes_to(version, api, cell).await,
            Self::Nothing => tokio::time::sleep(self.pause()).await,
        }
    }

    fn pause(self) -> Duration {
        match self {
            Self::Version(_) => PAUSE,
            Self::Nothing => LONG_PAUSE,
        }
    }
}

/// Where one stops for the fault to come about.
pub(super) async fn harm(place: &mut Place, point: &str, cell: Cell, then: Then) {
    let node = place.reached(point).await;
    match cell.fault {
        Fault::Kill => {
            place.kill(node);
            place.release(point);
            if cell.on == On::Postgres {
                // The other one follows.
                then.comes(place, &place.root(), cell).await;
            }
            place.start_again();
        }
        Fault::StoreDown => {
            let store = place.before_store.as_ref().unwrap();
            store.cut();
            place.release(point);
            tokio::time::sleep(DOWN).await;
            store.heal();
        }
        Fault::TargetDown => {
            place.before_target.cut();
            place.release(point);
            tokio::time::sleep(DOWN).await;
            place.before_target.heal();
        }
        Fault::TargetSlow => {
            place.before_target.hang();
            place.release(point);
            tokio::time::sleep(SLOW).await;
            place.before_target.heal();
        }
        Fault::ReplyLost => {
            let store = place.before_store.as_ref().filter(|_| !cell.is_at_target());
            let proxy = store.unwrap_or(&place.before_target);
            proxy.hang_replies();
            place.release(point);
            tokio::time::sleep(DOWN).await;
            proxy.cut();
            proxy.heal();
        }
        Fault::Paused => {
            place.pause(node);
            match place.other(node) {
                Some(other) => then.comes(place, &other, cell).await,
                // Its other tasks go on, once it runs again.
                None => tokio::time::sleep(then.pause()).await,
            }
            place.resume(node);
            tokio::time::sleep(DOWN).await;
            place.release(point);
        }
    }
}

/// What is told of it.
pub(super) async fn run(place: &mut Place, cell: Cell) -> String {
    let point = cell.point("rotation");
    let users = place.outside.users().await;
    let (before, credential) = place.labelled("current").await;
    let logins = Logins::start(&place.outside, &credential);
    let is_lost = cell.loses_an_answer();
    place.arm(&point, if is_lost { "lost" } else { "" });
    let (root, asked) = (place.root(), serde_json::json!({ "action": "rotate" }));
    // It may never be answered.
    let asked = tokio::spawn(async move { root.call("POST", "rotation/app/db", Some(asked)).await });
    if !is_lost {
        harm(place, &point, cell, Then::Version(before + 1)).await;
    }
    place.comes_to(before + 1, &place.root(), cell).await;
    let _ = asked.await;
    let (tried, failed) = logins.stop().await;
    assert_eq!(failed, 0, "{cell}: of {tried} logins");
    let (_, current) = place.labelled("current").await;
    let previous = place.labelled("previous").await;
    assert_eq!(previous, (before, credential), "{cell}");
    assert!(place.outside.logs_in(&current).await, "{cell}: {current}");
    assert!(place.outside.logs_in(&previous.1).await, "{cell}: {previous:?}");
    let mut expected = users;
    if !expected.iter().any(|user| user == "app_alt") {
        expected.push("app_alt".to_owned());
        expected.sort();
    }
    assert_eq!(place.outside.users().await, expected, "{cell}");
    format!("{tried} logins, none failed")
}
