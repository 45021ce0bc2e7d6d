//! Users of a server who take turns, on a PostgreSQL that asks for passwords and writes down every statement.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Executor as _, Row as _};
use strongroom_testkit::{Cluster, run_sql};

use super::{Stage, stage};
use crate::harness::On;

/// The password of `app` before any rotation.
pub(super) const FIRST: &str = "the-first-one";

pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) stage: Stage,
    /// Passwords that were made here.
    pub(crate) seen: BTreeSet<String>,
}

pub(crate) async fn place(on: On) -> Place {
    let cluster = Cluster::start_with_passwords(&[("log_statement", "all"), ("fsync", "off")]);
    let stage = stage(on).await;
    let root = &stage.root;
    for (name, password) in [("admin", "the-administrators-own"), ("app", FIRST)] {
        let rights = if name == "admin" { "SUPERUSER" } else { "" };
        let sql = format!("CREATE ROLE {name} LOGIN {rights} PASSWORD '{password}'");
        run_sql(&cluster.url("postgres"), &sql);
    }
    let admin = json!({ "data": { "username": "admin", "password": "the-administrators-own" } });
    assert_eq!(root.put("secrets/infra/admin", admin).await.0, 201);
    let target = json!({
        "engine": "postgres", "address": format!("127.0.0.1:{}", cluster.port()), "database": "postgres", "tls": "off",
        "credential": "infra/admin",
    });
    root.written("targets/db", target).await;
    let app = json!({ "data": { "username": "app", "password": FIRST, "more": 1 } });
    assert_eq!(root.put("secrets/app/db", app).await.0, 201);
    Place {
        cluster,
        stage,
        seen: BTreeSet::new(),
    }
}

pub(crate) async fn logs_in(port: u16, credential: &Value) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .database("postgres")
        .username(credential["username"].as_str().unwrap())
        .password(credential["password"].as_str().unwrap());
    options.connect().await
}

impl Place {
    async fn logs_in(&self, credential: &Value) -> bool {
        logs_in(self.cluster.port(), credential).await.is_ok()
    }

    /// The current credential, which is remembered.
    async fn current(&mut self) -> Value {
        let credential = self.stage.root.value("app/db").await;
        self.seen.insert(credential["password"].as_str().unwrap().to_owned());
        credential
    }

    pub(crate) fn wrote_down_no_password(&self) {
        let log = self.cluster.log();
        assert!(log.contains("ALTER ROLE"), "statements are written down");
        for password in &self.seen {
            assert!(!log.contains(password), "a password is in the server's log");
        }
    }
}

async fn two_take_turns(on: On) {
    let mut place = place(on).await;
    let root = place.stage.root.clone();
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
    root.written("rotation/app/db", policy).await;
    let mut before = root.value("app/db").await;
    for turn in 0..4 {
        let (status, done) = root.told("app/db", "rotate").await;
        assert_eq!(status, 200, "{done}");
        let current = place.current().await;
        assert_eq!(current["username"], if turn % 2 == 0 { "app_alt" } else { "app" });
        assert_eq!((&current["more"], &current["engine"]), (&json!(1), &json!("postgres")));
        assert!(
            place.logs_in(&current).await && place.logs_in(&before).await,
            "turn {turn}"
        );
        before = current;
    }
    let (_, back) = root.told("app/db", "rollback").await;
    assert!(back["run"].is_null(), "{back}");
    let back = place.current().await;
    assert_eq!(back["username"], "app_alt");
    assert!(place.logs_in(&back).await);
    place.wrote_down_no_password();
}

async fn the_database_stays_when_the_user_is_another(on: On) {
    let place = place(on).await;
    let root = &place.stage.root;
    let target = json!({
        "engine": "postgres", "address": format!("127.0.0.1:{}", place.cluster.port()), "tls": "off",
        "credential": "infra/admin",
    });
    root.written("targets/db", target).await;
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
    root.written("rotation/app/db", policy).await;
    place.cluster.create_database("app");
    // Whoever names no database gets the one of the user's name; what the value names goes before it.
    for (says, user, database) in [
        (json!({ "username": "app", "password": FIRST }), "app_alt", "app"),
        (
            json!({ "username": "app_alt", "password": FIRST, "dbname": "postgres" }),
            "app",
            "postgres",
        ),
    ] {
        assert_eq!(root.put("secrets/app/db", json!({ "data": says })).await.0, 201);
        let (status, done) = root.told("app/db", "rotate").await;
        assert_eq!(status, 200, "{done}");
        let current = root.value("app/db").await;
        assert_eq!(
            (&current["username"], &current["dbname"]),
            (&json!(user), &json!(database))
        );
        let url: PgConnectOptions = current["url"].as_str().unwrap().parse().unwrap();
        let mut session = url.connect().await.unwrap();
        let row = session.fetch_one("SELECT current_database()::text").await.unwrap();
        assert_eq!(row.get::<String, _>(0), database);
    }
}

async fn whoever_writes_values_chooses_nobodys_password(on: On) {
    let mut place = place(on).await;
    let root = place.stage.root.clone();
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
    let (status, refused) = root.put("rotation/app/none", policy.clone()).await;
    assert_eq!(status, 400, "there is no value that names a user: {refused}");
    root.written("rotation/app/db", policy).await;
    let rules = json!([{ "path": "secret/app/*", "capabilities": ["update", "read"] }]);
    let writer = root.with_token(root.workload("writer", rules).await);
    let chosen = json!({ "data": { "username": "admin", "password": "x" } });
    assert_eq!(writer.put("secrets/app/db", chosen).await.0, 201);
    let (status, done) = root.told("app/db", "rotate").await;
    assert_eq!((status, &done["turns"]), (200, &json!(["app", "app_alt"])), "{done}");
    let current = place.current().await;
    assert_eq!(current["username"], "app");
    assert!(place.logs_in(&current).await);
    let users = run_sql(
        &place.cluster.url("postgres"),
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'admin%'",
    );
    assert_eq!(users.trim(), "admin");
}

async fn nobody_elses_password_is_gone_back_to(on: On) {
    let place = place(on).await;
    let root = &place.stage.root;
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
    root.written("rotation/app/db", policy).await;
    let before = root.value("app/db").await;
    let rules = json!([{ "path": "secret/app/*", "capabilities": ["update", "read", "rotate"] }]);
    let writer = root.with_token(root.workload("writer", rules).await);
    for credential in [json!({ "username": "admin", "password": "chosen" }), before.clone()] {
        assert_eq!(writer.put("secrets/app/db", json!({ "data": credential })).await.0, 201);
    }
    let (status, stopped) = writer.told("app/db", "rollback").await;
    let reason = stopped["run"]["failure"]["reason"].as_str().unwrap();
    assert!(status == 202 && reason.contains("another user"), "{stopped}");
    let admin = root.value("infra/admin").await;
    assert!(place.logs_in(&admin).await && place.logs_in(&before).await);
    assert!(
        !place
            .logs_in(&json!({ "username": "admin", "password": "chosen" }))
            .await
    );
}

async fn one_alone_is_replaced(on: On) {
    let mut place = place(on).await;
    let root = place.stage.root.clone();
    let policy = json!({ "rotator": "postgres", "target": "db", "users": ["app"], "interval": "1h" });
    root.written("rotation/app/db", policy).await;
    let before = root.value("app/db").await;
    assert_eq!(root.told("app/db", "rotate").await.0, 200);
    let current = place.current().await;
    assert_eq!(current["username"], "app");
    assert!(place.logs_in(&current).await && !place.logs_in(&before).await);
    place.wrote_down_no_password();
}

async fn an_administrator_rotates_itself(on: On) {
    let mut place = place(on).await;
    let root = place.stage.root.clone();
    let policy = json!({ "rotator": "postgres", "target": "db", "users": ["admin"], "interval": "1h" });
    root.written("rotation/infra/admin", policy).await;
    for _ in 0..3 {
        let (status, done) = root.told("infra/admin", "rotate").await;
        assert_eq!((status, &done["run"]), (200, &Value::Null));
        let admin = root.value("infra/admin").await;
        place.seen.insert(admin["password"].as_str().unwrap().to_owned());
        assert!(place.logs_in(&admin).await);
    }
    place.wrote_down_no_password();
}

async fn a_target_that_is_away_is_waited_for(on: On) {
    let mut place = place(on).await;
    let root = place.stage.root.clone();
    let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
    root.written("rotation/app/db", policy).await;
    let before = root.value("app/db").await;
    place.cluster.kill9();
    let (status, waits) = root.told("app/db", "rotate").await;
    assert_eq!(
        (status, &waits["run"]["failure"]["permanent"]),
        (202, &json!(false)),
        "{waits}"
    );
    assert_eq!(root.value("app/db").await, before, "what is current stays");
    for (method, path, body) in [
        ("PUT", "labels/app/db", json!({ "label": "current", "version": 2 })),
        ("DELETE", "secrets/app/db", Value::Null),
        (
            "POST",
            "versions/app/db",
            json!({ "action": "destroy", "versions": [2] }),
        ),
    ] {
        let (status, refused) = root.call(method, path, Some(body)).await.unwrap();
        assert_eq!(
            (status, refused["code"].as_str()),
            (409, Some("rotation_running")),
            "{method} {path}"
        );
    }
    place.cluster.restart();
    root.rotation_until("app/db", |rotation| rotation["run"].is_null())
        .await;
    let current = place.current().await;
    assert!(place.logs_in(&current).await && place.logs_in(&before).await);
    assert_eq!(
        root.get("secrets/app/db").await.1["version"],
        2,
        "the value that was pending is the one"
    );
    place.wrote_down_no_password();
}

async fn what_cannot_work_stops_and_is_loud(on: On) {
    let place = place(on).await;
    let root = &place.stage.root;
    let wrong = json!({ "data": { "username": "admin", "password": "not it" } });
    assert_eq!(root.put("secrets/infra/admin", wrong).await.0, 201);
    root.written(
        "rotation/app/db",
        json!({ "rotator": "postgres", "target": "db", "interval": "1h", "retries": 1 }),
    )
    .await;
    let (status, stopped) = root.told("app/db", "rotate").await;
    let failure = &stopped["run"]["failure"];
    assert_eq!((status, &failure["permanent"]), (202, &json!(false)), "{stopped}");
    assert_eq!(failure["reason"], "the target refuses the administrator's login");
    // Tried a few times, and then no more: nobody is locked out.
    let stopped = root
        .rotation_until("app/db", |rotation| rotation["run"]["failure"]["permanent"] == true)
        .await;
    assert_eq!(stopped["run"]["failure"]["count"], 2);
    let right = json!({ "data": { "username": "admin", "password": "the-administrators-own" } });
    assert_eq!(root.put("secrets/infra/admin", right).await.0, 201);
    let (status, done) = root.told("app/db", "resume").await;
    assert_eq!((status, &done["run"]), (200, &Value::Null), "{done}");
    assert!(place.logs_in(&root.value("app/db").await).await);
}

on_both_stores!(
    two_take_turns,
    the_database_stays_when_the_user_is_another,
    whoever_writes_values_chooses_nobodys_password,
    nobody_elses_password_is_gone_back_to,
    one_alone_is_replaced,
    an_administrator_rotates_itself,
    a_target_that_is_away_is_waited_for,
    what_cannot_work_stops_and_is_loud,
);
