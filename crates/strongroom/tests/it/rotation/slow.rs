//! A target that does not answer.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use super::stage;
use crate::harness::On;

/// More than a node works on at one time.
const ROTATIONS: usize = 24;

async fn a_slow_target_holds_up_nobody_else(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    stage.postgres_at("silent", &address).await;
    let began = Instant::now();
    for at in 0..ROTATIONS {
        let policy = json!({ "rotator": "postgres", "target": "silent", "users": ["app"], "interval": "1s" });
        root.written(&format!("rotation/slow/{at}"), policy).await;
    }
    // They are at it, and nobody answers for 20 seconds.
    let _asked = silent.accept().await.unwrap();
    root.written("rotation/app/key", json!({ "rotator": "generate", "interval": "1s" }))
        .await;
    let asked = Instant::now();
    root.rotation_until("app/key", |rotation| rotation["version"].as_i64() >= Some(3))
        .await;
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "while they wait");
}

on_both_stores!(a_slow_target_holds_up_nobody_else);
