//! Who may: tokens that end when they are told to, namespaces that see nothing of each other, and every route's own door.

mod doors;
mod namespaces;
pub(crate) mod races;
pub(crate) mod revocation;
mod tokens;

use serde_json::{Value, json};

use crate::harness::Api;

/// The one secret that these tests read.
pub(crate) const SECRET: &str = "secrets/who/may";

/// Makes the secret, a policy `p` that may read it, and a role of it.
pub(crate) async fn prepare(root: &Api) {
    assert_eq!(root.put(SECRET, json!({ "value": "v" })).await.0, 201);
    let rules = json!([
        { "path": "secret/who/*", "capabilities": ["read"] },
        { "path": "sys/tokens/*", "capabilities": ["create"] },
    ]);
    let (status, answer) = root.put("policies/p", json!({ "rules": rules })).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = root
        .put("roles/p", json!({ "policies": ["p"], "access_token_ttl": 3600 }))
        .await;
    assert_eq!(status, 200, "{answer}");
}

/// A service token: what its creation said of it.
pub(crate) async fn made(by: &Api, body: Value) -> (Api, Value) {
    let (status, token) = by.post("tokens", body).await;
    assert_eq!(status, 201, "{token}");
    (by.with_token(token["token"].as_str().unwrap()), token)
}

pub(crate) async fn status(api: &Api) -> u16 {
    api.get(SECRET).await.0
}

/// A client of the role `p`, and its access token.
pub(crate) struct Workload {
    pub(crate) api: Api,
    pub(crate) login: Value,
    pub(crate) client_id: String,
    pub(crate) secret_id: String,
    /// The token's `jti`.
    pub(crate) accessor: String,
    pub(crate) principal: String,
}

impl Workload {
    pub(crate) async fn new(root: &Api, name: &str) -> Self {
        let (status, client) = root.post("clients", json!({ "name": name, "role": "p" })).await;
        assert_eq!(status, 201, "{client}");
        let login = json!({ "client_id": client["client_id"], "client_secret": client["client_secret"] });
        let (status, token) = root.post("auth/client/login", login.clone()).await;
        assert_eq!(status, 200, "{token}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let api = root.with_token(text(&token["access_token"]));
        let principal = text(&api.get("auth/whoami").await.1["principal"]);
        Self {
            api,
            login,
            client_id: text(&client["client_id"]),
            secret_id: text(&client["secret_id"]),
            accessor: text(&token["accessor"]),
            principal,
        }
    }
}

/// The code that an authenticator shows at this moment.
#[expect(clippy::disallowed_methods, reason = "an authenticator has a clock of its own")]
pub(crate) fn code_now(secret: &str) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let tag = sign(
        &Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret),
        &(now / 30).to_be_bytes(),
    );
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
