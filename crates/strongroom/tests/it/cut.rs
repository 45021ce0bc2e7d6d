//! Clients that go away in the middle of a write: what they left behind must not break what others were told.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Api, KEEP_ALL, On, Store};

/// Sends a write and closes at once, so that the server drops the request while its change is still on its way.
async fn put_and_leave(port: u16, token: String, path: &str, length: usize) {
    let value = "x".repeat(length);
    let body = json!({ "value": value }).to_string();
    let head = format!(
        "PUT /api/v1/secrets/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_micros(u64::try_from(length).unwrap() * 37 % 1500)).await;
}

/// Every write that was acknowledged is there whole, under its own number, however many clients left in between.
async fn writers_that_leave_break_nothing(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[KEEP_ALL]);
    let root = Api::new(&server, store.root_token());
    let token = store.root_token();
    let mut acknowledged = Vec::new();
    for round in 0..60 {
        let leaving: Vec<_> = (0..4)
            .map(|who| {
                let length = 1 + (round * 7 + who * 31) % 200;
                tokio::spawn(put_and_leave(server.port, token.clone(), "cut/by/clients", length))
            })
            .collect();
        let value = format!("kept-{round}");
        let (status, written) = root.put("secrets/cut/by/clients", json!({ "value": value })).await;
        assert_eq!(status, 201, "{written}");
        acknowledged.push((written["version"].as_i64().unwrap(), value));
        for left in leaving {
            left.await.unwrap();
        }
    }
    for (version, value) in &acknowledged {
        let (status, read) = root.get(&format!("secrets/cut/by/clients?version={version}")).await;
        assert_eq!(
            (status, read["value"].as_str()),
            (200, Some(value.as_str())),
            "version {version}: {read}"
        );
    }
    let (_, history) = root.get("versions/cut/by/clients").await;
    let versions = history["versions"].as_array().unwrap();
    println!(
        "{} acknowledged, {} versions in all",
        acknowledged.len(),
        versions.len()
    );
    for version in versions {
        let number = &version["version"];
        let (status, read) = root.get(&format!("secrets/cut/by/clients?version={number}")).await;
        assert_eq!(status, 200, "{read}");
    }
    assert!(versions.len() > acknowledged.len(), "some that left were still written");
}

on_both_stores!(writers_that_leave_break_nothing);
