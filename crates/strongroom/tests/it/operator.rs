//! The installation itself: what opens it, what is wrong with it, and the way back in.

pub(crate) mod doctor;

use std::cell::Cell;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Api, On, Server, Store, own_port, run};
use crate::sql::Sql;

/// A `server` installation, as an operator makes one: its key and its files lie outside of the data directory.
pub(crate) struct Installation {
    pub(crate) store: Store,
    /// Of the server that started last: each has a port, and so a log, of its own.
    port: Cell<u16>,
    metrics: Option<String>,
}

impl Installation {
    pub(crate) fn unmigrated(on: On) -> Self {
        let installation = Self::at(Store::fresh(on));
        std::fs::create_dir(installation.store.data_dir()).unwrap();
        installation
    }

    pub(crate) fn at(store: Store) -> Self {
        Self {
            store,
            port: Cell::new(own_port()),
            metrics: None,
        }
    }

    /// Migrated, not initialised.
    pub(crate) fn new(on: On) -> Self {
        let installation = Self::unmigrated(on);
        installation.done(&["migrate", "up"]);
        installation
    }

    pub(crate) fn initialised(on: On) -> Self {
        let installation = Self::new(on);
        installation.done(&[
            "operator",
            "init",
            "--token-file",
            installation.file("token").to_str().unwrap(),
            "--recovery-key-file",
            installation.file("recovery").to_str().unwrap(),
        ]);
        installation
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.store.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap().trim().to_owned()
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let data = self.store.data_dir().to_str().unwrap().to_owned();
        let store = match &self.store.url {
            Some(url) => ("STRONGROOM_DATABASE_URL", url.clone()),
            None => ("STRONGROOM_DATA_DIR", data),
        };
        let key = self.file("key").to_str().unwrap().to_owned();
        let mut all = vec![
            store,
            ("STRONGROOM_ROOT_KEY_FILE", key),
            ("STRONGROOM_LISTEN", format!("127.0.0.1:{}", self.port.get())),
        ];
        all.extend(self.metrics.clone().map(|listen| ("STRONGROOM_METRICS_LISTEN", listen)));
        all
    }

    /// Exit code, standard output, standard error.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        let environment = self.environment();
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let (code, stdout, stderr) = run(args, &environment, b"");
        (code, String::from_utf8(stdout).unwrap(), stderr)
    }

    pub(crate) fn done(&self, args: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {stdout}{stderr}");
        stdout
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, settings: &[(&str, &str)]) -> Server {
        self.port.set(own_port());
        let environment = self.environment();
        let own = environment.iter().map(|(name, value)| (*name, value.as_str()));
        let environment: Vec<_> = own.chain(settings.iter().copied()).collect();
        Server::start(&["server"], &environment, self.port.get(), self.store.dir.path())
    }

    pub(crate) fn root(&self, server: &Server) -> Api {
        Api::new(server, self.text("token"))
    }

    fn slots(&self) -> Vec<String> {
        let slots: Value = serde_json::from_str(&self.done(&["operator", "slots", "list", "-o", "json"])).unwrap();
        let items = slots["items"].as_array().unwrap().iter();
        items.map(|slot| slot["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Adds a slot whose key goes into a file of the slot's name.
    fn add(&self, name: &str, method: &str, more: &[&str]) {
        let file = self.file(name);
        let mut args = vec!["operator", "slots", "add", name, "--method", method];
        if method == "passphrase" {
            args.extend(["--new-passphrase-file", file.to_str().unwrap()]);
        } else {
            args.extend(["--key-file", file.to_str().unwrap()]);
        }
        args.extend(more);
        self.done(&args);
    }
}

async fn write(api: &Api, path: &str, value: &str) {
    let (status, answer) = api.put(&format!("secrets/{path}"), json!({ "value": value })).await;
    assert_eq!(status, 201, "{answer}");
}

async fn read(api: &Api, path: &str) -> Value {
    let (status, answer) = api.get(&format!("secrets/{path}")).await;
    assert_eq!(status, 200, "{answer}");
    answer["value"].clone()
}

async fn a_lost_root_key_is_replaced_with_the_recovery_key(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    write(&installation.root(&server), "a/b", "kept").await;
    assert!(server.terminate().success());
    std::fs::remove_file(installation.file("key")).unwrap();
    let (code, _, stderr) = installation.run(&["server"]);
    assert_eq!(code, 2, "{stderr}");
    let recovery = installation.file("recovery");
    let with_recovery = ["--recovery-key-file", recovery.to_str().unwrap()];
    installation.add("new", "file", &with_recovery);
    std::fs::rename(installation.file("new"), installation.file("key")).unwrap();
    let server = installation.serve();
    assert_eq!(read(&installation.root(&server), "a/b").await, "kept");
    assert_eq!(installation.slots(), ["file", "new", "recovery"]);
    let (_, page) = installation
        .root(&server)
        .get("audit?principal=system:operator&limit=1")
        .await;
    assert_eq!(page["items"][0]["principal_name"], "system:operator", "{page}");
    installation.done(&["operator", "slots", "remove", "file"]);
    assert!(server.terminate().success());
    // Miswritten, it is told from a key of something else.
    let mut digits: Vec<char> = installation.text("recovery").chars().collect();
    digits[4] = if digits[4] == 'A' { 'B' } else { 'A' };
    std::fs::write(&recovery, digits.into_iter().collect::<String>()).unwrap();
    let (code, _, stderr) = installation.run(&[&["operator", "slots", "list"][..], &with_recovery].concat());
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("miswritten"), "{stderr}");
}

/// On the embedded store by its control socket, on PostgreSQL beside the node.
async fn slots_come_and_go_while_a_node_serves(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    let root = installation.root(&server);
    write(&root, "a/b", "kept").await;
    std::fs::write(installation.file("words"), "correct horse battery staple\n").unwrap();
    installation.add("words", "passphrase", &[]);
    installation.add("safe", "recovery", &[]);
    assert_eq!(installation.slots(), ["file", "recovery", "safe", "words"]);
    let (code, _, stderr) = installation.run(&[
        "operator",
        "slots",
        "add",
        "safe",
        "--method",
        "recovery",
        "--key-file",
        "/x/y",
    ]);
    assert_eq!(code, 1, "a key that could not be written is not made: {stderr}");
    let again = installation.file("again");
    let again = [
        "operator",
        "slots",
        "add",
        "safe",
        "--method",
        "recovery",
        "--key-file",
        again.to_str().unwrap(),
    ];
    assert_eq!(installation.run(&again).0, 5);
    assert!(!installation.file("again").exists());
    for name in ["recovery", "safe"] {
        installation.done(&["operator", "slots", "remove", name]);
    }
    // By which it was opened: it could not start again.
    let (code, _, stderr) = installation.run(&["operator", "slots", "remove", "file"]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("opened by the slot 'file'"), "{stderr}");
    assert_eq!(read(&root, "a/b").await, "kept");
    assert!(server.terminate().success());
    let words = installation.file("words");
    let with_words = ["--passphrase-file", words.to_str().unwrap()];
    installation.done(&[&["operator", "slots", "remove", "file"][..], &with_words].concat());
    let (code, _, stderr) = installation.run(&["server"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("root key does not open"), "{stderr}");
    let (code, _, stderr) = installation.run(&[&["operator", "slots", "remove", "words"][..], &with_words].concat());
    assert_eq!(code, 5, "{stderr}");
    installation.add("file-3", "file", &with_words);
    std::fs::rename(installation.file("file-3"), installation.file("key")).unwrap();
    let server = installation.serve();
    assert_eq!(read(&installation.root(&server), "a/b").await, "kept");
    server.terminate();
}

async fn a_root_key_is_rotated_without_a_stop(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    let root = installation.root(&server);
    write(&root, "a/b", "kept").await;
    let new = installation.file("key-2");
    installation.done(&[
        "operator",
        "rotate-key",
        "root",
        "--new-key-file",
        new.to_str().unwrap(),
    ]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&new.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(server.terminate().success());
    // Both open until the old one's slot is gone.
    let old = installation.text("key");
    for key in [old.clone(), installation.text("key-2")] {
        std::fs::write(installation.file("key"), key).unwrap();
        let server = installation.serve();
        assert_eq!(read(&installation.root(&server), "a/b").await, "kept");
        server.terminate();
    }
    installation.done(&["operator", "slots", "remove", "file"]);
    let epoch: Value =
        serde_json::from_str(&installation.done(&["operator", "rotate-key", "data", "-o", "json"])).unwrap();
    assert!(epoch["epoch"].as_i64().unwrap() > 1);
    std::fs::write(installation.file("key"), old).unwrap();
    assert_eq!(installation.run(&["server"]).0, 2);
}

async fn a_lost_root_token_is_replaced_and_that_is_on_record(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    let lost = installation.root(&server);
    write(&lost, "a/b", "kept").await;
    let (code, _, stderr) = installation.run(&["operator", "recover-admin"]);
    assert_eq!(code, 1, "neither a terminal nor a file: {stderr}");
    let file = installation.file("recovered");
    installation.done(&["operator", "recover-admin", "--token-file", file.to_str().unwrap()]);
    let recovered = lost.with_token(installation.text("recovered"));
    assert_eq!(read(&recovered, "a/b").await, "kept");
    let rules = json!([{ "path": "secret/*", "capabilities": ["read"] }]);
    recovered.workload("next", rules).await;
    let (_, page) = recovered.get("audit?action=operator.recover_admin").await;
    let entries = page["items"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{page}");
    assert_eq!(entries[0]["source"], "control socket");
    assert!(!page.to_string().contains(&installation.text("recovered")));
    server.terminate();
}

on_both_stores!(
    a_lost_root_key_is_replaced_with_the_recovery_key,
    slots_come_and_go_while_a_node_serves,
    a_root_key_is_rotated_without_a_stop,
    a_lost_root_token_is_replaced_and_that_is_on_record,
    control_routes_leave_entries,
    a_forged_start_is_told,
);

/// The file says who may, and beside it the kernel says who asks.
#[test]
fn the_control_socket_is_for_our_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let installation = Installation::initialised(On::Sqlite);
    let server = installation.serve();
    let socket = installation.store.data_dir().join("control.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    if rustix::process::geteuid().is_root() {
        for folder in [installation.store.dir.path(), &installation.store.data_dir()] {
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
        let output = crate::harness::other_user(&["operator", "slots", "list"])
            .env("STRONGROOM_DATA_DIR", installation.store.data_dir())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(output.stdout.is_empty());
        assert!(
            server.log_text().contains("another user tried the control socket"),
            "{stderr}"
        );
    }
    assert!(server.terminate().success());
    assert!(!socket.exists());
    // What a killed server leaves is in nobody's way.
    let server = installation.serve();
    server.kill9();
    assert!(socket.exists());
    installation.done(&["operator", "slots", "list"]);
    assert!(installation.serve().terminate().success());
}

/// A server in a directory of too long a name for a socket serves, and says what it lacks.
#[test]
fn a_long_directory_keeps_no_server_from_its_work() {
    let store = Store::fresh(On::Sqlite);
    let folder = store.dir.path().join("long".repeat(30));
    std::fs::create_dir(&folder).unwrap();
    let data = folder.join("data");
    let (port, data) = (own_port(), data.to_str().unwrap());
    let listen = format!("127.0.0.1:{port}");
    let server = Server::start(
        &["dev", "--data-dir", data, "--listen", &listen],
        &[],
        port,
        store.dir.path(),
    );
    assert!(server.log_text().contains("will not reach this server"));
    let set = format!("data_dir={data}");
    let (code, _, stderr) = run(&["operator", "slots", "list", "--set", &set], &[], b"");
    assert_eq!(code, 2);
    assert!(stderr.contains("Another Strongroom process uses"), "{stderr}");
    assert!(server.terminate().success());
    let (code, _, stderr) = run(&["operator", "slots", "list", "--set", &set], &[], b"");
    assert_eq!(code, 0, "{stderr}");
}

/// What only the control socket serves leaves entries as every other route does, and nobody else is served it.
async fn control_routes_leave_entries(on: On) {
    let installation = Installation::initialised(on);
    let server = installation.serve();
    let root = installation.root(&server);
    for path in [
        "check-key",
        "recover-admin",
        "accept-restore",
        "lift-hold",
        "backup",
        "backup/kept",
    ] {
        let (status, answer) = root.post(&format!("control/{path}"), json!({})).await;
        assert_eq!(status, 404, "{path}: {answer}");
    }
    installation.done(&["operator", "doctor"]);
    installation.done(&["operator", "backup", installation.file("backup").to_str().unwrap()]);
    installation.done(&[
        "operator",
        "recover-admin",
        "--token-file",
        installation.file("t").to_str().unwrap(),
    ]);
    let (_, page) = root.get("audit?principal=system:operator").await;
    let actions: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let checks = if on == On::Sqlite { 2 } else { 0 };
    assert_eq!(
        actions.iter().filter(|action| **action == "key.slot_read").count(),
        checks,
        "{actions:?}"
    );
    for wanted in ["operator.backup", "operator.backup_kept", "operator.recover_admin"] {
        assert_eq!(
            actions.iter().filter(|action| **action == wanted).count(),
            1,
            "{actions:?}"
        );
    }
    server.terminate();
}

/// A file that somebody put where the token is to be is not taken for ours: who put it there would know the token.
#[test]
fn a_planted_token_is_not_taken() {
    use std::os::unix::fs::PermissionsExt;
    let installation = Installation::new(On::Sqlite);
    let planted = installation.file("planted");
    std::fs::write(&planted, format!("srs_{}", "A".repeat(43))).unwrap();
    let link = installation.file("link");
    std::os::unix::fs::symlink(&planted, &link).unwrap();
    for (path, mode) in [(&planted, 0o644), (&link, 0o600)] {
        std::fs::set_permissions(&planted, PermissionsExt::from_mode(mode)).unwrap();
        let (code, _, stderr) = installation.run(&["operator", "init", "--token-file", path.to_str().unwrap()]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("cannot be taken"), "{stderr}");
    }
    // Whoever says that it was given takes it at their word.
    let given = Installation::new(On::Sqlite);
    std::fs::set_permissions(&planted, PermissionsExt::from_mode(0o644)).unwrap();
    given.done(&["operator", "init", "--given-token-file", planted.to_str().unwrap()]);
    std::fs::set_permissions(&planted, PermissionsExt::from_mode(0o600)).unwrap();
    // Ours, as a crash before the first commit leaves it.
    installation.done(&["operator", "init", "--token-file", planted.to_str().unwrap()]);
}

/// A forged start of a node stops the next one with a reason, and not by arithmetic.
async fn a_forged_start_is_told(on: On) {
    let installation = Installation::initialised(on);
    let table = if on == On::Postgres { "strongroom.boot" } else { "boot" };
    let mac = if on == On::Postgres {
        "decode(repeat('00', 32), 'hex')"
    } else {
        "zeroblob(32)"
    };
    let forged = format!(
        "INSERT INTO {table} (boot, node, started_at, mac) VALUES ({}, 'x', 0, {mac})",
        i64::MAX - 5
    );
    Sql::of(&installation.store, None).run(&[forged]).await;
    let (code, _, stderr) = installation.run(&["server"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("the number of a start"), "{stderr}");
}
