//! Those who vouch for others, for tests: an issuer of tokens, an OpenID provider and a cluster's API server in one, on
//! this machine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Whom the tokens of a test are for.
pub(crate) const AUDIENCE: &str = "https://strongroom.test";

pub(crate) struct Issuer {
    pub(crate) url: String,
    key: Ed25519KeyPair,
    pub(crate) seen: Arc<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    url: String,
    jwks: Value,
    /// Questions for its discovery document.
    pub(crate) asked: AtomicUsize,
    pub(crate) down: AtomicBool,
    /// What a code is exchanged for: what must be sent with it, and the token.
    codes: Mutex<HashMap<String, (Value, String)>>,
    /// What it answers who asks for a login on a device, over what it would say; and what it was asked with.
    pub(crate) device: Mutex<Value>,
    pub(crate) asked_for_device: Mutex<Vec<HashMap<String, String>>>,
    /// What those logins have come to, by their codes: the fields of the answer, an error's among them. None: nothing yet.
    devices: Mutex<HashMap<String, Value>>,
    /// A trust domain's keys, beside its own.
    pub(crate) bundle: Mutex<Value>,
    /// What a job is given that asks for a token, and what it asked with.
    pub(crate) job: Mutex<String>,
    pub(crate) asked_by_job: Mutex<String>,
    /// What the cluster answers, with which status; and what it was asked, by whom.
    review: Mutex<(u16, Value)>,
    pub(crate) reviews: Mutex<Vec<(String, Value)>>,
}

type Shared = State<Arc<Seen>>;

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Ed25519KeyPair::generate().unwrap();
        let x = BASE64URL_NOPAD.encode(key.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "alg": "EdDSA", "x": x });
        let seen = Arc::new(Seen {
            url: url.clone(),
            jwks: json!({ "keys": [jwk] }),
            ..Seen::default()
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/bundle", get(bundle))
            .route("/token", post(token))
            .route("/device", post(device))
            .route("/job", get(job))
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
            .with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, key, seen }
    }

    pub(crate) fn jwks(&self) -> String {
        self.seen.jwks.to_string()
    }

    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// A good token with these claims besides, or instead.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let now = now();
        let mut all = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "build", "iat": now, "nbf": now, "exp": now + 300,
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.signed(&json!({ "alg": "EdDSA", "kid": "one", "typ": "JWT" }), &all)
    }

    /// A code that is exchanged for this token by whoever sends these fields, and has what the challenge was made of.
    pub(crate) fn code(&self, code: &str, fields: Value, token: String) {
        let mut codes = self.seen.codes.lock().unwrap();
        codes.insert(code.to_owned(), (fields, token));
    }

    /// What the login on a device comes to that was asked for last.
    pub(crate) fn device_says(&self, answer: Value) {
        let code = self.seen.asked_for_device.lock().unwrap().len();
        let mut devices = self.seen.devices.lock().unwrap();
        devices.insert(format!("of-the-issuer-{code}"), answer);
    }

    pub(crate) fn reviews_as(&self, status: u16, answer: Value) {
        *self.seen.review.lock().unwrap() = (status, answer);
    }
}

#[expect(clippy::disallowed_methods, reason = "a token is of now")]
pub(crate) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}

async fn discovery(State(seen): Shared) -> (StatusCode, Json<Value>) {
    seen.asked.fetch_add(1, Ordering::Relaxed);
    if seen.down.load(Ordering::Relaxed) {
        return (StatusCode::BAD_GATEWAY, Json(Value::Null));
    }
    let url = &seen.url;
    let document = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"), "token_endpoint": format!("{url}/token"),
        "authorization_endpoint": format!("{url}/authorize"), "device_authorization_endpoint": format!("{url}/device"),
    });
    (StatusCode::OK, Json(document))
}

async fn jwks(State(seen): Shared) -> Json<Value> {
    Json(seen.jwks.clone())
}

async fn bundle(State(seen): Shared) -> Json<Value> {
    Json(seen.bundle.lock().unwrap().clone())
}

async fn job(State(seen): Shared, headers: HeaderMap, uri: axum::http::Uri) -> (StatusCode, Json<Value>) {
    if headers
        .get("authorization")
        .is_none_or(|value| value != "Bearer of-this-job")
    {
        return (StatusCode::UNAUTHORIZED, Json(Value::Null));
    }
    *seen.asked_by_job.lock().unwrap() = uri.to_string();
    let token = seen.job.lock().unwrap().clone();
    (StatusCode::OK, Json(json!({ "value": token })))
}

fn form(body: &str) -> HashMap<String, String> {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), percent(value))).collect()
}

async fn device(State(seen): Shared, body: String) -> Json<Value> {
    let mut asked = seen.asked_for_device.lock().unwrap();
    asked.push(form(&body));
    let (code, url) = (asked.len(), &seen.url);
    let mut answer = json!({
        "device_code": format!("of-the-issuer-{code}"), "user_code": format!("CODE-{code}"),
        "verification_uri": format!("{url}/confirm"), "expires_in": 600, "interval": 1,
    });
    for (name, value) in seen.device.lock().unwrap().as_object().into_iter().flatten() {
        answer[name] = value.clone();
    }
    Json(answer)
}

/// What a login on a device has come to.
fn confirmed(seen: &Seen, fields: &HashMap<String, String>) -> (StatusCode, Json<Value>) {
    let client = ["client_id", "client_secret"].map(|name| fields.get(name).map(String::as_str));
    let answer = match seen.devices.lock().unwrap().get(&fields["device_code"]) {
        _ if client != [Some("strongroom"), Some("client-secret")] => json!({ "error": "invalid_client" }),
        None => json!({ "error": "authorization_pending" }),
        Some(answer) => answer.clone(),
    };
    let status = if answer["error"].is_null() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    (status, Json(answer))
}

async fn token(State(seen): Shared, body: String) -> (StatusCode, Json<Value>) {
    let fields = form(&body);
    if fields["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code" {
        return confirmed(&seen, &fields);
    }
    let refused = (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    let Some((wanted, token)) = fields
        .get("code")
        .and_then(|code| seen.codes.lock().unwrap().get(code).cloned())
    else {
        return refused;
    };
    let verifier = fields.get("code_verifier").map(|text| Sha256::digest(text.as_bytes()));
    let challenge = verifier.map(|digest| BASE64URL_NOPAD.encode(&digest));
    let fits = wanted
        .as_object()
        .unwrap()
        .iter()
        .all(|(name, value)| match name.as_str() {
            "code_challenge" => challenge.as_deref() == value.as_str(),
            _ => fields.get(name).map(String::as_str) == value.as_str(),
        });
    if fits
        && fields
            .get("grant_type")
            .is_some_and(|kind| kind == "authorization_code")
    {
        (
            StatusCode::OK,
            Json(json!({ "id_token": token, "token_type": "Bearer", "access_token": "theirs" })),
        )
    } else {
        refused
    }
}

async fn review(State(seen): Shared, headers: HeaderMap, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    seen.reviews.lock().unwrap().push((bearer.to_owned(), body));
    let (status, answer) = seen.review.lock().unwrap().clone();
    (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), Json(answer))
}

/// A field of a query or a form as it was meant.
pub(crate) fn percent(text: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://a/?x={text}")).unwrap();
    url.query_pairs()
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
