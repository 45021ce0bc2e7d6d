//! SIGTERM: what was asked is answered, within a bound.

use std::io::Write as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{SOON, head};
use crate::harness::{Api, On, Server, Store};
use crate::input::raw;

/// Sends SIGTERM and waits beside the test.
fn terminate(server: Server) -> std::thread::JoinHandle<ExitStatus> {
    std::thread::spawn(move || server.terminate())
}

async fn an_open_request_finishes(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let port = server.port;
    let body = br#"{"value":"the last word"}"#;
    let mut stream = raw::connect(port);
    stream.write_all(&head(&store, "last", body.len())).unwrap();
    stream.write_all(&body[..10]).unwrap();
    let mut idle = raw::connect(port);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopping = terminate(server);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
        "it still listens"
    );
    assert!(!stopping.is_finished(), "it ended before the answer");
    stream.write_all(&body[10..]).unwrap();
    let answer = String::from_utf8(raw::read_to_end(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(
        raw::read_to_end(&mut idle).is_empty(),
        "an idle connection is just closed"
    );
    assert!(stopping.join().unwrap().success());
    let server = store.dev(&[]);
    let (status, read) = Api::new(&server, store.root_token()).get("secrets/last").await;
    assert_eq!((status, &read["value"]), (200, &json!("the last word")));
}

async fn a_stuck_request_is_cut(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[("STRONGROOM_LIMITS_DRAIN_SECONDS", "1")]);
    let mut stream = raw::connect(server.port);
    stream.write_all(&head(&store, "stuck", 40)).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let stopping = terminate(server);
    let answer = raw::read_to_end(&mut stream);
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
    assert!(stopping.join().unwrap().success());
    assert!(started.elapsed() < SOON, "not cut for {:?}", started.elapsed());
}

on_both_stores!(an_open_request_finishes, a_stuck_request_is_cut);

/// The database hangs while the server is told to stop: the request is refused, and the server ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_database_does_not_hold_the_end() {
    let (store, proxy) = Store::behind_proxy();
    let server = store.dev(&[
        ("STRONGROOM_LIMITS_DRAIN_SECONDS", "20"),
        ("STRONGROOM_LIMITS_REQUEST_SECONDS", "2"),
    ]);
    let root = Api::new(&server, store.root_token());
    assert_eq!(root.put("secrets/a", json!({ "value": "x" })).await.0, 201);
    proxy.hang();
    let asking = tokio::spawn(async move { root.call("GET", "secrets/a", None).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let stopping = terminate(server);
    let (status, answer) = asking.await.unwrap().expect("an answer");
    assert_eq!(status, 503, "{answer}");
    assert!(answer["value"].is_null(), "{answer}");
    assert!(stopping.join().unwrap().success());
    assert!(started.elapsed() < 2 * SOON, "held for {:?}", started.elapsed());
    proxy.heal();
}
