//! `health`: what a container's check runs, on a machine that has nothing else.

use std::time::{Duration, Instant};

use super::Shell;
use crate::harness::{On, Store, own_port, run};

/// No certificates, and no token.
const BARE: [(&str, &str); 2] = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];

fn health(address: &str, args: &[&str]) -> (i32, String, String) {
    let environment = [&BARE[..], &[("STRONGROOM_ADDR", address)]].concat();
    let (code, stdout, stderr) = run(&[&["health"], args].concat(), &environment, b"");
    (code, String::from_utf8(stdout).unwrap(), stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_serves() {
    let shell = Shell::on(On::Sqlite);
    let address = shell.address.as_str();
    assert_eq!(health(address, &[]), (0, "The node is ready.\n".into(), String::new()));
    assert_eq!(
        health(address, &["--alive"]),
        (0, "The node is alive.\n".into(), String::new())
    );
    let (code, json, _) = health(address, &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json), (0, serde_json::json!({ "ready": true, "problems": [] })));
    let (_, shown, _) = health(address, &["--show-curl"]);
    assert_eq!(shown, format!("curl '{address}/ready'\n"));
    // Plain HTTP needs no certificates for the other verbs either; whoever needs them is told.
    let bare = [&shell.environment()[..], &BARE].concat();
    let (code, _, stderr) = run(&["list"], &bare, b"");
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = health(&address.replace("http:", "https:"), &[]);
    assert!(code == 2 && stderr.contains("certificates"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_says_why() {
    let (store, proxy) = Store::behind_proxy();
    let server = store.dev(&[]);
    let address = server.address();
    assert_eq!(health(&address, &[]).0, 0);
    proxy.hang();
    let (code, stdout, stderr) = health(&address, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("not ready. The database"), "{stderr}");
    assert_eq!(health(&address, &["--alive"]).0, 0, "alive all the same");
    proxy.heal();

    let (code, _, stderr) = health(&format!("http://127.0.0.1:{}", own_port()), &["--alive"]);
    assert!(code == 2 && stderr.contains("refused"), "{stderr}");

    // One that takes connections and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let (code, _, stderr) = health(&format!("http://{}", mute.local_addr().unwrap()), &[]);
    assert!(code == 2 && stderr.contains("in 3 s"), "{stderr}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
