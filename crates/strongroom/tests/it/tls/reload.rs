//! Certificates are replaced while the server goes on.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustls::version::TLS13;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{connected, metric, served, settings, url};
use crate::authority::{Authority, Pair};
use crate::harness::{On, Server, own_port};
use crate::operator::Installation;

/// A change is noticed within two seconds.
const NOTICED: Duration = Duration::from_secs(10);
const FAILURES: &str = "strongroom_tls_reload_failures_total";
const READ: &str = "the certificate was read anew";

struct Serving {
    installation: Installation,
    server: Server,
    authority: Authority,
}

impl Serving {
    fn start(pair: &Pair, authority: Authority) -> Self {
        let installation = Installation::initialised(On::Sqlite);
        let (port, files) = (own_port(), Self::write_to(&installation, pair));
        let listen = format!("127.0.0.1:{port}");
        let mut environment = installation.environment();
        environment.retain(|(name, _)| *name != "STRONGROOM_LISTEN");
        let mut environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        environment.push(("STRONGROOM_LISTEN", &listen));
        environment.extend(settings(&files));
        let server = Server::start(&["server"], &environment, port, installation.store.dir.path());
        Self {
            installation,
            server,
            authority,
        }
    }

    fn write_to(installation: &Installation, pair: &Pair) -> [PathBuf; 2] {
        pair.write(installation.store.dir.path(), "server")
    }

    fn write(&self, pair: &Pair) {
        Self::write_to(&self.installation, pair);
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        connected(&self.server, self.authority.client(&[&TLS13])).await.unwrap()
    }

    async fn until_served(&self, pair: &Pair) {
        let began = Instant::now();
        while served(&self.connect().await) != pair.der() {
            assert!(began.elapsed() < NOTICED, "{}", self.server.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn failures(&self) -> i64 {
        metric(&self.authority.http(None), &self.server, FAILURES).await
    }

    async fn until_failures(&self, wanted: i64) {
        let began = Instant::now();
        while self.failures().await < wanted {
            assert!(began.elapsed() < NOTICED, "{}", self.server.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn hang_up(&self) {
        let done = Command::new("kill")
            .args(["-HUP", &self.server.pid().to_string()])
            .status();
        assert!(done.unwrap().success());
    }
}

async fn asks(stream: &mut TlsStream<TcpStream>) {
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut rest = Vec::new();
    while !rest.ends_with(br#"{"status":"alive"}"#) {
        rest.push(stream.read_u8().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_served_to_whoever_comes_next() {
    let authority = Authority::new("reload");
    let [first, second] = [authority.server(), authority.server()];
    let serving = Serving::start(&first, authority);
    let mut open = serving.connect().await;
    assert_eq!(served(&open), first.der());
    asks(&mut open).await;
    serving.write(&second);
    serving.until_served(&second).await;
    asks(&mut open).await;
    assert_eq!(serving.failures().await, 0);

    let ended = serving.authority.issue_with(&["localhost", "127.0.0.1"], |params| {
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    });
    serving.write(&ended);
    serving.until_served(&ended).await;
    let (http, server) = (serving.authority.http(None), &serving.server);
    let end = metric(&http, server, "strongroom_tls_certificate_expiry_timestamp_seconds").await;
    assert_eq!(end, 2_208_988_800);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_takes_nothing_away() {
    let authority = Authority::new("reload");
    let [first, second] = [authority.server(), authority.server()];
    let serving = Serving::start(&first, authority);
    let mixed = Pair {
        key: second.key.clone(),
        ..first.clone()
    };
    let garbage = Pair {
        certificate: "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into(),
        key: String::new(),
    };
    for (count, broken) in (1..).zip([&mixed, &garbage]) {
        serving.write(broken);
        serving.until_failures(count).await;
        assert_eq!(served(&serving.connect().await), first.der());
    }
    serving.write(&first);
    std::fs::remove_file(serving.installation.store.dir.path().join("server.key")).unwrap();
    serving.until_failures(3).await;
    assert_eq!(served(&serving.connect().await), first.der());
    let log = serving.server.log_text();
    for part in [
        "cannot be served with the key",
        "is not PEM",
        "cannot be read",
        "What was served before is served on",
    ] {
        assert!(log.contains(part), "'{part}' is not in: {log}");
    }
    // They are looked at again when they change, and not at every look.
    assert_eq!(serving.failures().await, 3);
    serving.write(&second);
    serving.until_served(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_has_the_files_read() {
    let authority = Authority::new("reload");
    let first = authority.server();
    let serving = Serving::start(&first, authority);
    for count in 1..=3 {
        // Nothing has changed: only who is told reads them.
        serving.hang_up();
        let began = Instant::now();
        while serving.server.log_text().matches(READ).count() < count {
            assert!(began.elapsed() < NOTICED, "{}", serving.server.log_text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(serving.server.log_text().matches(READ).count(), 3);
    let answer = serving
        .authority
        .http(None)
        .get(url(&serving.server, "/ready"))
        .send()
        .await;
    assert!(answer.unwrap().status().is_success());
}
