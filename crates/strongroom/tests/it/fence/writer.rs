//! One writer, whose every change is acknowledged before the next begins.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::history::{Grants, History, Shown};
use crate::harness::Api;

/// A generator of which only the spread matters.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[derive(Default)]
struct Secret {
    values: Vec<Arc<str>>,
    current: usize,
    deleted: bool,
}

pub(crate) struct Writer {
    api: Api,
    secrets: Vec<Secret>,
    client: String,
    pub(crate) token: String,
    pub(crate) history: History,
}

pub(crate) fn path(secret: usize) -> String {
    format!("fence/secret-{secret}")
}

fn rules(reads: bool) -> Value {
    let path = if reads { "secret/fence/*" } else { "secret/elsewhere/*" };
    json!({"rules": [{"path": path, "capabilities": ["read"]}]})
}

fn role(has_policy: bool) -> Value {
    json!({"policies": if has_policy { json!(["fence"]) } else { json!([]) }, "access_token_ttl": 3600})
}

impl Writer {
    pub(crate) async fn new(api: Api, secrets: usize) -> Self {
        let all = Grants {
            generation: 0,
            policy_reads: true,
            role_has_policy: true,
        };
        let history = History::new(all, Instant::now());
        let mut writer = Self {
            api,
            secrets: Vec::new(),
            client: String::new(),
            token: String::new(),
            history,
        };
        assert_eq!(writer.api.put("policies/fence", rules(true)).await.0, 200);
        assert_eq!(writer.api.put("roles/fence", role(true)).await.0, 200);
        writer.make_client().await;
        for secret in 0..secrets {
            writer.secrets.push(Secret::default());
            writer.write(secret).await;
        }
        writer
    }

    async fn make_client(&mut self) {
        let name = format!("fence-{}", self.history.grants().generation);
        let (status, client) = self.api.post("clients", json!({"name": name, "role": "fence"})).await;
        assert_eq!(status, 201, "{client}");
        let login = json!({"client_id": client["client_id"], "client_secret": client["client_secret"]});
        let (status, token) = self.api.post("auth/client/login", login).await;
        assert_eq!(status, 200, "{token}");
        self.client = client["client_id"].as_str().unwrap().to_owned();
        self.token = token["access_token"].as_str().unwrap().to_owned();
    }

    async fn acknowledged(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
        grants: Grants,
        shown: Option<(usize, Shown)>,
    ) {
        let begun = Instant::now();
        let (status, answer) = self.api.call(method, path, body).await.unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        self.history.push(begun, Instant::now(), grants, shown);
    }

    async fn write(&mut self, at: usize) {
        let value: Arc<str> = format!("value-{at}-{}", self.secrets[at].values.len()).into();
        let shown = Some((at, Shown::Value(value.clone())));
        let body = Some(json!({"value": &*value}));
        self.acknowledged(
            "PUT",
            &format!("secrets/{}", path(at)),
            body,
            self.history.grants(),
            shown,
        )
        .await;
        let secret = &mut self.secrets[at];
        secret.values.push(value);
        (secret.current, secret.deleted) = (secret.values.len() - 1, false);
    }

    /// A change that a reader of this secret must see: what it was.
    pub(crate) async fn change(&mut self, at: usize, dice: &mut Dice) -> &'static str {
        let grants = self.history.grants();
        // What was taken away is given back first, so that most rounds have something to lose.
        if !grants.policy_reads {
            let grants = Grants {
                policy_reads: true,
                ..grants
            };
            self.acknowledged("PUT", "policies/fence", Some(rules(true)), grants, None)
                .await;
            return "policy given back";
        }
        if !grants.role_has_policy {
            let grants = Grants {
                role_has_policy: true,
                ..grants
            };
            self.acknowledged("PUT", "roles/fence", Some(role(true)), grants, None)
                .await;
            return "role given back";
        }
        let secret = &self.secrets[at];
        let value = |version: usize| Some((at, Shown::Value(secret.values[version].clone())));
        let target = path(at);
        if secret.deleted {
            let body = json!({"action": "undelete", "versions": [secret.current + 1]});
            let shown = value(secret.current);
            self.acknowledged("POST", &format!("versions/{target}"), Some(body), grants, shown)
                .await;
            self.secrets[at].deleted = false;
            return "undelete";
        }
        match dice.below(6) {
            0 if secret.values.len() > 1 => {
                // Only live versions: a deleted one is undeleted or written over before anything else.
                let version = dice.below(secret.values.len());
                let body = json!({"label": "current", "version": version + 1});
                let shown = value(version);
                self.acknowledged("PUT", &format!("labels/{target}"), Some(body), grants, shown)
                    .await;
                self.secrets[at].current = version;
                "label"
            }
            0 | 1 => {
                self.write(at).await;
                "write"
            }
            2 => {
                let shown = Some((at, Shown::Deleted));
                self.acknowledged("DELETE", &format!("secrets/{target}"), None, grants, shown)
                    .await;
                self.secrets[at].deleted = true;
                "delete"
            }
            3 => {
                let grants = Grants {
                    policy_reads: false,
                    ..grants
                };
                self.acknowledged("PUT", "policies/fence", Some(rules(false)), grants, None)
                    .await;
                "policy"
            }
            4 => {
                let grants = Grants {
                    role_has_policy: false,
                    ..grants
                };
                self.acknowledged("PUT", "roles/fence", Some(role(false)), grants, None)
                    .await;
                "role"
            }
            _ => {
                let client = format!("clients/{}", self.client);
                let grants = Grants {
                    generation: grants.generation + 1,
                    ..grants
                };
                self.acknowledged("DELETE", &client, None, grants, None).await;
                "client"
            }
        }
    }

    /// After a client's deletion another takes its place; tokens of the first stay refused.
    pub(crate) async fn new_client(&mut self) {
        self.make_client().await;
    }
}
