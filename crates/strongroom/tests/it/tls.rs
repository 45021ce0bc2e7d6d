//! HTTPS, with real certificates and real handshakes.

mod clients;
mod reload;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::Authority;
use crate::harness::{On, Server, Store, own_port, run};
use crate::input::raw;

/// Much longer than a handshake takes, much less than the time it may take.
const SOON: Duration = Duration::from_secs(5);

/// What `server` and `dev` are told to serve HTTPS with.
pub(crate) fn settings(pair: &[PathBuf; 2]) -> Vec<(&'static str, &str)> {
    let [certificate, key] = pair;
    vec![
        ("STRONGROOM_TLS_CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("STRONGROOM_TLS_KEY_FILE", key.to_str().unwrap()),
    ]
}

pub(crate) fn url(server: &Server, path: &str) -> String {
    format!("https://127.0.0.1:{}{path}", server.port)
}

async fn connected(server: &Server, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn served(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn metric(http: &reqwest::Client, server: &Server, name: &str) -> i64 {
    let text = http.get(url(server, "/metrics")).send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {name}"));
    line.parse().unwrap()
}

fn dev_tls(data: &Path) -> (Server, PathBuf) {
    let port = own_port();
    let listen = format!("127.0.0.1:{port}");
    let args = [
        "dev",
        "--tls",
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        &listen,
    ];
    let server = Server::start(&args, &[], port, data.parent().unwrap());
    (server, data.join("tls/ca.pem"))
}

/// As it is shown at the start: the lines are pasted into a shell.
#[test]
fn dev_makes_what_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (server, ca) = dev_tls(&data);
    let made = std::fs::read_to_string(&ca).unwrap();
    let addr = url(&server, "");
    let token = data.join("root-token");
    let shown = format!(
        "export STRONGROOM_ADDR={addr} STRONGROOM_CACERT={} STRONGROOM_TOKEN_FILE={}",
        ca.display(),
        token.display()
    );
    assert!(server.log_text().contains(&shown), "{}", server.log_text());
    let (ca_file, token) = (ca.to_str().unwrap(), token.to_str().unwrap());
    let environment = [
        ("STRONGROOM_ADDR", addr.as_str()),
        ("STRONGROOM_TOKEN_FILE", token),
        ("STRONGROOM_CACERT", ca_file),
    ];
    let (code, _, stderr) = run(&["put", "a/b", "-"], &environment, b"s3cr3t");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(run(&["get", "a/b"], &environment, b"").1, b"s3cr3t");
    let (code, _, stderr) = run(&["get", "a/b", "--ca-cert", ca_file], &environment[..2], b"");
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = run(&["get", "a/b"], &environment[..2], b"");
    assert_eq!(
        (code, stdout.as_slice()),
        (2, &b""[..]),
        "a CA that nobody trusts: {stderr}"
    );
    assert!(stderr.contains("ertificate"), "{stderr}");
    let curl = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--cacert",
            ca_file,
            &url(&server, "/health"),
        ])
        .output();
    match curl {
        Ok(done) => assert_eq!(done.stdout, br#"{"status":"alive"}"#, "{done:?}"),
        Err(error) => println!("NOT RUN: curl: {error}"),
    }
    let discovery = Command::new("curl")
        .args([
            "--silent",
            "--cacert",
            ca_file,
            &url(&server, "/.well-known/openid-configuration"),
        ])
        .output();
    if let Ok(done) = discovery {
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(text.contains(&format!("\"issuer\":\"{addr}\"")), "{text}");
    }
    drop(server);
    let (_again, _) = dev_tls(&data);
    assert_eq!(std::fs::read_to_string(&ca).unwrap(), made, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_protocols() {
    let (store, authority) = (Store::fresh(On::Sqlite), Authority::new("versions"));
    let pair = authority.server();
    let server = store.dev(&settings(&pair.write(store.dir.path(), "server")));
    for (version, protocol) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for alpn in [&b"h2"[..], b"http/1.1"] {
            let mut config = authority.client(&[version]);
            config.alpn_protocols = vec![alpn.to_vec()];
            let stream = connected(&server, config).await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(protocol));
            assert_eq!(session.alpn_protocol(), Some(alpn));
            assert_eq!(served(&stream), pair.der());
        }
    }
    let port = server.port;
    let (old, plain) = tokio::task::spawn_blocking(move || {
        (
            tls_1_1(port),
            raw::send(port, &raw::request("GET", b"/health", &[], b"")),
        )
    })
    .await
    .unwrap();
    // An alert: fatal, protocol_version.
    assert_eq!(old, [21, 3, 3, 0, 2, 2, 70], "TLS 1.1 is not spoken");
    let plain = plain.unwrap();
    assert_eq!(plain.status, 400, "{plain:?}");
    assert!(plain.body.starts_with(b"This address speaks HTTPS"), "{plain:?}");
    let http = authority.http(None);
    let answer = http.get(url(&server, "/ready")).send().await.unwrap();
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["ready"], json!(true));
    assert!(metric(&http, &server, "strongroom_tls_handshake_failures_total").await >= 2);
    let end = metric(&http, &server, "strongroom_tls_certificate_expiry_timestamp_seconds").await;
    assert!(end > 1_700_000_000, "{end}");
}

/// What a client that knows nothing newer begins with, and all that the server answers.
fn tls_1_1(port: u16) -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    // No session; four suites of its day, and one method of no compression.
    hello.extend([0, 0, 8, 0xc0, 0x13, 0xc0, 0x09, 0x00, 0x2f, 0x00, 0xff, 1, 0]);
    // Signatures and groups, so that the version is all there is to refuse.
    hello.extend([0, 16, 0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 29]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut stream = raw::connect(port);
    stream.write_all(&record).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_stall_keep_nobody_waiting() {
    let (store, authority) = (Store::fresh(On::Sqlite), Authority::new("stalled"));
    let pair = authority.server().write(store.dir.path(), "server");
    let mut settings = settings(&pair);
    settings.push(("STRONGROOM_LIMITS_HEADER_SECONDS", "2"));
    let server = store.dev(&settings);
    let said: [&[u8]; 3] = [b"", &[22], &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]];
    let mut stalled: Vec<_> = (0..90)
        .map(|number| {
            let mut stream = raw::connect(server.port);
            stream.write_all(said[number % said.len()]).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    let http = authority.http(None);
    assert!(
        http.get(url(&server, "/health"))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "served after {:?}",
        began.elapsed()
    );
    for stream in &mut stalled {
        // Whatever alert comes, and the end.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(began.elapsed() < SOON, "closed after {:?}", began.elapsed());
    while metric(&http, &server, "strongroom_tls_handshake_failures_total").await < 90 {
        assert!(began.elapsed() < SOON, "they are counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn mistakes_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Authority::new("one").server(), Authority::new("other").server());
    let one = one.write(folder.path(), "one");
    let other = other.write(folder.path(), "other");
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "garbage").unwrap();
    let check = |tls: &[(&str, &Path)], more: &[&str], parts: &[&str]| {
        let mut args = vec!["config".to_owned(), "check".to_owned()];
        args.extend(["--set".to_owned(), "data_dir=/d".to_owned()]);
        for (name, path) in tls {
            args.extend(["--set".to_owned(), format!("tls.{name}={}", path.display())]);
        }
        for setting in more {
            args.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, stdout, stderr) = run(&args, &[], b"");
        assert_eq!(code, i32::from(!parts.is_empty()), "{args:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "'{part}' is not in: {stderr}");
        }
        assert_eq!(stderr.matches("error:").count(), parts.len(), "{stderr}");
        String::from_utf8(stdout).unwrap()
    };
    let pair: [(&str, &Path); 2] = [("certificate_file", &one[0]), ("key_file", &one[1])];
    let beyond = "listen=0.0.0.0:8200";
    assert!(check(&pair, &[beyond], &[]).contains("listening on 0.0.0.0:8200 by HTTPS"));
    check(
        &[],
        &[beyond],
        &["'tls.certificate_file' and 'tls.key_file', or 'insecure_listen'"],
    );
    check(&pair[..1], &[beyond], &["Give both", "'insecure_listen'"]);
    check(
        &pair,
        &["tls.client_certificates=required"],
        &["needs 'tls.client_ca_file'"],
    );
    check(
        &[pair[0], pair[1], ("client_ca_file", &one[0])],
        &[],
        &["checks nobody"],
    );
    check(
        &pair,
        &["tls.client_certificates=always"],
        &["'none', 'optional' or 'required'"],
    );
    check(
        &[("client_ca_file", &one[0])],
        &["tls.client_certificates=optional"],
        &["'tls.client_certificates' needs TLS"],
    );
    check(
        &[pair[0], ("key_file", &other[1])],
        &[],
        &["cannot be served with the key"],
    );
    check(
        &[("certificate_file", &garbage), pair[1]],
        &[],
        &["holds no certificate in PEM"],
    );
    check(
        &[pair[0], ("key_file", &garbage)],
        &[],
        &["holds no private key in PEM"],
    );
    check(
        &[pair[0], ("key_file", Path::new("/none"))],
        &["root_key=short"][..0],
        &["/none cannot be read"],
    );
}
