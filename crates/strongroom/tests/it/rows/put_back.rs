//! Rows that grant something, deleted, inserted again after they were deleted, and rolled back to what they once were:
//! alone, and together with the manifest of that day; on a node that runs and on one that starts.

use serde_json::json;

use super::matrix::Matrix;
use super::objects::{Noun, Object};
use super::{ISSUER, records};
use crate::asks::Ask;
use crate::harness::{Api, On, Server};
use crate::operator::Installation;
use crate::operators::PASSWORD;
use crate::sql::{Sql, Table};

const NOUNS: [Noun; 5] = [Noun::Policy, Noun::Role, Noun::Client, Noun::Operator, Noun::Group];
/// The column `kind` of what a manifest is made of.
const MANIFEST: &str = "15";
/// Nothing tells a node of changes but its own fence.
const UNTOLD: &[(&str, &str)] = &[("STRONGROOM_CACHE_POLL_MS", "0")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Deleted,
    InsertedAgain,
    RolledBack,
}

/// An installation on which each kind of grant was written, and then written again or deleted, all by the API.
struct Stage {
    installation: Installation,
    sql: Sql,
    server: Server,
    /// One who may do everything in its namespace.
    root: Api,
    object: Object,
    how: How,
    /// The rows before and after that.
    then: Table,
    now: Table,
}

impl Stage {
    async fn set(on: On, how: How, namespace: Option<&str>) -> Self {
        let installation = Installation::initialised(on);
        let server = installation.serve_with(ISSUER);
        let sql = Sql::of(&installation.store, None);
        let root = installation.root(&server);
        let root = match namespace {
            Some(name) => {
                assert_eq!(
                    root.call("PUT", &format!("namespaces/{name}"), None).await.unwrap().0,
                    200
                );
                within(&root, name).await
            }
            None => root,
        };
        let without = records(&sql).await;
        let object = Object::make(&root, "operator").await;
        let with = records(&sql).await;
        let stem = &object.stem;
        match how {
            How::Deleted => {}
            How::InsertedAgain => {
                for path in [
                    format!("clients/{}", object.client),
                    format!("operators/o-{stem}"),
                    format!("groups/g-{stem}"),
                    format!("roles/r-{stem}"),
                    format!("policies/p-{stem}"),
                ] {
                    assert_eq!(root.delete(&path).await.0, 204, "{path}");
                }
            }
            How::RolledBack => {
                let nothing = json!({"rules": [{"path": "secret/nothing", "capabilities": ["read"]}]});
                assert_eq!(root.put(&format!("policies/p-{stem}"), nothing).await.0, 200);
                let none = json!({"policies": []});
                assert_eq!(root.put(&format!("roles/r-{stem}"), none.clone()).await.0, 200);
                assert_eq!(root.put(&format!("groups/g-{stem}"), none).await.0, 200);
                let path = format!("clients/{}/secrets", object.client);
                assert_eq!(root.post(&path, json!({})).await.0, 201);
                let password = json!({ "password": format!("{PASSWORD}-2") });
                let path = format!("operators/o-{stem}/password");
                assert_eq!(root.put(&path, password).await.0, 204);
            }
        }
        let now = records(&sql).await;
        Self {
            then: if how == How::Deleted { without } else { with },
            now,
            installation,
            sql,
            server,
            root,
            object,
            how,
        }
    }

    /// What makes the row of a kind what it was.
    fn put_back(&self, noun: Noun) -> Vec<String> {
        let mut statements = Vec::new();
        if self.how != How::InsertedAgain {
            statements.push(self.now.delete(self.object.row(&self.now, noun)));
        }
        if self.how != How::Deleted {
            statements.push(self.then.insert(self.object.row(&self.then, noun)));
        }
        statements
    }

    /// What makes the manifests what they were: that of the grants' namespace alone, or all.
    fn manifest(&self, alone: bool) -> Vec<String> {
        let object = self.object.row(&self.now, Noun::Principal);
        let namespace = self.now.value(object, "namespace");
        let of = |table: &Table| {
            let rows = table.rows.iter().filter(|row| {
                table.value(row, "kind") == MANIFEST && (!alone || table.value(row, "namespace") == namespace)
            });
            rows.cloned().collect::<Vec<_>>()
        };
        let gone = of(&self.now).iter().map(|row| self.now.delete(row)).collect::<Vec<_>>();
        let back = of(&self.then)
            .iter()
            .map(|row| self.then.insert(row))
            .collect::<Vec<_>>();
        assert!(!gone.is_empty());
        [gone, back].concat()
    }

    /// The same on a node that starts.
    fn started_anew(self) -> Self {
        self.server.terminate();
        let server = self.installation.serve_with(ISSUER);
        Self {
            root: self.root.at(&server),
            server,
            ..self
        }
    }

    async fn all_use(&self, matrix: &mut Matrix, what: &str, expected: &str) {
        for noun in NOUNS {
            self.uses(matrix, noun, &format!("{:?}{what}", self.how), expected)
                .await;
        }
    }

    async fn uses(&self, matrix: &mut Matrix, noun: Noun, what: &str, expected: &str) {
        for used in self.object.uses(&self.root, noun, false) {
            let answer = used.ask.send(&self.root).await;
            let verdict = (answer.code() == expected).then_some(()).ok_or_else(|| {
                format!(
                    "{noun} {what}: {} {} gave {}",
                    used.ask.method, used.ask.path, answer.text
                )
            });
            matrix.put(&noun.to_string(), what, answer.code(), verdict);
        }
    }
}

/// By a token that may do everything in that namespace.
async fn within(root: &Api, namespace: &str) -> Api {
    let (status, made) = root.post(&format!("namespaces/{namespace}/token"), json!({})).await;
    assert_eq!(status, 201, "{made}");
    root.within(namespace, made["token"].as_str().unwrap())
}

async fn not_ready(api: &Api) -> String {
    let answer = api.http.get(format!("{}/ready", api.address)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    answer.text().await.unwrap()
}

async fn put_back_within(on: On, namespace: Option<&str>) {
    let mut matrix = Matrix::default();
    for how in [How::Deleted, How::InsertedAgain, How::RolledBack] {
        let mut stage = Stage::set(on, how, namespace).await;
        for noun in NOUNS {
            stage.sql.run(&stage.put_back(noun)).await;
        }
        stage.all_use(&mut matrix, "", "integrity_failed").await;
        stage = stage.started_anew();
        stage.all_use(&mut matrix, "+start", "integrity_failed").await;
        if namespace.is_some() {
            // The manifest of `root` knows those of the others, and goes on by itself.
            stage.sql.run(&stage.manifest(true)).await;
            stage.all_use(&mut matrix, "+own manifest", "integrity_failed").await;
            stage = stage.started_anew();
            stage
                .all_use(&mut matrix, "+own manifest+start", "integrity_failed")
                .await;
            let others = stage.installation.root(&stage.server);
            assert_eq!(others.put("groups/others", json!({"policies": []})).await.0, 200);
        }
        stage.sql.run(&stage.manifest(false)).await;
        stage.all_use(&mut matrix, "+manifest", "grants_put_back").await;
        assert!(not_ready(&stage.root).await.contains("accept-restore"));
        stage = stage.started_anew();
        stage.all_use(&mut matrix, "+manifest+start", "grants_put_back").await;
        assert!(not_ready(&stage.root).await.contains("accept-restore"));
        stage.server.terminate();
    }
    matrix.finish(&format!("{on:?}: grants put back in {}", namespace.unwrap_or("root")));
}

async fn grants_that_were_put_back(on: On) {
    put_back_within(on, None).await;
}

async fn grants_of_a_namespace_that_were_put_back(on: On) {
    put_back_within(on, Some("team")).await;
}

/// What was put back stands once somebody with the key has said so. No token from before holds any more.
async fn accepted_within(on: On, namespace: Option<&str>) {
    let stage = Stage::set(on, How::RolledBack, namespace).await;
    let statements = [stage.put_back(Noun::Policy), stage.manifest(false)].concat();
    stage.sql.run(&statements).await;
    let (installation, object) = (&stage.installation, &stage.object);
    let ask = Ask::get(&stage.root, format!("policies/p-{}", object.stem));
    assert_eq!(ask.send(&stage.root).await.code(), "grants_put_back");
    assert_ne!(installation.run(&["operator", "accept-restore"]).0, 0, "no reason");
    let said = installation.done(&["operator", "accept-restore", "--reason", "a drill of the tests"]);
    assert!(said.contains("recover-admin"), "{said}");
    let ready = async || {
        let answer = stage.root.http.get(format!("{}/ready", stage.root.address)).send();
        answer.await.unwrap().status() == 200
    };
    assert!(ready().await, "the running node goes on by itself");
    let file = installation.file("recovered");
    installation.done(&["operator", "recover-admin", "--token-file", file.to_str().unwrap()]);
    let recovered = installation
        .root(&stage.server)
        .with_token(installation.text("recovered"));
    assert_eq!(
        ask.send(&stage.root).await.code(),
        "unauthenticated",
        "the token from before that might do everything"
    );
    let root = match namespace {
        Some(name) => within(&recovered, name).await,
        None => recovered.clone(),
    };
    let old = root.with_token(&object.token);
    assert_eq!(
        old.get(&format!("secrets/{}", object.path())).await.0,
        401,
        "an access token from before"
    );
    let (status, policy) = root.get(&format!("policies/p-{}", object.stem)).await;
    assert_eq!(
        (status, policy["rules"][0]["path"].as_str()),
        (200, Some(format!("secret/rows/{}/*", object.stem).as_str()))
    );
    let (_, page) = recovered.get("audit?action=operator.accept_restore").await;
    assert_eq!(page["items"][0]["path"], "a drill of the tests");
    assert_eq!(root.put("groups/after", json!({"policies": []})).await.0, 200);
    let policy = json!({"rotator": "generate", "interval": "1h"});
    assert_eq!(root.put("rotation/held", policy).await.0, 200);
    let rotate = async || root.post("rotation/held", json!({"action": "rotate"})).await.0;
    assert_eq!(rotate().await, 409, "what is outside is left alone");
    installation.done(&["operator", "lift-hold", "--reason", "it was meant"]);
    assert_eq!(rotate().await, 200);
    stage.server.terminate();
    let server = installation.serve();
    assert_eq!(root.at(&server).get("groups/after").await.0, 200);
    server.terminate();
}

async fn what_was_put_back_is_accepted(on: On) {
    accepted_within(on, None).await;
}

async fn what_was_put_back_in_a_namespace_is_accepted(on: On) {
    accepted_within(on, Some("team")).await;
}

/// All of the database, as it once was: a node that has seen newer refuses at once, and one that starts can know nothing of
/// it. That one goes on, and comes to where the other was: this is no acceptance.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_seen_newer_stops() {
    let tables = [
        "record",
        "version",
        "change",
        "revision",
        "boot",
        "audit_batch",
        "entry_reads",
        "entry_kept",
    ];
    let installation = Installation::initialised(On::Postgres);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(installation.serve_with(UNTOLD));
    }
    let sql = Sql::of(&installation.store, None);
    let apis: Vec<Api> = nodes.iter().map(|node| installation.root(node)).collect();
    sql.keep(&tables).await;
    // Its own work must not tell it of what is newer.
    nodes[1].pause();
    assert_eq!(apis[0].put("groups/lost", json!({"policies": []})).await.0, 200);
    let restored = tables.iter().flat_map(|table| Sql::restore(table));
    sql.run(&restored.collect::<Vec<_>>()).await;
    nodes[1].resume();
    let code = async |api: &Api| Ask::get(api, "groups").send(api).await.code().to_owned();
    assert_eq!(code(&apis[0]).await, "grants_put_back");
    assert_eq!(code(&apis[1]).await, "ok", "it has seen nothing newer");
    let third = installation.serve_with(UNTOLD);
    let third = installation.root(&third);
    assert_eq!(code(&third).await, "ok");
    for at in 0..5 {
        assert_eq!(
            third.put(&format!("groups/g{at}"), json!({"policies": []})).await.0,
            200
        );
    }
    assert_eq!(code(&apis[0]).await, "grants_put_back");
    installation.done(&["operator", "accept-restore", "--reason", "it was meant"]);
    let file = installation.file("recovered");
    installation.done(&["operator", "recover-admin", "--token-file", file.to_str().unwrap()]);
    for api in [&apis[0], &apis[1], &third] {
        let _ = api.http.get(format!("{}/ready", api.address)).send().await.unwrap();
        assert_eq!(code(api).await, "unauthenticated");
        let recovered = api.with_token(installation.text("recovered"));
        assert_eq!(code(&recovered).await, "ok");
    }
}

on_both_stores!(
    grants_that_were_put_back,
    grants_of_a_namespace_that_were_put_back,
    what_was_put_back_is_accepted,
    what_was_put_back_in_a_namespace_is_accepted
);
