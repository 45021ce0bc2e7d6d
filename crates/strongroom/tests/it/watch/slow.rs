//! Who does not keep up, how many may watch, and how streams end with their node.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testkit::scale;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Barrier;

use super::{ALONE, LONG, Stream, put, settle};
use crate::harness::{Api, On, Server, Store, command, own_port, run};

/// Changes made at once.
const EACH: usize = 100;

/// A stream of which nothing is read, by a client that has little room for what it does not read.
async fn unread(api: &Api) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = api.address.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let token = api.token.as_deref().unwrap();
    let request = format!("GET /api/v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// So many long names that no buffer on the way holds all that is said of them.
async fn flood(api: &Api, rounds: usize) {
    let long = "long/".repeat(29) + &"n".repeat(300);
    for round in 0..rounds {
        let write = |at: usize| json!({ "path": format!("{long}{round}-{at}"), "value": "v" });
        let writes: Vec<Value> = (0..EACH).map(write).collect();
        let (status, answer) = api.post("batch", json!({ "writes": writes, "atomic": true })).await;
        assert_eq!(status, 200, "{answer}");
    }
}

async fn metric(api: &Api, name: &str) -> u64 {
    let text = api
        .http
        .get(format!("{}/metrics", api.address))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    line.trim().parse().unwrap_or_default()
}

async fn who_reads_nothing_is_dropped_and_holds_nobody_up(on: On) {
    const ROUNDS: usize = 100;
    let store = Store::fresh(on);
    let patient = ("STRONGROOM_AUDIT_DEADLINE_MS", "10000");
    let server = store.dev(&[ALONE, patient, ("STRONGROOM_LIMITS_WRITE_SECONDS", "8")]);
    let root = Api::new(&server, store.root_token());
    let mut good = Stream::open(&root, "").await;
    good.start().await;
    let mut lazy = unread(&root).await;
    let gone = unread(&root).await;
    while metric(&root, "strongroom_watchers ").await < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    let reads = tokio::spawn(async move {
        let mut ids: Vec<i64> = Vec::new();
        while ids.len() < ROUNDS * EACH {
            let event = good.next().await.expect("a change");
            assert!(Some(&event.id) > ids.last() && event.name == "change", "{event:?}");
            ids.push(event.id);
        }
        (good, ids)
    });
    flood(&root, ROUNDS).await;
    let (good, all) = reads.await.unwrap();
    let (changes, last) = (all.len(), *all.last().unwrap());
    println!(
        "{on:?}: {changes} changes in {:?}, while two read nothing",
        began.elapsed()
    );
    // They are no watchers any more, whatever their connections do.
    while metric(&root, "strongroom_watchers ").await > 1 {
        assert!(began.elapsed() < 2 * LONG, "they watch still");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(metric(&root, "strongroom_watchers_lagged_total ").await, 2);
    // Who reads on in time is told so, behind what was under way, and goes on from there without a gap.
    let mut text = Vec::new();
    lazy.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    let ids: Vec<i64> = ids.map(|id| id.parse().unwrap()).collect();
    assert!(text.contains("event: lagged"), "{}", &text[text.len() - 300..]);
    let told = &ids[1..ids.len() - 1];
    assert!(told.len() < changes, "all of it was held for one who reads nothing");
    assert!(told.windows(2).all(|two| two[1] == two[0] + 1));
    assert_eq!(ids.last(), told.last(), "it goes on behind what was told");
    let mut resumed = Stream::resumed(&root, "", ids.last().copied()).await.unwrap();
    resumed.start().await;
    for id in told.last().unwrap() + 1..=last {
        assert_eq!(resumed.next().await.unwrap().id, id);
    }
    // The other's connection ends, though it never reads.
    while metric(&root, "strongroom_http_connections ").await > 3 {
        assert!(began.elapsed() < 3 * LONG, "its connection is open still");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop((gone, good));
}

async fn no_more_watch_than_may(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[ALONE, ("STRONGROOM_WATCH_STREAMS", "2")]);
    let root = Api::new(&server, store.root_token());
    let mut first = Stream::open(&root, "").await;
    first.start().await;
    let mut second = Stream::open(&root, "").await;
    second.start().await;
    for query in ["", "?since=0&wait=1"] {
        let refused = Stream::ask(&root, query, None).await.unwrap();
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        let problem: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        assert_eq!(problem["code"], "overloaded");
    }
    drop(second);
    let began = Instant::now();
    let mut third = loop {
        match Stream::resumed(&root, "", None).await {
            Some(third) => break third,
            None => assert!(began.elapsed() < LONG, "the place is taken still"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    third.start().await;
    settle(&root, &mut third, "a").await;
    first.change("a").await;
}

async fn streams_end_with_their_node(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[ALONE]);
    let root = Api::new(&server, store.root_token());
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = Stream::open(&root, "").await;
        stream.start().await;
        streams.push(stream);
    }
    let waits = {
        let root = root.clone();
        tokio::spawn(async move { root.get("watch?since=9999999&prefix=none&wait=60").await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    assert!(server.terminate().success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for stream in &mut streams {
        assert!(stream.rest(LONG).await.is_empty());
    }
    let _ = waits.await;
}

/// Every one of many is told everything, whoever writes and however fast.
async fn a_flood_is_told_whole(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[ALONE]);
    let root = Api::new(&server, store.root_token());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of changes"
    )]
    let each = (20.0 * scale()).ceil() as usize;
    // A watcher takes its place before it is told from where on it watches.
    let started = Arc::new(Barrier::new(41));
    let watchers: Vec<_> = (0..40)
        .map(|_| {
            let (root, started) = (root.clone(), started.clone());
            tokio::spawn(async move {
                let mut stream = Stream::open(&root, "?prefix=flood").await;
                stream.start().await;
                started.wait().await;
                let mut told = Vec::new();
                loop {
                    let event = stream.next().await.expect("it goes on");
                    assert!(Some(&event.id) > told.last(), "in order, and each once");
                    told.push(event.id);
                    if event.data["path"] == "flood/end" {
                        return told;
                    }
                }
            })
        })
        .collect();
    started.wait().await;
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let root = root.clone();
            tokio::spawn(async move {
                for at in 0..each {
                    put(&root, &format!("flood/{writer}/{at}")).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    put(&root, "flood/end").await;
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap().len(), 16 * each + 1);
    }
}

/// A client that ends with its test.
struct Client(std::process::Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a client has printed so far.
fn printed(file: &Path, lines: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= lines {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(began.elapsed() < LONG, "{lines} lines are expected: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_goes_on() {
    let store = Store::fresh(On::Sqlite);
    let port = own_port();
    let (data, listen) = (store.data_dir(), format!("127.0.0.1:{port}"));
    let args = ["dev", "--data-dir", data.to_str().unwrap(), "--listen", &listen];
    // A log each: a server's own word says when it serves.
    let logs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = |number: usize| Server::start(&args, &[], port, logs[number].path());
    let server = start(0);
    let (root, address) = (Api::new(&server, store.root_token()), server.address());
    let token = store.root_token();
    let environment = [("STRONGROOM_ADDR", address.as_str()), ("STRONGROOM_TOKEN", &token)];
    let file = |name: &str| store.dir.path().join(name);
    let since = root.get("watch?wait=1").await.1["revision"].to_string();
    let watching = |name: &str, more: &[&str]| {
        let args = [&["watch", "app", "--since", &since], more].concat();
        let out = std::fs::File::create(file(name)).unwrap();
        Client(command(&args, &environment).stdout(out).spawn().unwrap())
    };
    let clients = [watching("table", &[]), watching("json", &["-o", "json"])];
    put(&root, "app/one").await;
    put(&root, "other/one").await;
    // Both have been served once: one that finds nobody at first gives up.
    for name in ["table", "json"] {
        printed(&file(name), 1);
    }
    server.kill9();
    let server = start(1);
    put(&root, "app/two").await;
    assert_eq!(root.delete("secrets/app/two").await.0, 200);
    let lines = printed(&file("table"), 3);
    let told: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split_whitespace().skip(1).collect())
        .collect();
    assert_eq!(
        told,
        [
            ["secret.write", "app/one", "version", "1"],
            ["secret.write", "app/two", "version", "1"],
            ["secret.delete", "app/two", "version", "1"],
        ]
    );
    for (line, json) in lines.iter().zip(printed(&file("json"), 3)) {
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["event"], &json["kind"]), (&json!("change"), &json!("secret")));
        assert!(line.starts_with(&json["revision"].to_string()), "{line}: {json}");
    }
    drop(clients);
    let refused = [
        ("STRONGROOM_ADDR", address.as_str()),
        ("STRONGROOM_TOKEN", "srs_nobody"),
    ];
    let (code, out, error) = run(&["watch"], &refused, b"");
    assert_eq!((code, out.len()), (4, 0), "{error}");
    drop(server);
    let (code, _, error) = run(&["watch"], &environment, b"");
    assert_eq!(code, 2, "nobody is there at first: {error}");
    let (code, _, error) = run(&["watch", "a//b"], &environment, b"");
    assert_eq!(code, 1, "{error}");
}

on_both_stores!(
    who_reads_nothing_is_dropped_and_holds_nobody_up,
    no_more_watch_than_may,
    streams_end_with_their_node,
    a_flood_is_told_whole,
);
