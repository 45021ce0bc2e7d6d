//! What figures are divided by: a handler of the same framework that reads a body and answers bytes, and does nothing else.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Wrk;

pub(crate) const BARE: &str = "bare";

/// Serves, in a process of its own, what stands in its last argument.
pub(crate) async fn bare() {
    let answer = axum::body::Bytes::from(std::env::args().next_back().unwrap());
    let handler = move |_: axum::body::Bytes| {
        let answer = answer.clone();
        async move { ([("content-type", "application/json")], answer) }
    };
    let router = axum::Router::new().route("/{*path}", axum::routing::any(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

pub(crate) struct Yardstick {
    process: Child,
    address: String,
}

impl Yardstick {
    pub(crate) fn start(answer: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([BARE, answer])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = format!("http://{}", line.trim());
        Self { process, address }
    }

    /// Runs one of ours and one of these in turn, after one that does not count.
    pub(crate) fn beside(&self, what: &str, pairs: usize, ours: &str, run: impl Fn(&str) -> Wrk) {
        run(ours);
        let mut ratios = Vec::new();
        for _ in 0..pairs {
            let (own, bare) = (run(ours), run(&self.address));
            let ratio = own.per_second / bare.per_second;
            println!(
                "{what}: {:.0}/s (p50 {:?}, p99 {:?}), bare {:.0}/s, ratio {ratio:.3}",
                own.per_second, own.p50, own.p99, bare.per_second
            );
            ratios.push(ratio);
        }
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        println!(
            "=> {what} ÷ bare: median {:.3} ({low:.3} to {high:.3})",
            ratios[ratios.len() / 2]
        );
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
