//! Watchers: what one costs, and how long a change takes to all of them.

use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_testkit::scale;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::harness::{Api, Store};
use crate::resident;

const CHANGES: usize = 50;
const ON_ANOTHER_NODE: usize = 200;
const WAY: &str = "/api/v1/watch?prefix=watched";

/// One watcher on a connection of its own, that tells when it was told of each change.
async fn watcher(api: &Api, told: mpsc::UnboundedSender<Instant>) -> JoinHandle<()> {
    let mut stream = TcpStream::connect(api.address.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let token = api.token.as_deref().unwrap();
    let request = format!("GET {WAY} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = [0; 1024];
    let mut begun = Vec::new();
    while !begun.windows(2).any(|two| two == b"}\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&begun));
        begun.extend_from_slice(&buffer[..read]);
    }
    assert!(
        begun.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&begun)
    );
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            let at = Instant::now();
            // Changes are so far apart that one comes at a time; a heartbeat has no data.
            if buffer[..read].windows(6).any(|six| six == b"data: ") && told.send(at).is_err() {
                return;
            }
        }
    })
}

/// Of as many changes as are asked for, how long each took to each watcher.
async fn publish(
    root: &Api,
    told: &mut mpsc::UnboundedReceiver<Instant>,
    watchers: usize,
    changes: usize,
) -> Vec<Duration> {
    let mut took = Vec::with_capacity(watchers * changes);
    for change in 0..changes {
        let sent = Instant::now();
        let path = format!("secrets/watched/{}", change % 10);
        assert!(matches!(root.put(&path, json!({ "value": "v" })).await.0, 200 | 201));
        for _ in 0..watchers {
            let at = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
            took.push(at.expect("every watcher is told").unwrap() - sent);
        }
    }
    took.sort();
    took
}

fn say(what: &str, took: &[Duration]) {
    let at = |part: usize| took[(took.len() * part / 1000).min(took.len() - 1)];
    println!(
        "=> {what}: p50 {:?}, p99 {:?}, at most {:?}",
        at(500),
        at(990),
        at(1000)
    );
}

/// 10,000 watchers on one of two nodes; from the sending of the write to each one's reading.
pub(crate) async fn figures(store: Store) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of watchers"
    )]
    let watchers = (10_000.0 * scale()).min(10_000.0) as usize;
    store.dev(&[]).terminate();
    let many = [("STRONGROOM_LIMITS_CONNECTIONS", "11000")];
    let (a, b) = (store.node("a", &many), store.node("b", &many));
    let root = Api::new(&a, store.root_token());
    let (sender, mut told) = mpsc::unbounded_channel();
    let other = watcher(&root.at(&b), sender.clone()).await;
    let took = publish(&root, &mut told, 1, ON_ANOTHER_NODE).await;
    say("a change seen on another node", &took);
    other.abort();
    let before = resident(&a);
    let mut all = Vec::new();
    for _ in 0..watchers {
        all.push(watcher(&root, sender.clone()).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = resident(&a);
    let took = publish(&root, &mut told, watchers, CHANGES).await;
    say(&format!("a change seen by {watchers} watchers of one node"), &took);
    let (busy, each) = (resident(&a), |kb: u64| kb.saturating_sub(before) / watchers as u64);
    println!(
        "=> memory of a watcher: {} kB idle, {} kB after {CHANGES} changes ({before}, {idle} and {busy} kB resident)",
        each(idle),
        each(busy)
    );
    all.iter().for_each(JoinHandle::abort);
}
