//! Many who ask for leases of one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::On;
use crate::rotation::stage;

const MANY: usize = 60;
/// What the documentation says.
const AT_ONCE: usize = 8;

/// A server that takes a while, and lets nobody in. How many it was asked by at one time, at most.
async fn crowded() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let now = now.clone();
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                now.fetch_sub(1, SeqCst);
                drop(stream);
            });
        }
    });
    (address, seen)
}

async fn a_server_is_asked_by_so_many_at_a_time(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let (address, most) = crowded().await;
    stage.postgres_at("db", &address).await;
    let role = json!({ "target": "db", "template": "reporting" });
    root.written("lease-roles/report", role).await;
    let asked = (0..MANY).map(|_| root.post("leases/report", json!({})));
    for (status, answer) in join_all(asked).await {
        assert_eq!((status, &answer["code"]), (503, &json!("target_failed")), "{answer}");
    }
    let most = most.load(SeqCst);
    assert!((2..=AT_ONCE).contains(&most), "{most}");
}

on_both_stores!(a_server_is_asked_by_so_many_at_a_time);
