//! Webhooks: as rotators, and as those who are told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use strongroom_crypto::{SignedMessage, WebhookKey};
use strongroom_domain::Time;

use super::{HOME, Stage, stage};
use crate::harness::On;
use crate::issuer::now;

pub(crate) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Default)]
pub(crate) struct Seen {
    /// Id and body, in the order in which they came.
    messages: Mutex<Vec<(String, Value)>>,
    /// When each says that it was sent, in seconds.
    sent_at: Mutex<Vec<i64>>,
    /// What is answered; 0: all is well.
    answers: Mutex<u16>,
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers[name].to_str().unwrap();
    let message = SignedMessage {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signatures: text("webhook-signature"),
        body: &body,
    };
    let now = Time(now() * 1_000_000);
    assert!(
        WebhookKey::parse(KEY).unwrap().verify(message, now),
        "it is signed, and of now"
    );
    let sent_at = text("webhook-timestamp").parse().unwrap();
    seen.sent_at.lock().unwrap().push(sent_at);
    let told = (text("webhook-id").to_owned(), serde_json::from_slice(&body).unwrap());
    seen.messages.lock().unwrap().push(told);
    StatusCode::from_u16(*seen.answers.lock().unwrap()).unwrap_or(StatusCode::NO_CONTENT)
}

impl Seen {
    pub(crate) async fn start() -> (String, Arc<Self>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let seen = Arc::new(Self::default());
        let router = Router::new().route("/hook", post(take)).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, seen)
    }

    pub(crate) fn messages(&self) -> Vec<(String, Value)> {
        self.messages.lock().unwrap().clone()
    }

    /// From now on; 0: all is well.
    pub(super) fn answer(&self, status: u16) {
        *self.answers.lock().unwrap() = status;
    }

    pub(crate) async fn until(&self, is: impl Fn(&[(String, Value)]) -> bool) -> Vec<(String, Value)> {
        for _ in 0..1200 {
            let messages = self.messages();
            if is(&messages) {
                return messages;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{:?}", self.messages());
    }
}

pub(super) async fn hooked(on: On, events: Value) -> (Stage, Arc<Seen>) {
    let stage = stage(on).await;
    let (url, seen) = Seen::start().await;
    assert_eq!(
        stage.root.put("secrets/infra/hook", json!({ "value": KEY })).await.0,
        201
    );
    let target = json!({ "engine": "webhook", "address": url, "credential": "infra/hook", "events": events });
    stage.root.written("targets/hook", target).await;
    (stage, seen)
}

async fn a_service_of_ones_own_is_told_each_step(on: On) {
    let (stage, seen) = hooked(on, json!([])).await;
    let root = &stage.root;
    root.written(
        "rotation/app/key",
        json!({ "rotator": "webhook", "target": "hook", "interval": "1h" }),
    )
    .await;
    let (status, done) = root.told("app/key", "rotate").await;
    assert_eq!(status, 200, "{done}");
    let messages = seen.messages();
    let value = root.value("app/key").await;
    let steps: Vec<&str> = messages
        .iter()
        .map(|(_, body)| body["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["set", "test", "finish"]);
    for (id, body) in &messages {
        assert_eq!((&body["pending"], &body["path"]), (&value, &json!("app/key")));
        assert_eq!((&body["version"], &body["id"]), (&json!(1), &json!(id)));
        assert!(body["fence"].as_i64() > Some(0));
    }
    seen.answer(503);
    let (status, waits) = root.told("app/key", "rotate").await;
    assert_eq!(
        (status, &waits["run"]["failure"]["permanent"]),
        (202, &json!(false)),
        "{waits}"
    );
    seen.answer(0);
    root.rotation_until("app/key", |rotation| rotation["run"].is_null())
        .await;
    seen.answer(422);
    let (status, stopped) = root.told("app/key", "rotate").await;
    assert_eq!(
        (status, &stopped["run"]["failure"]["permanent"]),
        (202, &json!(true)),
        "{stopped}"
    );
}

async fn whoever_asked_for_it_is_told(on: On) {
    let (stage, seen) = hooked(on, json!(["rotation.succeeded", "rotation.failed"])).await;
    let root = &stage.root;
    seen.answer(500);
    root.written("rotation/app/key", json!({ "rotator": "generate", "interval": "1h" }))
        .await;
    assert_eq!(root.told("app/key", "rotate").await.0, 200);
    // It is sent again under the same id, until it is taken.
    seen.until(|messages| !messages.is_empty()).await;
    seen.answer(0);
    let messages = seen.until(|messages| messages.len() > 1).await;
    let [(first, told), (second, again), ..] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!((first, told), (second, again));
    let sent_at = seen.sent_at.lock().unwrap().clone();
    assert!(sent_at[1] > sent_at[0], "signed anew: {sent_at:?}");
    assert_eq!(told["type"], "rotation.succeeded");
    assert_eq!(told["data"]["namespace_name"], "root");
    assert_eq!(
        (&told["data"]["about"], &told["data"]["version"]),
        (&json!("app/key"), &json!(1))
    );
    root.written(
        "rotation/app/failing",
        json!({ "rotator": "webhook", "target": "hook", "interval": "1h" }),
    )
    .await;
    assert_eq!(
        root.put("secrets/infra/hook", json!({ "value": "no key" })).await.0,
        201
    );
    assert_eq!(root.told("app/failing", "rotate").await.0, 202);
    assert_eq!(root.put("secrets/infra/hook", json!({ "value": KEY })).await.0, 201);
    let messages = seen
        .until(|messages| messages.iter().any(|(_, told)| told["type"] == "rotation.failed"))
        .await;
    let (_, failed) = messages.last().unwrap();
    assert_eq!(failed["data"]["about"], "app/failing");
    assert!(
        failed["data"]["reason"].as_str().unwrap().contains("whsec_"),
        "{failed}"
    );
}

async fn a_value_that_cannot_be_stored_stops_and_is_told(on: On) {
    let (Stage { store, server, root }, seen) = hooked(on, json!(["rotation.failed"])).await;
    let policy = json!({ "rotator": "generate", "interval": "1h", "recipe": { "length": 100 } });
    root.written("rotation/app/long", policy).await;
    assert_eq!(root.told("app/long", "rotate").await.0, 200);
    let value = root.value("app/long").await;
    server.kill9();
    let server = store.dev(&[HOME, ("STRONGROOM_LIMITS_PAYLOAD_BYTES", "99")]);
    let root = root.at(&server);
    let (status, stopped) = root.told("app/long", "rotate").await;
    let failure = &stopped["run"]["failure"];
    assert_eq!((status, &failure["permanent"]), (202, &json!(true)), "{stopped}");
    assert!(
        failure["reason"].as_str().unwrap().contains("99 are allowed"),
        "{stopped}"
    );
    let messages = seen.until(|messages| !messages.is_empty()).await;
    assert_eq!(messages[0].1["data"]["about"], "app/long");
    assert_eq!(root.value("app/long").await, value, "what is current goes on");
    server.kill9();
    let server = store.dev(&[HOME]);
    let root = root.at(&server);
    assert_eq!(root.told("app/long", "rotate").await.0, 200, "whoever mends it goes on");
    assert_ne!(root.value("app/long").await, value);
}

on_both_stores!(
    a_service_of_ones_own_is_told_each_step,
    whoever_asked_for_it_is_told,
    a_value_that_cannot_be_stored_stops_and_is_told,
);
