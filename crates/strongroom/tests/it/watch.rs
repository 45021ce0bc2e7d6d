//! Watching changes: each once and in order, to whoever may see the name, for as long as they may.

mod ends;
mod nodes;
mod slow;
mod told;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Api;

/// No node asks for others' changes of its own accord: what watchers are told does not rest on that.
const ALONE: (&str, &str) = ("STRONGROOM_CACHE_POLL_MS", "0");
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    id: i64,
    data: Value,
}

/// One stream, read as a browser reads it.
struct Stream {
    response: reqwest::Response,
    unread: Vec<u8>,
    /// All that came, as it came.
    text: String,
    /// The revision to go on from.
    last: i64,
}

impl Stream {
    async fn ask(api: &Api, query: &str, last: Option<i64>) -> reqwest::Result<reqwest::Response> {
        let mut request = api.http.get(format!("{}/api/v1/watch{query}", api.address));
        request = request.timeout(Duration::from_mins(10));
        if let Some(token) = &api.token {
            request = request.bearer_auth(token);
        }
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        request.send().await
    }

    async fn open(api: &Api, query: &str) -> Self {
        Self::resumed(api, query, None).await.expect("a stream")
    }

    /// None: the server is not there, or not yet.
    async fn resumed(api: &Api, query: &str, last: Option<i64>) -> Option<Self> {
        let response = Self::ask(api, query, last).await.ok()?;
        if response.status() == 503 {
            return None;
        }
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Some(Self {
            response,
            unread: Vec::new(),
            text: String::new(),
            last: last.unwrap_or_default(),
        })
    }

    /// The next event, `None` at the stream's end; nothing in time is a failure.
    async fn next(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(LONG, self.read()).await;
        next.unwrap_or_else(|_| panic!("no event came; so far: {}", self.text))
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let field = |name: &str| {
                    let found = block.lines().find_map(|line| line.strip_prefix(name));
                    found.map(|value| value.trim_start().to_owned())
                };
                if let Some(id) = field("id:") {
                    self.last = id.parse().unwrap();
                }
                if let Some(data) = field("data:") {
                    return Some(Event {
                        name: field("event:").unwrap(),
                        id: self.last,
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
            }
            // A connection that is reset is an end too.
            let part = self.response.chunk().await.ok().flatten()?;
            self.text.push_str(&String::from_utf8_lossy(&part));
            self.unread.extend_from_slice(&part);
        }
    }

    /// The next one is a change of this path.
    async fn change(&mut self, path: &str) -> Event {
        let event = self.next().await.expect("a change");
        assert_eq!(
            (event.name.as_str(), &event.data["path"]),
            ("change", &json!(path)),
            "{event:?}"
        );
        event
    }

    async fn start(&mut self) -> i64 {
        let event = self.next().await.expect("its start");
        assert_eq!(event.name, "start", "{event:?}");
        assert_eq!(event.data, json!({ "revision": event.id }));
        event.id
    }

    /// Whatever comes until its end, which comes in time.
    async fn rest(&mut self, within: Duration) -> Vec<Event> {
        let mut rest = Vec::new();
        let all = async {
            while let Some(event) = self.read().await {
                rest.push(event);
            }
        };
        assert!(
            tokio::time::timeout(within, all).await.is_ok(),
            "it goes on: {}",
            self.text
        );
        rest
    }
}

async fn put(api: &Api, path: &str) {
    let (status, answer) = api
        .put(&format!("secrets/{path}"), json!({ "value": "kept to itself" }))
        .await;
    assert!(matches!(status, 200 | 201), "{path}: {answer}");
}

/// Writes until this stream is told of it: from then on nothing of before is under way.
async fn settle(api: &Api, stream: &mut Stream, path: &str) {
    put(api, path).await;
    stream.change(path).await;
}
