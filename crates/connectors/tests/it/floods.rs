//! Servers that answer without an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strongroom_connectors::{Allowed, Targets};
use strongroom_domain::target::{Engine, Tls};
use strongroom_ports::{Login, Rotator as _, Server, TargetError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// More than is taken of a server and lies in sockets.
const TOO_MUCH: usize = 48 << 20;

/// Waits for a first word where clients have it, begins an answer of a gigabyte, and counts what of that it gets rid of.
async fn flood(first: bool, beginning: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        if first {
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
        }
        stream.write_all(beginning).await.unwrap();
        let piece = vec![b'x'; 64 << 10];
        while stream.write_all(&piece).await.is_ok() {
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    (port, sent)
}

#[tokio::test]
async fn no_more_is_taken_of_a_server_than_there_can_be() {
    let targets = Targets::new(Allowed::parse("127.0.0.1").unwrap(), true);
    for (engine, first, beginning) in [
        // A message of PostgreSQL's, a text of Redis's, and a greeting of MySQL's, of which parts follow.
        (Engine::Postgres, true, &b"E\x40\x00\x00\x00"[..]),
        (Engine::Redis, true, b"$1000000000\r\n"),
        (Engine::Mysql, false, b"\xff\xff\xff\x00\x0a"),
    ] {
        let (port, sent) = flood(first, beginning).await;
        let server = Server {
            engine,
            host: "127.0.0.1".into(),
            port,
            database: None,
            tls: Tls::Off,
            ca_pem: None,
        };
        let login = Login {
            username: "app".into(),
            password: "x".into(),
        };
        let answer = targets.test(&server, &login, Duration::from_mins(1)).await;
        assert_eq!(answer, Err(TargetError::Unreachable), "{engine}");
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < TOO_MUCH, "{engine}: {sent} bytes");
    }
}
