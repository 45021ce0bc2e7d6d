//! Bounds on everything a client can do, an end that loses nothing, and starts that are refused with a reason.

mod rates;
mod start;
mod stop;

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Api, On, Store};
use crate::input::raw;

/// Much more than any of the limits below, much less than for ever.
const SOON: Duration = Duration::from_secs(5);

fn authorization(store: &Store) -> Vec<u8> {
    format!("Authorization: Bearer {}", store.root_token()).into_bytes()
}

/// The start of a request with a body of so many bytes.
fn head(store: &Store, path: &str, length: usize) -> Vec<u8> {
    let mut head =
        format!("PUT /api/v1/secrets/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n").into_bytes();
    head.extend_from_slice(&authorization(store));
    head.extend_from_slice(b"\r\n\r\n");
    head
}

async fn a_slow_client_is_not_waited_for(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[("STRONGROOM_LIMITS_HEADER_SECONDS", "1")]);
    let root = Api::new(&server, store.root_token());
    let slow_body = {
        let (head, port) = (head(&store, "slow", 40), server.port);
        tokio::task::spawn_blocking(move || {
            let mut stream = raw::connect(port);
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(&head).unwrap();
            stream.write_all(b"{\"value\":").unwrap();
            String::from_utf8(raw::read_to_end(&mut stream)).unwrap()
        })
    };
    let mut slow_heads: Vec<_> = (0..20).map(|_| raw::connect(server.port)).collect();
    for stream in &mut slow_heads {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: ").unwrap();
    }
    let started = Instant::now();
    assert_eq!(
        root.put("secrets/quick", json!({ "value": "x" })).await.0,
        201,
        "others are served meanwhile"
    );
    for stream in &mut slow_heads {
        let answer = raw::read_to_end(stream);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
            "{}",
            answer.escape_ascii()
        );
    }
    assert!(
        started.elapsed() < SOON,
        "heads were waited for: {:?}",
        started.elapsed()
    );
    let answer = slow_body.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("\"body_timeout\""),
        "{answer}"
    );
    assert_eq!(root.get("secrets/slow").await.0, 404);
}

async fn a_body_has_a_size_and_a_form(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let authorization = authorization(&store);
    let large = format!("{{\"value\":\"{}\"}}", "x".repeat(1 << 20));
    // Again and again: an answer that is lost in a reset is lost only sometimes.
    for _ in 0..10 {
        let request = raw::request("PUT", b"/api/v1/secrets/a", &[&authorization], large.as_bytes());
        let answer = raw::send(server.port, &request).expect("an answer to a body that is too large");
        assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("body_too_large")));
    }
    let mut chunked =
        b"PUT /api/v1/secrets/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n".to_vec();
    chunked.extend_from_slice(&[&authorization, &b"\r\n\r\n"[..]].concat());
    for chunk in large.as_bytes().chunks(60_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(&[chunk, b"\r\n"].concat());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = raw::send(server.port, &chunked).expect("an answer to chunks that are too many");
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("body_too_large")));
    let value = format!("{{\"value\":\"{}\"}}", "x".repeat(65_537));
    let answer = raw::send(
        server.port,
        &raw::request("PUT", b"/api/v1/secrets/a", &[&authorization], value.as_bytes()),
    )
    .unwrap();
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (413, &json!("payload_too_large"))
    );
    for encoding in ["gzip", "br", "identity, gzip"] {
        let encoding = format!("Content-Encoding: {encoding}");
        let request = raw::request(
            "PUT",
            b"/api/v1/secrets/a",
            &[&authorization, encoding.as_bytes()],
            b"{\"value\":\"x\"}",
        );
        let answer = raw::send(server.port, &request).unwrap();
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (415, &json!("unsupported_encoding"))
        );
    }
    let read = raw::send(
        server.port,
        &raw::request("GET", b"/api/v1/secrets/a", &[&authorization], b""),
    )
    .unwrap();
    assert_eq!(read.status, 404, "nothing of it was written: {read:?}");
}

async fn connections_are_bounded(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[
        ("STRONGROOM_LIMITS_CONNECTIONS", "4"),
        ("STRONGROOM_LIMITS_HEADER_SECONDS", "60"),
    ]);
    // The harness's own connection may still count.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let held: Vec<_> = (0..4).map(|_| raw::connect(server.port)).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..3 {
        let mut refused = raw::connect(server.port);
        assert!(
            matches!(refused.read(&mut [0; 1]), Ok(0) | Err(_)),
            "a fifth connection is open"
        );
    }
    drop(held);
    let deadline = Instant::now() + SOON;
    let metrics = loop {
        if let Some(answer) = raw::send(server.port, &raw::request("GET", b"/metrics", &[], b"")) {
            break String::from_utf8(answer.body).unwrap();
        }
        assert!(Instant::now() < deadline, "no connection was freed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("strongroom_http_refused_connections_total "))
        .unwrap();
    assert!(line.parse::<u64>().unwrap() >= 3, "{line}");
}

async fn every_answer_has_its_headers(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let authorization = authorization(&store);
    let large = vec![b' '; (1 << 20) + 1];
    let requests: [(&str, &str, &[u8], u16); 16] = [
        ("GET", "/", b"", 200),
        ("GET", "/health", b"", 200),
        ("GET", "/ready", b"", 200),
        ("GET", "/metrics", b"", 200),
        ("GET", "/.well-known/jwks.json", b"", 200),
        ("PUT", "/api/v1/secrets/a", b"{\"value\":\"x\"}", 201),
        ("GET", "/api/v1/secrets/a", b"", 200),
        ("DELETE", "/api/v1/policies/none", b"", 404),
        ("PUT", "/api/v1/secrets/a", b"{\"value\":\"x\",\"cas\":0}", 409),
        ("PUT", "/api/v1/secrets/a", b"{", 400),
        ("PUT", "/api/v1/secrets/..", b"{}", 400),
        ("PUT", "/api/v1/secrets/a", &large, 413),
        ("GET", "/nowhere", b"", 404),
        ("POST", "/health", b"", 405),
        ("POST", "/api/v1/secrets/a", b"{}", 405),
        ("GET", "/api/v1/clients/%ff", b"", 400),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (method, path, body, status) in requests {
        let answer = raw::send(
            server.port,
            &raw::request(method, path.as_bytes(), &[&authorization], body),
        )
        .unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        // The keys that verify tokens are nobody's secret, and others ask for them again and again.
        let kept = if path.starts_with("/.well-known/") {
            "public, max-age=300"
        } else {
            "no-store"
        };
        assert_eq!(answer.header("cache-control"), Some(kept), "{method} {path}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{method} {path}"
        );
        let framing = answer.header("content-security-policy").unwrap_or_default();
        assert!(framing.contains("default-src 'none'"), "{method} {path}: {framing}");
        assert!(answer.header("server").is_none(), "{method} {path}");
        let id = answer.header("x-request-id").unwrap_or_default();
        assert!(id.len() >= 16 && ids.insert(id.to_owned()), "{method} {path}: {id}");
        assert_eq!(
            answer.header("allow").is_some(),
            status == 405,
            "{method} {path}: Allow"
        );
    }
    let anonymous = raw::send(server.port, &raw::request("GET", b"/api/v1/secrets/a", &[], b"")).unwrap();
    assert_eq!(
        (anonymous.status, anonymous.header("www-authenticate")),
        (401, Some("Bearer"))
    );
}

/// Nothing at all, and only the start of what HTTP/2 begins with: neither may hold a connection for ever.
async fn a_silent_socket_is_closed(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[("STRONGROOM_LIMITS_HEADER_SECONDS", "1")]);
    for said in [&b""[..], b"PRI * HT"] {
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        std::io::Write::write_all(&mut socket, said).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        let read = std::io::Read::read(&mut socket, &mut [0; 100]);
        let closed = match &read {
            Ok(bytes) => *bytes == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        assert!(closed, "{said:?}: {read:?}");
    }
}

on_both_stores!(
    a_silent_socket_is_closed,
    a_slow_client_is_not_waited_for,
    a_body_has_a_size_and_a_form,
    connections_are_bounded,
    every_answer_has_its_headers,
);
