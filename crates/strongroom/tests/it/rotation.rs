//! Rotation: new values on schedule and on demand, at real targets, and whoever is told of it.

mod consumers;
mod dead_letters;
mod expiring;
mod faults;
mod generate;
mod moved;
mod overdue;
mod slack;
mod slow;
pub(crate) mod users;
mod wait;
pub(crate) mod webhooks;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, On, Server, Store};
use crate::methods::HOME;

pub(crate) struct Stage {
    pub(crate) store: Store,
    pub(crate) server: Server,
    pub(crate) root: Api,
}

pub(crate) async fn stage(on: On) -> Stage {
    let store = Store::fresh(on);
    let server = store.dev(&[HOME]);
    let root = Api::new(&server, store.root_token());
    Stage { store, server, root }
}

impl Stage {
    /// A target there, whose administrator's password is of no matter.
    pub(crate) async fn postgres_at(&self, name: &str, address: &str) {
        let admin = json!({ "data": { "username": "admin", "password": "x" } });
        assert_eq!(self.root.put("secrets/infra/admin", admin).await.0, 201);
        let target = json!({ "engine": "postgres", "address": address, "tls": "off", "credential": "infra/admin" });
        self.root.written(&format!("targets/{name}"), target).await;
    }
}

impl Api {
    /// A rotation once it is as is said.
    async fn rotation_until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (status, rotation) = self.get(&format!("rotation/{path}")).await;
            assert_eq!(status, 200, "{rotation}");
            if is(&rotation) {
                return rotation;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{rotation}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a node looks at now and then, it looks at when it starts.
    pub(crate) async fn gauge_is(&self, name: &str, value: i64) {
        let (began, line) = (Instant::now(), format!("\n{name} {value}\n"));
        loop {
            let metrics = self.http.get(format!("{}/metrics", self.address)).send().await;
            let metrics = metrics.unwrap().text().await.unwrap();
            if metrics.contains(&line) {
                return;
            }
            let found: Vec<&str> = metrics.lines().filter(|line| line.starts_with(name)).collect();
            assert!(began.elapsed() < Duration::from_secs(30), "{value}, and not {found:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn told(&self, path: &str, action: &str) -> (u16, Value) {
        self.post(&format!("rotation/{path}"), json!({ "action": action }))
            .await
    }

    async fn value(&self, path: &str) -> Value {
        let (status, secret) = self.get(&format!("secrets/{path}")).await;
        assert_eq!(status, 200, "{path}: {secret}");
        if secret["data"].is_null() {
            secret["value"].clone()
        } else {
            secret["data"].clone()
        }
    }
}
