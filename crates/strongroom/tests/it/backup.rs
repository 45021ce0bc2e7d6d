//! Backups: of any kind of store into any other, while it serves, and only whole.

mod held;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_domain::Kind;
use strongroom_domain::audit::Action;
use strongroom_testkit::{Database, scale};

use crate::harness::{Api, On, Store, command, run};
use crate::operator::Installation;
use crate::sql::{Row, Sql, dump, restore_dump};

/// Kinds of records that come and go with backups, restores and starts: keys, tokens, change ids, the last backup, the
/// manifest that lists keys and tokens, and the hold of what is outside.
const PASSING: [Kind; 7] = [
    Kind::KeySlot,
    Kind::KeyRing,
    Kind::Token,
    Kind::ChangeId,
    Kind::Backup,
    Kind::Manifest,
    Kind::Hold,
];

fn other(on: On) -> On {
    match on {
        On::Sqlite => On::Postgres,
        On::Postgres => On::Sqlite,
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a backup and gives its file.
fn backup(of: &Installation, name: &str) -> PathBuf {
    let file = of.file(name);
    let said = of.done(&["operator", "backup", text(&file)]);
    assert!(said.contains("operator backup verify"), "{said}");
    file
}

fn verified(by: &Installation, file: &Path) -> Value {
    let said = by.done(&["operator", "backup", "verify", text(file), "-o", "json"]);
    serde_json::from_str(&said).unwrap()
}

/// A migrated, empty store, to be opened by the same root key.
fn empty_beside(on: On, first: &Installation) -> Installation {
    let empty = Installation::new(on);
    std::fs::copy(first.file("key"), empty.file("key")).unwrap();
    empty
}

fn restored(into: &Installation, file: &Path) -> String {
    into.done(&["operator", "restore", text(file)])
}

/// A root token, as a restored installation has none.
fn recover(of: &Installation) -> String {
    let file = of.file("recovered");
    let _ = std::fs::remove_file(&file);
    of.done(&["operator", "recover-admin", "--token-file", text(&file)]);
    of.text("recovered")
}

/// Everything but what changes with a backup, a restore or a start.
async fn contents(of: &Installation) -> [BTreeSet<Row>; 4] {
    let sql = Sql::of(&of.store, None);
    let mut all = Vec::new();
    for (name, key) in [
        ("record", &["namespace", "kind", "id"][..]),
        ("version", &["namespace", "owner", "number"]),
        ("secret_use", &["namespace", "secret"]),
    ] {
        let table = sql.table(name, key).await;
        let passing = |row: &Row| {
            let kind = table.value(row, "kind").parse().unwrap();
            PASSING.contains(&Kind::from_number(kind).unwrap())
        };
        let kept = |row: &&Row| name != "record" || !passing(row);
        all.push(table.rows.iter().filter(kept).cloned().collect());
    }
    let mut log = BTreeSet::new();
    for name in ["entry_reads", "entry_kept"] {
        let table = sql.table(name, &["batch", "place"]).await;
        // A node looks at its manifests when it has started, before or after a backup.
        let own = Action::ManifestCheck.number().to_string();
        log.extend(
            table
                .rows
                .iter()
                .filter(|row| table.value(row, "action") != own)
                .cloned(),
        );
    }
    all.push(log);
    all.try_into().unwrap()
}

/// Values of all three kinds, versions in every state, a policy, a role and a client. Gives the client's login.
async fn furnish(root: &Api) -> Value {
    for round in 1..=4 {
        let (status, _) = root
            .put("secrets/app/text", json!({ "value": format!("round {round}") }))
            .await;
        assert_eq!(status, 201);
    }
    root.put("secrets/app/json", json!({ "data": { "user": "ü", "n": 1.50 } }))
        .await;
    root.put("secrets/app/bytes", json!({ "bytes": "AAEC/w==" })).await;
    let destroy = json!({ "action": "destroy", "versions": [1] });
    assert_eq!(root.post("versions/app/text", destroy).await.0, 200);
    assert_eq!(
        root.put("labels/app/text", json!({ "label": "stable", "version": 2 }))
            .await
            .0,
        200
    );
    assert_eq!(root.delete("secrets/app/bytes").await.0, 200);
    let login = root
        .workload_login(
            "app-reader",
            json!([{ "path": "secret/app/*", "capabilities": ["read", "list"] }]),
        )
        .await;
    assert_eq!(root.get("secrets/app/json").await.0, 200);
    login
}

async fn a_backup_goes_into_the_other_store_and_back(on: On) {
    let first = Installation::initialised(on);
    let server = first.serve();
    let root = first.root(&server);
    let login = furnish(&root).await;
    let (_, access) = root.post("auth/client/login", login.clone()).await;
    let access = access["access_token"].as_str().unwrap().to_owned();
    let file = backup(&first, "first.backup");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let found = verified(&first, &file);
    assert_eq!((&found["failed"], &found["opened"]), (&json!(0), &json!(5)), "{found}");
    assert!(server.terminate().success());
    let [records, versions, uses, log] = contents(&first).await;

    let second = empty_beside(other(on), &first);
    let said = restored(&second, &file);
    assert!(
        said.contains("Every token issued before is void: 1 service tokens"),
        "{said}"
    );
    assert!(said.contains("recover-admin"), "{said}");
    let again = backup(&second, "second.backup");
    let third = empty_beside(on, &first);
    restored(&third, &again);
    for restored in [&second, &third] {
        let [found_records, found_versions, found_uses, found_log] = contents(restored).await;
        assert_eq!(found_records, records);
        assert_eq!(found_versions, versions);
        // A node writes down what it noted when it ends, at the latest.
        assert!(found_uses.is_subset(&uses), "{found_uses:?} {uses:?}");
        // The backup's own entry is the last that is in it.
        let missing: Vec<_> = log.difference(&found_log).collect();
        assert!(missing.len() <= 1, "{missing:?}");
        assert!(found_log.len() > log.len());
    }

    let server = third.serve();
    let old = Api::new(&server, first.text("token"));
    assert_eq!(old.get("secrets/app/json").await.0, 401, "the root token from before");
    assert_eq!(
        old.with_token(access).get("secrets/app/json").await.0,
        401,
        "an access token from before"
    );
    let (status, token) = old.post("auth/client/login", login).await;
    assert_eq!(status, 200, "{token}");
    let workload = old.with_token(token["access_token"].as_str().unwrap());
    let (_, secret) = workload.get("secrets/app/json").await;
    assert_eq!(secret["data"].to_string(), r#"{"n":1.5,"user":"ü"}"#);
    let (_, secret) = workload.get("secrets/app/text?label=stable").await;
    assert_eq!(secret["value"], "round 2");
    assert_eq!(workload.get("secrets/app/text?version=1").await.1["code"], "destroyed");
    assert_eq!(workload.get("secrets/app/bytes").await.1["code"], "deleted");
    let root = old.with_token(recover(&third));
    let (status, written) = root.put("secrets/app/text", json!({ "value": "goes on" })).await;
    assert_eq!((status, &written["version"]), (201, &json!(5)), "{written}");
    let (_, page) = root.get("audit?action=operator.restore").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2, "of both restores: {page}");
    assert!(server.terminate().success());
    assert_eq!(verified(&third, &backup(&third, "third.backup"))["failed"], 0);
}

async fn a_backup_under_writers_is_of_one_moment(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    let root = installation.root(&server);
    furnish(&root).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (root, stop) = (root.clone(), stop.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("secrets/busy/{writer}/{}", written / 5);
                    let (status, answer) = root.put(&path, json!({ "value": format!("{written}") })).await;
                    assert_eq!(status, 201, "{answer}");
                    if writer == 0 && written % 20 == 0 {
                        root.post("keys/data/rotate", json!({})).await;
                    }
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut opened = Vec::new();
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let file = backup(&installation, &format!("{round}.backup"));
        let found = tokio::task::block_in_place(|| verified(&installation, &file));
        assert_eq!(found["failed"], 0, "{found}");
        opened.push(found["opened"].as_u64().unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    println!("{on:?}: {written} writes beside 3 backups, in which {opened:?} versions opened");
    assert!(
        written > 30 && opened.is_sorted() && opened[0] < opened[2],
        "{opened:?}"
    );
}

async fn a_damaged_backup_is_refused(on: On) {
    let first = Installation::initialised(on);
    let server = first.serve();
    furnish(&first.root(&server)).await;
    let file = backup(&first, "good.backup");
    assert!(server.terminate().success());
    let good = std::fs::read(&file).unwrap();
    let empty = empty_beside(on, &first);
    let bad = first.file("bad.backup");
    for (what, bytes) in [
        ("cut off", good[..good.len() - 20].to_vec()),
        ("cut off", good[..good.len() / 2].to_vec()),
        ("altered", {
            let mut bytes = good.clone();
            let at = bytes.len() - 500;
            bytes[at] ^= 1;
            bytes
        }),
        ("not a backup", b"something else".to_vec()),
    ] {
        std::fs::write(&bad, bytes).unwrap();
        for verb in [&["operator", "backup", "verify"][..], &["operator", "restore"]] {
            let (code, _, stderr) = empty.run(&[verb, &[text(&bad)]].concat());
            assert_eq!(code, 6, "{what}: {stderr}");
            assert!(stderr.contains(what), "{what}: {stderr}");
        }
        let (code, _, stderr) = empty.run(&["server"]);
        let begun = what != "not a backup" || stderr.contains("was begun");
        assert!(code == 2 && begun, "{stderr}");
    }
    // A key that opens nothing is told with what would.
    std::fs::write(empty.file("key"), "07".repeat(32)).unwrap();
    let (code, _, stderr) = empty.run(&["operator", "restore", text(&file)]);
    assert!(
        code == 1 && stderr.contains("'file' or the slot 'recovery'"),
        "{code} {stderr}"
    );
    std::fs::copy(first.file("key"), empty.file("key")).unwrap();
    restored(&empty, &file);
    let (code, _, stderr) = empty.run(&["operator", "restore", text(&file)]);
    assert!(code == 5 && stderr.contains("not empty"), "{code} {stderr}");
    let again = first.run(&["operator", "backup", text(&file)]);
    assert!(again.0 == 1 && again.2.contains("is there already"), "{again:?}");
    assert_eq!(std::fs::read(&file).unwrap(), good);
}

/// Rows and log, behind the program's back: the backup takes them as they are, and `verify` names each.
async fn verify_tells_what_was_altered(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    furnish(&installation.root(&server)).await;
    assert!(server.terminate().success());
    let secret = format!("kind = {} AND name = 'app/json'", Kind::Secret.number());
    let boot = "(SELECT max(boot) FROM boot)";
    let alterations = [
        (format!("UPDATE record SET due = 1 WHERE {secret}"), "fails its check"),
        (
            "DELETE FROM version WHERE number = 3".into(),
            "vouches for a version 3 that is not there",
        ),
        (
            "UPDATE entry_kept SET path = 'app/x' WHERE path = 'app/bytes'".into(),
            "are not as they were written",
        ),
        (
            "UPDATE audit_batch SET at = at + 1 WHERE id = (SELECT min(id) FROM audit_batch WHERE class = 1)".into(),
            "is altered, or the one before it is gone",
        ),
        (
            "UPDATE entry_kept SET batch = 7 WHERE batch = (SELECT min(batch) FROM entry_kept)".into(),
            "Audit batches have",
        ),
        (
            format!("UPDATE boot SET node = 'other' WHERE boot = {boot}"),
            "of a node fails its check",
        ),
    ];
    let sql = Sql::of(&installation.store, None);
    sql.run(
        &alterations
            .iter()
            .map(|(statement, _)| statement.clone())
            .collect::<Vec<_>>(),
    )
    .await;
    let file = backup(&installation, "altered.backup");
    let (code, said, stderr) = installation.run(&["operator", "backup", "verify", text(&file)]);
    assert_eq!(code, 6, "{said}{stderr}");
    for (statement, tells) in &alterations {
        assert!(said.contains(tells), "{statement}: {said}");
    }
}

/// Onto a machine that has neither the key nor the store.
async fn the_recovery_key_restores_onto_another_root_key(on: On) {
    let first = Installation::initialised(on);
    let server = first.serve();
    let login = furnish(&first.root(&server)).await;
    let file = backup(&first, "first.backup");
    assert!(server.terminate().success());
    let recovery = first.file("recovery");
    let found = first.done(&[
        "operator",
        "backup",
        "verify",
        text(&file),
        "--recovery-key-file",
        text(&recovery),
    ]);
    assert!(found.contains("It is whole"), "{found}");
    let new = Installation::new(on);
    let said = new.done(&[
        "operator",
        "restore",
        text(&file),
        "--recovery-key-file",
        text(&recovery),
    ]);
    assert!(said.contains("by nothing else"), "{said}");
    assert_ne!(new.text("key"), first.text("key"));
    let server = new.serve();
    let (status, token) = Api::new(&server, "x").post("auth/client/login", login).await;
    assert_eq!(status, 200, "{token}");
    assert!(server.terminate().success());
    let old = [("--recovery-key-file", recovery)];
    for (flag, file) in old {
        let (code, _, stderr) = new.run(&["operator", "slots", "list", flag, text(&file)]);
        assert!(
            code == 2 && stderr.contains("does not open this installation"),
            "{stderr}"
        );
    }
    std::fs::copy(first.file("key"), new.file("key")).unwrap();
    let (code, _, stderr) = new.run(&["server"]);
    assert!(
        code == 2 && stderr.contains("does not open this installation"),
        "{stderr}"
    );
}

/// A key that opens nothing lies nowhere: the store is looked at first.
async fn a_refused_restore_makes_no_root_key(on: On) {
    let first = Installation::initialised(on);
    let file = backup(&first, "first.backup");
    let recovery = first.file("recovery");
    let restore = [
        "operator",
        "restore",
        text(&file),
        "--recovery-key-file",
        text(&recovery),
    ];
    std::fs::remove_file(first.file("key")).unwrap();
    let (code, _, stderr) = first.run(&restore);
    assert!(code == 5 && stderr.contains("not empty"), "{code} {stderr}");
    assert!(!first.file("key").exists());

    let empty = Installation::new(on);
    let mut environment = empty.environment();
    environment.retain(|(name, _)| *name != "STRONGROOM_ROOT_KEY_FILE");
    environment.push(("STRONGROOM_RECOVERY_KEY_FILE", text(&recovery).to_owned()));
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let (code, _, stderr) = run(&restore, &environment, b"");
    assert!(
        code == 2 && stderr.contains("does not open a new installation"),
        "{code} {stderr}"
    );
}

/// A thousand secrets more, so that things take a while.
async fn fill_up(root: &Api) {
    for batch in 0..10 {
        let write = |at| json!({ "path": format!("many/{batch}/{at}"), "value": "v".repeat(1000) });
        let writes: Vec<Value> = (0..100).map(write).collect();
        assert_eq!(
            root.post("batch", json!({ "writes": writes, "atomic": true })).await.0,
            200
        );
    }
}

fn spawn(by: &Installation, args: &[&str]) -> std::process::Child {
    let environment = by.environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    command(args, &environment).spawn().unwrap()
}

/// Whoever is killed, the one that makes it or the one that keeps it: a file of its name is a whole backup.
async fn an_interrupted_backup_is_no_backup(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    fill_up(&installation.root(&server)).await;
    let began = Instant::now();
    backup(&installation, "whole.backup");
    let whole = began.elapsed();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let rounds = (6.0 * scale()) as u32;
    let (mut server, mut kept, mut broken_off) = (Some(server), 0, 0);
    for round in 0..rounds {
        let file = installation.file(&format!("{round}.backup"));
        let mut child = spawn(&installation, &["operator", "backup", text(&file)]);
        std::thread::sleep(whole * (round + 1) / (rounds + 2));
        // On PostgreSQL it is made by the same process.
        if on == On::Sqlite && round % 2 == 0 {
            server.take().unwrap().kill9();
        } else {
            let _ = child.kill();
        }
        let _ = child.wait().unwrap();
        if file.exists() {
            assert_eq!(verified(&installation, &file)["failed"], 0);
            kept += 1;
        } else {
            broken_off += 1;
        }
        server.get_or_insert_with(|| installation.serve());
    }
    println!("{on:?}: of {rounds} backups of {whole:?} killed, {broken_off} were not kept, {kept} are whole");
    assert!(broken_off > 0);
}

/// Killed anywhere, a restore leaves an installation, or none that serves; and the next one does not mind.
async fn an_interrupted_restore_never_serves(on: On) {
    let first = Installation::initialised(on);
    let server = first.serve();
    let root = first.root(&server);
    let login = furnish(&root).await;
    fill_up(&root).await;
    let file = backup(&first, "first.backup");
    assert!(server.terminate().success());
    let whole = {
        let target = empty_beside(on, &first);
        let began = Instant::now();
        restored(&target, &file);
        began.elapsed()
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let rounds = (8.0 * scale()) as u32;
    let (mut unfinished, mut untouched) = (0, 0);
    let target = empty_beside(on, &first);
    for round in 0..rounds {
        let mut child = spawn(&target, &["operator", "restore", text(&file)]);
        std::thread::sleep(whole * (round + 1) / (rounds + 2));
        let _ = child.kill();
        let _ = child.wait();
        let (code, _, stderr) = target.run(&["operator", "slots", "list"]);
        match (
            code,
            stderr.contains("was begun and not finished"),
            stderr.contains("not initialised"),
        ) {
            (2, true, false) => unfinished += 1,
            (2, false, true) => untouched += 1,
            // It was quicker than the kill.
            (0, ..) => break,
            _ => panic!("{code} {stderr}"),
        }
        let (code, _, stderr) = target.run(&["server"]);
        assert_eq!(code, 2, "{stderr}");
        if unfinished > 0 {
            let (code, _, stderr) = target.run(&["operator", "init", "--token-file", text(&target.file("stray"))]);
            assert!(code == 2 && stderr.contains("was begun and not finished"), "{stderr}");
        }
    }
    println!("{on:?}: of {rounds} restores of {whole:?} killed, {unfinished} were unfinished, {untouched} not begun");
    if target.run(&["operator", "slots", "list"]).0 != 0 {
        restored(&target, &file);
    }
    assert!(unfinished > 0);
    let server = target.serve();
    let (status, token) = Api::new(&server, "x").post("auth/client/login", login).await;
    assert_eq!(status, 200, "{token}");
    assert!(server.terminate().success());
    assert_eq!(verified(&target, &backup(&target, "again.backup"))["failed"], 0);
}

on_both_stores!(
    a_backup_goes_into_the_other_store_and_back,
    a_backup_under_writers_is_of_one_moment,
    a_damaged_backup_is_refused,
    verify_tells_what_was_altered,
    the_recovery_key_restores_onto_another_root_key,
    a_refused_restore_makes_no_root_key,
    an_interrupted_backup_is_no_backup,
    an_interrupted_restore_never_serves,
);

async fn last_backup(root: &Api, server: &crate::harness::Server) -> i64 {
    let text = root
        .http
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let name = "strongroom_backup_last_success_timestamp_seconds ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

/// Taken by another process beside them.
#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_of_the_last_backup() {
    let installation = Installation::initialised(On::Postgres);
    let nodes = [installation.serve(), installation.serve()];
    let root = installation.root(&nodes[0]);
    for node in &nodes {
        assert_eq!(last_backup(&root, node).await, 0);
    }
    backup(&installation, "one.backup");
    let (_, page) = root.get("audit?action=operator.backup").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    for node in &nodes {
        let deadline = Instant::now() + Duration::from_secs(10);
        while last_backup(&root, node).await == 0 {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let fresh = installation.serve();
    assert!(last_backup(&root, &fresh).await > 1_700_000_000, "known from the start");
}

/// PostgreSQL's own tools: what they bring back serves once `migrate up` has set the role.
#[tokio::test(flavor = "multi_thread")]
async fn a_pg_dump_goes_into_another_database() {
    let installation = Installation::initialised(On::Postgres);
    let server = installation.serve();
    let root = installation.root(&server);
    furnish(&root).await;
    let dumped = dump(installation.store.url.as_deref().unwrap());
    assert!(server.terminate().success());
    let [records, versions, uses, log] = contents(&installation).await;

    let database = Database::fresh();
    restore_dump(database.url(), &dumped);
    let copy = Installation::at(Store::at(database.url()));
    std::fs::copy(installation.file("key"), copy.file("key")).unwrap();
    let (code, _, stderr) = copy.run(&["server"]);
    assert!(code == 2 && stderr.contains("strongroom migrate up"), "{stderr}");
    copy.done(&["migrate", "up"]);
    let [found_records, found_versions, found_uses, found_log] = contents(&copy).await;
    assert_eq!((found_records, found_versions), (records, versions));
    assert!(found_uses.is_subset(&uses) && found_log.is_subset(&log));
    let server = copy.serve();
    let root = Api::new(&server, installation.text("token"));
    let (status, secret) = root.get("secrets/app/text").await;
    assert_eq!(
        (status, &secret["value"]),
        (200, &json!("round 4")),
        "tokens are as they were: {secret}"
    );
    assert_eq!(root.put("secrets/app/text", json!({ "value": "goes on" })).await.0, 201);
    assert!(server.terminate().success());
    assert_eq!(verified(&copy, &backup(&copy, "copy.backup"))["failed"], 0);
}
