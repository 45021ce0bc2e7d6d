//! A request with all that a test may want to know of its answer.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Api;

/// One request, to be sent once or often.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// Behind the address.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) token: Option<String>,
    /// The header `Idempotency-Key`.
    pub(crate) key: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header `X-Request-Id`.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) took: Duration,
}

impl Answer {
    /// A problem's code, a batch's first item's, or `ok`.
    pub(crate) fn code(&self) -> &str {
        let item = self.json["items"][0]["error"]["code"].as_str();
        self.json["code"]
            .as_str()
            .or(item)
            .unwrap_or(if self.status < 300 { "ok" } else { "none" })
    }
}

impl Ask {
    /// `path` behind `/api/v1/`, with the token of `api`.
    pub(crate) fn new(api: &Api, method: &'static str, path: impl AsRef<str>, body: Option<Value>) -> Self {
        Self {
            method,
            path: format!("/api/v1/{}", path.as_ref()),
            body,
            token: api.token.clone(),
            key: None,
        }
    }

    pub(crate) fn get(api: &Api, path: impl AsRef<str>) -> Self {
        Self::new(api, "GET", path, None)
    }

    pub(crate) fn with_key(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    pub(crate) async fn send(&self, api: &Api) -> Answer {
        let sent = Instant::now();
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = api.http.request(method, format!("{}{}", api.address, self.path));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &self.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &self.body {
            request = request.body(body.to_string());
        }
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        let status = response.status().as_u16();
        let id = response
            .headers()
            .get("x-request-id")
            .map(|id| id.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status,
            id: id.unwrap_or_default(),
            text,
            json,
            took: sent.elapsed(),
        }
    }
}
