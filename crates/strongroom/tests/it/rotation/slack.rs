//! Webhooks that take a line of text, and whose URL is their secret.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use strongroom_crypto::{SignedMessage, WebhookKey};
use strongroom_domain::Time;

use super::dead_letters::letters_of;
use super::webhooks::KEY;
use super::{Stage, stage};
use crate::harness::On;

/// Path, headers and body of what came.
type Came = (String, HeaderMap, Bytes);
type Channel = Arc<Mutex<Vec<Came>>>;

async fn take(State(channel): State<Channel>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    channel.lock().unwrap().push((uri.path().to_owned(), headers, body));
    (StatusCode::OK, "ok")
}

async fn start() -> (String, Channel) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let channel = Channel::default();
    let router = Router::new().fallback(take).with_state(channel.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, channel)
}

async fn a_channel_is_told_and_its_url_is_not(on: On) {
    let stage = stage(on).await;
    let Stage { root, server, .. } = &stage;
    let (address, channel) = start().await;
    let came = async |count: usize| {
        for _ in 0..1200 {
            if channel.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let came = channel.lock().unwrap();
        assert_eq!(came.len(), count, "{came:?}");
        came[count - 1].clone()
    };
    let secret = "services/T0/B0/x9y8z7w6";
    let credential = |url: String, key: Option<&str>| json!({ "data": { "url": url, "key": key } });
    let url = format!("{address}/{secret}");
    assert_eq!(
        root.put("secrets/infra/slack", credential(url.clone(), None)).await.0,
        201
    );
    let target = json!({
        "engine": "webhook", "address": address, "credential": "infra/slack", "events": ["rotation.succeeded"],
        "format": "slack", "retry_for": "1s",
    });
    root.written("targets/channel", target).await;
    let policy = json!({ "rotator": "generate", "interval": "1h" });
    root.written("rotation/app/<!here>&`x`", policy).await;
    let rotate = async || {
        let (status, done) = root.told("app/<!here>&`x`", "rotate").await;
        assert_eq!(status, 200, "{done}");
    };
    rotate().await;
    let (path, headers, body) = came(1).await;
    assert_eq!(path, format!("/{secret}"));
    let said: Value = serde_json::from_slice(&body).unwrap();
    let line = "*rotation.succeeded* `app/&lt;!here&gt;&amp;'x'`, version 1, namespace `root`";
    assert_eq!(said, json!({ "text": line }));
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers.contains_key("webhook-id") && !headers.contains_key("webhook-signature"));

    // With a key it is signed as any.
    assert_eq!(root.put("secrets/infra/slack", credential(url, Some(KEY))).await.0, 201);
    rotate().await;
    let (_, headers, body) = came(2).await;
    let text = |name: &str| headers[name].to_str().unwrap();
    let message = SignedMessage {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signatures: text("webhook-signature"),
        body: &body,
    };
    let at = Time(text("webhook-timestamp").parse::<i64>().unwrap() * 1_000_000);
    assert!(WebhookKey::parse(KEY).unwrap().verify(message, at));

    // The secret leads nowhere else than the target, and takes no values.
    let elsewhere = address.replace("127.0.0.1", "localhost") + "/" + secret;
    assert_eq!(
        root.put("secrets/infra/slack", credential(elsewhere, Some(KEY)))
            .await
            .0,
        201
    );
    rotate().await;
    let [letter] = letters_of(root, 1).await.try_into().unwrap();
    let failure = "the 'url' of the target's credential does not begin as the target's address does";
    assert_eq!(letter["failure"], failure);
    came(2).await;
    let rotator = json!({ "rotator": "webhook", "target": "channel", "interval": "1h" });
    let (status, refused) = root.put("rotation/app/other", rotator).await;
    assert_eq!(status, 400, "{refused}");
    assert!(
        refused["detail"].as_str().unwrap().contains("Slack's form alone"),
        "{refused}"
    );

    for path in ["targets/channel", "targets", "dead-letters", "audit?limit=1000"] {
        let (status, shown) = root.get(path).await;
        assert!(
            status == 200 && !shown.to_string().contains("x9y8z7w6"),
            "{path}: {shown}"
        );
    }
    let log = server.log_text();
    assert!(
        log.contains("did not take a notice") && !log.contains("x9y8z7w6"),
        "{log}"
    );
}

on_both_stores!(a_channel_is_told_and_its_url_is_not);
