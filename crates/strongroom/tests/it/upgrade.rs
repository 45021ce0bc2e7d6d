//! An upgrade as it happens: this program and the one of tomorrow over one store, side by side where the store takes two,
//! and all the way back. The other one is built with the feature `next-schema`: a migration, a row format, and a column
//! in each of the two tables whose rows are vouched for and replaced.

mod backups;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, On, PROGRAM, Server, Store, TOMORROW, run_of};
use crate::sql::Sql;

/// Tokens outlive a start on another port.
const ISSUER: &[(&str, &str)] = &[("STRONGROOM_ISSUER", "http://strongroom.test")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Today,
    Tomorrow,
}
use Program::{Today, Tomorrow};

impl Program {
    fn path(self) -> &'static Path {
        match self {
            Today => Path::new(PROGRAM),
            Tomorrow => &TOMORROW,
        }
    }

    fn other(self) -> Self {
        match self {
            Today => Tomorrow,
            Tomorrow => Today,
        }
    }
}

/// One installation, and what was acknowledged to be in it.
struct Site {
    store: Store,
    running: BTreeMap<u8, Server>,
    values: BTreeMap<String, String>,
    /// What a workload may read, by the policy as it was last written.
    allowed: &'static str,
    workload: String,
}

impl Site {
    /// Begun by the program of today.
    async fn begun(on: On) -> Self {
        let store = Store::fresh(on);
        let server = store.dev(ISSUER);
        let root = Api::new(&server, store.root_token());
        let workload = root.workload("app", rules("a")).await;
        Self {
            store,
            running: BTreeMap::from([(Today as u8, server)]),
            values: BTreeMap::new(),
            allowed: "a",
            workload,
        }
    }

    /// A node of that program, started where none runs. The embedded store takes one at a time.
    fn node(&mut self, program: Program) -> Api {
        if self.store.on == On::Sqlite {
            self.stop(program.other());
        }
        let store = &self.store;
        let server = self
            .running
            .entry(program as u8)
            .or_insert_with(|| store.dev_of(program.path(), ISSUER));
        Api::new(server, store.root_token())
    }

    fn stop(&mut self, program: Program) {
        if let Some(server) = self.running.remove(&(program as u8)) {
            assert!(server.terminate().success());
        }
    }

    fn kill(&mut self, program: Program) {
        self.running.remove(&(program as u8)).unwrap().kill9();
    }

    /// The embedded store is let go for it.
    fn run(&mut self, program: Program, args: &[&str]) -> (i32, String) {
        if self.store.on == On::Sqlite {
            self.stop(Today);
            self.stop(Tomorrow);
        }
        let data = self.store.data_dir();
        // A server takes no root key from its data directory.
        let key = self.store.dir.path().join("root-key");
        std::fs::copy(self.store.root_key_file(), &key).unwrap();
        let mut environment = vec![
            ("STRONGROOM_ROOT_KEY_FILE", key.to_str().unwrap()),
            ("STRONGROOM_LISTEN", "127.0.0.1:1"),
        ];
        environment.push(match &self.store.url {
            Some(url) => ("STRONGROOM_DATABASE_URL", url),
            None => ("STRONGROOM_DATA_DIR", data.to_str().unwrap()),
        });
        let (code, stdout, stderr) = run_of(program.path(), args, &environment, b"");
        (code, String::from_utf8(stdout).unwrap() + &stderr)
    }

    fn ok(&mut self, program: Program, args: &[&str]) -> String {
        let (code, text) = self.run(program, args);
        assert_eq!(code, 0, "{program:?} {args:?}: {text}");
        text
    }

    /// The numbers of those migrations whose line of `migrate status` holds the word.
    fn migrations(&mut self, program: Program, word: &str) -> Vec<String> {
        let status = self.ok(program, &["migrate", "status"]);
        let lines = status.lines().filter(|line| line.contains(word));
        lines.map(|line| line[..4].to_owned()).collect()
    }

    async fn write(&mut self, program: Program, path: &str, value: &str) {
        let api = self.node(program);
        let (status, answer) = api.put(&format!("secrets/{path}"), json!({ "value": value })).await;
        assert!(status == 200 || status == 201, "{program:?} {path}: {status} {answer}");
        self.values.insert(path.to_owned(), value.to_owned());
    }

    /// Policy, role and client are replaced too.
    async fn allow(&mut self, program: Program, folder: &'static str) {
        let api = self.node(program);
        let (status, answer) = api.put("policies/app", json!({ "rules": rules(folder) })).await;
        assert_eq!(status, 200, "{program:?}: {answer}");
        let role = json!({ "policies": ["app"], "access_token_ttl": 3600 });
        assert_eq!(api.put("roles/app", role).await.0, 200, "{program:?}");
        let (_, clients) = api.get("clients").await;
        let id = clients["items"][0]["client_id"].as_str().unwrap();
        let (status, secret) = api.post(&format!("clients/{id}/secrets"), Value::Null).await;
        assert_eq!(status, 201, "{program:?}: {secret}");
        let made = format!("clients/{id}/secrets/{}", secret["secret_id"].as_str().unwrap());
        assert_eq!(api.delete(&made).await.0, 204, "{program:?}");
        self.allowed = folder;
    }

    /// All that was acknowledged, as it was; and the workload may do what it was last given, and no more.
    async fn check(&mut self, program: Program) {
        let api = self.node(program);
        for (path, value) in &self.values {
            let (status, read) = api.get(&format!("secrets/{path}")).await;
            assert_eq!(
                (status, &read["value"]),
                (200, &json!(value)),
                "{program:?} {path}: {read}"
            );
        }
        let workload = api.with_token(&self.workload);
        for folder in ["a", "b"] {
            let status = workload.get(&format!("secrets/{folder}/first")).await.0;
            let expected = if folder == self.allowed { 200 } else { 403 };
            assert_eq!(status, expected, "{program:?}: the workload and {folder}");
        }
    }

    async fn rows(&self, table: &str, condition: &str) -> i64 {
        let sql = Sql::of(&self.store, None);
        sql.number(&format!("SELECT count(*) FROM {table} WHERE {condition}"))
            .await
    }
}

fn rules(folder: &str) -> Value {
    json!([{ "path": format!("secret/{folder}/*"), "capabilities": ["read"] }])
}

/// Both programs write, each replaces what the other wrote, and each reads all of it.
async fn work_side_by_side(site: &mut Site, round: &str) {
    for program in [Today, Tomorrow] {
        site.write(program, &format!("a/{round}-{program:?}"), "mine").await;
        site.check(program.other()).await;
        site.write(program.other(), &format!("a/{round}-{program:?}"), "the other's")
            .await;
        site.check(program).await;
        site.write(program, "a/first", &format!("{round} {program:?}")).await;
        site.allow(program, if site.allowed == "a" { "b" } else { "a" }).await;
        site.check(program.other()).await;
    }
}

async fn there_and_back(on: On) {
    let mut site = Site::begun(on).await;
    site.write(Today, "a/first", "one").await;
    site.write(Today, "b/first", "two").await;
    assert!(site.migrations(Today, "newer").is_empty());

    // The schema first. It is none of the old program's concern; its node goes on where the store takes both.
    let missing = site.migrations(Tomorrow, "missing");
    assert_eq!(missing.len(), 1, "what the old program does not know");
    let (code, text) = site.run(Tomorrow, &["server"]);
    assert!(
        code == 2 && text.contains("migrate up"),
        "a server never migrates: {text}"
    );
    site.ok(Tomorrow, &["migrate", "up"]);
    assert_eq!(site.migrations(Today, "newer"), missing);
    site.ok(Today, &["migrate", "up"]);
    assert!(site.ok(Today, &["migrate", "finish"]).contains("Nothing to finish"));
    site.check(Today).await;

    work_side_by_side(&mut site, "beside").await;
    // Killed under load, and started on the new schema.
    let api = site.node(Today);
    let load = tokio::spawn(async move {
        let mut acknowledged = 0;
        while let Ok((200 | 201, _)) = api.call("PUT", "secrets/a/load", Some(json!({ "value": "x" }))).await {
            acknowledged += 1;
        }
        acknowledged
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    site.kill(Today);
    assert!(load.await.unwrap() > 0, "it was under load");
    site.values.insert("a/load".into(), "x".into());
    site.check(Today).await;
    work_side_by_side(&mut site, "killed").await;
    for table in ["record", "version"] {
        assert_eq!(
            site.rows(table, "format <> 1 OR writer IS NOT NULL").await,
            0,
            "{table}"
        );
    }

    // All the way back, by the old program on the new schema.
    site.stop(Tomorrow);
    site.check(Today).await;
    site.write(Today, "a/first", "back").await;
    site.allow(Today, "a").await;
    site.check(Today).await;

    finished(&mut site).await;
}

/// From here on there is no way back, and everybody says so.
async fn finished(site: &mut Site) {
    let text = site.ok(Tomorrow, &["migrate", "finish"]);
    assert!(text.contains("Finished"), "{text}");
    assert!(site.ok(Tomorrow, &["migrate", "finish"]).contains("Nothing to finish"));
    site.check(Tomorrow).await;
    site.write(Tomorrow, "b/first", "new").await;
    site.write(Tomorrow, "a/new", "new").await;
    for table in ["record", "version"] {
        assert!(
            site.rows(table, "format = 2 AND writer IS NOT NULL").await >= 2,
            "{table}"
        );
        assert!(site.rows(table, "format = 1 AND writer IS NULL").await > 0, "{table}");
        let odd = "NOT (format = 2 AND writer IS NOT NULL OR format = 1 AND writer IS NULL)";
        assert_eq!(site.rows(table, odd).await, 0, "{table}");
    }
    if site.store.on == On::Postgres {
        // A node that nobody stopped: what it knows it serves, what it does not know it refuses by name.
        let old = site.node(Today);
        assert_eq!(old.get("secrets/a/first").await.1["value"], "back");
        let (status, answer) = old.get("secrets/b/first").await;
        assert_eq!((status, &answer["code"]), (500, &json!("integrity_failed")));
        assert!(answer["detail"].as_str().unwrap().contains("newer program"), "{answer}");
        let (status, _) = old.put("secrets/b/first", json!({ "value": "mangled" })).await;
        assert_eq!(status, 500, "nor does it write what it cannot read");
        site.stop(Today);
    }
    site.check(Tomorrow).await;
    site.stop(Tomorrow);
    for args in [&["server"][..], &["operator", "init"], &["migrate", "finish"]] {
        let (code, text) = site.run(Today, args);
        assert!(
            code == 2 && text.contains("too old") && text.contains("Install the newer"),
            "{args:?}: {text}"
        );
    }
    refused(site).await;

    let known = site.migrations(Today, "applied").into_iter();
    let newer = site.migrations(Today, "newer");
    let last = known.filter(|number| !newer.contains(number)).max().unwrap();
    let (code, text) = site.run(Today, &["migrate", "down", "--to", "0", "--discard"]);
    assert!(code == 2 && text.contains("newer program"), "{text}");
    let (code, text) = site.run(Tomorrow, &["migrate", "down", "--to", &last]);
    assert!(code == 2 && text.contains("--discard"), "{text}");
    site.check(Tomorrow).await;
    site.stop(Tomorrow);
    site.ok(Tomorrow, &["migrate", "down", "--to", &last, "--discard"]);
    assert_eq!(site.migrations(Tomorrow, "missing"), newer);
    assert!(site.migrations(Today, "newer").is_empty());
}

/// The new column is vouched for like every other, and a row's format as well.
async fn refused(site: &mut Site) {
    let sql = Sql::of(&site.store, None);
    let head = |path: &str| {
        format!(
            "name = '{path}' AND kind = {}",
            strongroom_domain::Kind::Secret.number()
        )
    };
    let version = |path: &str| format!("owner = (SELECT id FROM record WHERE {})", head(path));
    let alterations = [
        ("b/first", "record", "writer = writer + 1"),
        ("b/first", "record", "writer = NULL"),
        ("b/first", "record", "format = 1"),
        ("b/first", "record", "format = 1, writer = NULL"),
        ("b/first", "record", "format = 3"),
        ("a/new", "version", "writer = writer + 1"),
        ("a/new", "version", "writer = NULL"),
        ("a/new", "version", "format = 1, writer = NULL"),
        ("a/first", "record", "writer = 1"),
        ("a/first", "version", "writer = 1"),
        ("a/first", "record", "format = 2"),
    ];
    for (path, table, alteration) in alterations {
        let of = if table == "record" { head(path) } else { version(path) };
        sql.keep(&[table]).await;
        sql.run(&[format!("UPDATE {table} SET {alteration} WHERE {of}")]).await;
        let (status, answer) = site.node(Tomorrow).get(&format!("secrets/{path}")).await;
        assert_eq!(
            (status, &answer["code"]),
            (500, &json!("integrity_failed")),
            "{table} {alteration}: {answer}"
        );
        site.stop(Tomorrow);
        let mut back = Sql::restore(table);
        back.push(format!("DROP TABLE pristine_{table}"));
        sql.run(&back).await;
    }
}

on_both_stores!(there_and_back);
