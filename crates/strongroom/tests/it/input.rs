//! Promise 8: bad input gets a clear 4xx, never a 5xx, a panic or a hang.

mod corpus;
mod flags;
mod generated;
pub(crate) mod raw;
mod texts;

use std::cell::{Cell, RefCell};

use crate::harness::{On, Server, Store};
use raw::Answer;

/// What the HTTP library itself refuses, before there is a request that could have an id.
const BEFORE_ROUTING: [u16; 3] = [400, 414, 431];

/// A running server, asked with bytes as they are.
struct Target {
    server: Server,
    authorization: Vec<u8>,
    asked: Cell<usize>,
    faults: RefCell<Vec<String>>,
}

impl Target {
    fn on(store: &Store) -> Self {
        // Half a head is waited for no longer than a test likes to.
        let server = store.dev(&[("STRONGROOM_LIMITS_HEADER_SECONDS", "1")]);
        let authorization = format!("Authorization: Bearer {}", store.root_token()).into_bytes();
        Self {
            server,
            authorization,
            asked: Cell::default(),
            faults: RefCell::default(),
        }
    }

    fn ask(&self, method: &str, target: &[u8], body: &[u8]) {
        self.send(method, &raw::request(method, target, &[&self.authorization], body));
    }

    fn send(&self, method: &str, request: &[u8]) -> Option<Answer> {
        self.asked.set(self.asked.get() + 1);
        let answer = raw::send(self.server.port, request);
        if let Err(fault) = check(method, answer.as_ref()) {
            let request = request[..request.len().min(500)].escape_ascii();
            self.faults
                .borrow_mut()
                .push(format!("{fault}: {answer:?} to {request}"));
        }
        answer
    }

    /// Still serving, and never panicked.
    fn end(self, what: &str) {
        let metrics = raw::send(self.server.port, &raw::request("GET", b"/metrics", &[], b"")).unwrap();
        let metrics = String::from_utf8(metrics.body).unwrap();
        assert!(
            metrics.lines().any(|line| line == "strongroom_panics_total 0"),
            "{metrics}"
        );
        let log = self.server.log_text();
        assert!(!log.contains("a panic") && !log.contains("panicked"), "{log}");
        let faults = self.faults.into_inner();
        println!(
            "{what}: {} requests, {} faults, no panic, no hang",
            self.asked.get(),
            faults.len()
        );
        assert!(faults.is_empty(), "{:#?}", &faults[..faults.len().min(20)]);
        assert!(self.server.terminate().success());
    }
}

/// Whether an answer may be given to anything at all.
fn check(method: &str, answer: Option<&Answer>) -> Result<(), String> {
    let Some(answer) = answer else { return Ok(()) };
    if answer.status >= 500 {
        return Err(format!("a {}", answer.status));
    }
    if answer.status < 400 || method == "HEAD" {
        return Ok(());
    }
    if answer.header("x-request-id").is_none() {
        let refused_early = BEFORE_ROUTING.contains(&answer.status) && answer.body.is_empty();
        return if refused_early {
            Ok(())
        } else {
            Err("no request id".to_owned())
        };
    }
    let problem = answer.json();
    // What OFREP says of an evaluation.
    if problem["errorCode"].is_string() && problem["errorDetails"].is_string() {
        return Ok(());
    }
    if answer.header("content-type") != Some("application/problem+json") {
        return Err("no problem+json".to_owned());
    }
    for field in ["code", "title", "help", "detail", "request_id"] {
        if problem[field].as_str().is_none_or(str::is_empty) {
            return Err(format!("no '{field}'"));
        }
    }
    let same_id = problem["request_id"] == answer.header("x-request-id").unwrap_or_default();
    if problem["status"] == answer.status && same_id {
        Ok(())
    } else {
        Err("status or request id differ".to_owned())
    }
}

async fn corpora(on: On) {
    let store = Store::fresh(on);
    let target = Target::on(&store);
    for route in corpus::ROUTES {
        for method in corpus::METHODS {
            target.ask(method, route.as_bytes(), b"");
            target.ask(method, route.as_bytes(), b"{}");
        }
    }
    for tail in corpus::tails() {
        for noun in ["secrets", "versions", "metadata", "list", "labels"] {
            let path = [format!("/api/v1/{noun}/").as_bytes(), &tail].concat();
            target.ask("GET", &path, b"");
            target.ask("PUT", &path, br#"{"value":"x"}"#);
            target.ask("DELETE", &path, b"");
        }
        target.ask("GET", &tail, b"");
    }
    for path in corpus::QUERIED {
        for query in corpus::QUERIES {
            for method in ["GET", "DELETE"] {
                target.ask(method, format!("/api/v1/{path}?{query}").as_bytes(), b"");
            }
        }
    }
    target.end(&format!("routes, paths and queries on {on:?}"));
}

async fn bodies(on: On) {
    let store = Store::fresh(on);
    let target = Target::on(&store);
    target.ask("PUT", b"/api/v1/secrets/input/x", br#"{"value":"there"}"#);
    let routes = [
        ("PUT", "secrets/input/x"),
        ("POST", "versions/input/x"),
        ("PUT", "metadata/input/x"),
        ("PATCH", "metadata/input/x"),
        ("PUT", "labels/input/x"),
        ("POST", "batch"),
        ("PUT", "policies/p"),
        ("PUT", "roles/r"),
        ("POST", "clients"),
        ("POST", "auth/client/login"),
        ("GET", "secrets/input/x"),
    ];
    for body in corpus::bodies() {
        for (method, path) in routes {
            target.ask(method, format!("/api/v1/{path}").as_bytes(), &body);
        }
    }
    for name in corpus::NAMES {
        for noun in ["policies", "roles", "clients", "principals"] {
            for (method, end) in [
                ("GET", ""),
                ("PUT", ""),
                ("DELETE", ""),
                ("POST", "/secrets"),
                ("DELETE", "/secrets/1"),
                ("POST", "/erase"),
            ] {
                let body: &[u8] = if noun == "roles" {
                    br#"{"policies":["p"]}"#
                } else {
                    br#"{"rules":[]}"#
                };
                target.ask(method, format!("/api/v1/{noun}/{name}{end}").as_bytes(), body);
            }
        }
    }
    target.end(&format!("bodies and names on {on:?}"));
}

async fn headers_and_garbage(on: On) {
    let store = Store::fresh(on);
    let target = Target::on(&store);
    let long = [b"Authorization: Bearer ".as_slice(), &[b'x'; 10_000]].concat();
    let longer = [b"X: ".to_vec(), vec![b'x'; 100_000]].concat();
    let many = vec!["X: y"; 300].join("\r\n").into_bytes();
    let more: [&[u8]; 3] = [&long, &longer, &many];
    for header in corpus::HEADERS.iter().copied().chain(more) {
        for authorization in [&[][..], &[target.authorization.as_slice()]] {
            let headers = [&[header], authorization].concat();
            for (method, path, body) in [
                ("GET", "secrets/input/x", ""),
                ("PUT", "secrets/input/x", "{\"value\":\"x\"}"),
                ("GET", "audit", ""),
            ] {
                target.send(
                    method,
                    &raw::request(method, format!("/api/v1/{path}").as_bytes(), &headers, body.as_bytes()),
                );
            }
        }
    }
    for garbage in corpus::GARBAGE {
        let answer = target.send("garbage", garbage);
        let refused = answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status));
        assert!(refused, "{answer:?} to {}", garbage.escape_ascii());
    }
    for smuggled in corpus::SMUGGLED {
        let mut stream = raw::connect(target.server.port);
        std::io::Write::write_all(&mut stream, smuggled).unwrap();
        let answers = raw::read_to_end(&mut stream);
        let count = answers.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
        assert!(
            count <= 1 && !answers.starts_with(b"HTTP/1.1 2"),
            "{} to {}",
            answers.escape_ascii(),
            smuggled.escape_ascii()
        );
    }
    target.end(&format!("headers and garbage on {on:?}"));
}

on_both_stores!(corpora, bodies, headers_and_garbage);
