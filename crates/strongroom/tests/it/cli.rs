//! The verbs as people and scripts use them: exact bytes, exact exit codes, nothing in the wrong place.

mod child;
mod curl;
mod diff;
mod edit;
mod export;
mod flags;
mod formats;
mod health;
mod install;
mod label;
mod lifecycle;
mod login;
mod metadata;
mod policy;
mod preview;
mod rollback;
mod search;
mod shells;
mod silence;
mod terminal;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::{Api, On, Server, Store, run};

/// A shell with the address of a server and a token.
struct Shell {
    address: String,
    token: String,
    store: Store,
    server: Server,
}

impl Shell {
    fn on(on: On) -> Self {
        let store = Store::fresh(on);
        let server = store.dev(&[]);
        Self {
            address: server.address(),
            token: store.root_token(),
            store,
            server,
        }
    }

    fn api(&self) -> Api {
        Api::new(&self.server, &*self.token)
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("STRONGROOM_ADDR", &self.address), ("STRONGROOM_TOKEN", &self.token)]
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> (i32, Vec<u8>, String) {
        run(args, &self.environment(), stdin)
    }

    /// What a command that succeeds prints.
    fn ok(&self, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let (code, stdout, stderr) = self.run(args, stdin);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        stdout
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.ok(&[args, &["-o", "json"]].concat(), b"")).unwrap()
    }

    fn fails(&self, args: &[&str], code: i32, says: &str) {
        let (found, stdout, stderr) = self.run(args, b"");
        assert_eq!(found, code, "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: '{says}' is not in {stderr}");
        assert!(stdout.is_empty(), "{args:?}: {}", stdout.escape_ascii());
    }

    /// What it prints for people, without an error.
    fn text(&self, args: &[&str]) -> String {
        String::from_utf8(self.ok(args, b"")).unwrap()
    }

    /// A script that only its owner can run.
    fn script(&self, name: &str, lines: &str) -> String {
        let path = self.file(name, &format!("#!/bin/sh\n{lines}\n"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.store.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

async fn bytes_are_exact(on: On) {
    let shell = Shell::on(on);
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 6] = [
        b"plain",
        b"with a newline\n",
        b" spaces \n\n",
        "ünïcode 🔑".as_bytes(),
        &every_byte,
        b"\0",
    ];
    for (number, value) in values.into_iter().enumerate() {
        let path = format!("bytes/{number}");
        shell.ok(&["put", &path, "-"], value);
        assert_eq!(shell.ok(&["get", &path], b""), value, "{}", value.escape_ascii());
    }
    let object = "{ \"b\": 1.50,\"a\":\"\\u00e9\" }";
    shell.ok(&["put", "bytes/object", "-", "--json"], object.as_bytes());
    assert_eq!(shell.ok(&["get", "bytes/object"], b""), object.as_bytes());
    assert_eq!(shell.ok(&["get", "bytes/object#a"], b""), "é".as_bytes());
    assert_eq!(shell.ok(&["get", "bytes/object#b"], b""), b"1.50");
    let file = shell.file("field", "from a file\n");
    shell.ok(&["put", "bytes/fields", &format!("x=@{file}"), "y=-"], b"typed");
    assert_eq!(
        shell.json(&["get", "bytes/fields"])["data"],
        json!({"x": "from a file\n", "y": "typed"})
    );
    shell.fails(&["put", "bytes/argv", "hunter2"], 1, "command line");
    shell.fails(&["get", "bytes/argv"], 3, "There is no such");
}

async fn versions_and_exit_codes(on: On) {
    let shell = Shell::on(on);
    shell.ok(&["put", "v/a", "-", "--cas", "0"], b"one");
    let id = "0123456789abcdef0123456789abcdef";
    for _ in 0..2 {
        shell.ok(&["put", "v/a", "-", "--id", id], b"two");
    }
    assert_eq!(shell.run(&["put", "v/a", "-", "--cas", "0"], b"x").0, 5);
    shell.ok(&["put", "aside/a", "-"], b"one");
    shell.ok(
        &["put", "aside/a", "-", "--label", "pending", "--label", "mine"],
        b"two",
    );
    assert_eq!(shell.ok(&["get", "aside/a"], b""), b"one");
    assert_eq!(shell.ok(&["get", "aside/a", "--label", "mine"], b""), b"two");
    let history = shell.json(&["history", "v/a"]);
    assert_eq!(
        (&history["current"], &history["versions"][1]["id"]),
        (&json!(2), &json!(id))
    );
    assert_eq!(history["versions"].as_array().unwrap().len(), 2);
    assert_eq!(shell.ok(&["get", "v/a", "--version", "1"], b""), b"one");
    assert_eq!(shell.ok(&["get", "v/a", "--label", "previous"], b""), b"one");
    shell.ok(&["delete", "v/a"], b"");
    shell.fails(&["get", "v/a"], 3, "deleted");
    shell.ok(&["undelete", "v/a"], b"");
    assert_eq!(shell.ok(&["get", "v/a"], b""), b"two");
    shell.ok(&["put", "v/deeper/b", "-"], b"x");
    assert_eq!(shell.json(&["list", "v"])["items"].as_array().unwrap().len(), 2);
    let all = shell.json(&["list", "v", "--recursive"]);
    assert_eq!(all["items"][1]["path"], "v/deeper/b");
    assert!(
        String::from_utf8(shell.ok(&["list", "v"], b""))
            .unwrap()
            .contains("deeper/")
    );

    shell.fails(&["get", "v/none"], 3, "There is no such");
    shell.fails(&["get", "../x"], 1, "path");
    shell.fails(&["get"], 1, "PATH");
    let environment = [
        ("STRONGROOM_ADDR", shell.address.as_str()),
        ("STRONGROOM_TOKEN", "srs_wrong"),
    ];
    assert_eq!(run(&["get", "v/a"], &environment, b"").0, 4);
    assert_eq!(run(&["get", "v/a"], &environment[..1], b"").0, 1, "no token at all");
    let nobody = [("STRONGROOM_ADDR", "http://127.0.0.1:1"), ("STRONGROOM_TOKEN", "x")];
    assert_eq!(run(&["get", "v/a"], &nobody, b"").0, 2);
    assert_eq!(run(&["--help"], &[], b"").0, 0);
}

async fn administration(on: On) {
    let shell = Shell::on(on);
    shell.ok(&["put", "team/a", "-"], b"x");
    let policy = r#"{"rules":[{"path":"secret/team/*","capabilities":["read","list"]}]}"#;
    shell.ok(&["policy", "put", "team", &shell.file("policy.json", policy)], b"");
    shell.ok(
        &["role", "put", "team", "--policy", "team", "--access-token-ttl", "300"],
        b"",
    );
    let secret_file = shell.store.dir.path().join("client-secret");
    let created = shell.json(&[
        "client",
        "create",
        "team",
        "--role",
        "team",
        "--secret-file",
        secret_file.to_str().unwrap(),
    ]);
    assert!(created["client_secret"].is_null(), "it goes to its file alone");
    let id = created["client_id"].as_str().unwrap();
    assert_eq!(
        shell.json(&["policy", "get", "team"])["rules"][0]["path"],
        "secret/team/*"
    );
    assert_eq!(shell.json(&["role", "get", "team"])["access_token_ttl"], 300);
    assert_eq!(shell.json(&["client", "get", id])["role"], "team");
    for noun in ["policy", "role", "client"] {
        assert!(
            shell.json(&[noun, "list"])["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|item| item["name"] == "team"),
            "{noun}"
        );
    }
    let workload = [
        ("STRONGROOM_ADDR", shell.address.as_str()),
        ("STRONGROOM_CLIENT_ID", id),
        ("STRONGROOM_CLIENT_SECRET_FILE", secret_file.to_str().unwrap()),
    ];
    assert_eq!(run(&["get", "team/a"], &workload, b"").1, b"x");
    assert_eq!(run(&["get", "other/a"], &workload, b"").0, 4);
    assert_eq!(run(&["put", "team/a", "-"], &workload, b"y").0, 4);
    let added = shell.json(&["client", "add-secret", id]);
    assert!(added["client_secret"].is_string());
    shell.ok(
        &["client", "remove-secret", id, added["secret_id"].as_str().unwrap()],
        b"",
    );

    let entries = shell.json(&[
        "audit",
        "--path",
        "team/a",
        "--action",
        "secret.read",
        "--outcome",
        "granted",
        "--since",
        "1h",
    ]);
    assert_eq!(entries["items"][0]["principal_name"], "team");
    let denied = shell.json(&["audit", "--outcome", "denied", "--limit", "2"]);
    assert_eq!(denied["items"].as_array().unwrap().len(), 2);
    shell.fails(&["audit", "--since", "yesterday"], 1, "time");

    shell.ok(&["client", "delete", id], b"");
    shell.ok(&["role", "delete", "team"], b"");
    shell.ok(&["policy", "delete", "team"], b"");
    shell.fails(&["policy", "get", "team"], 3, "There is no such");
    assert_eq!(run(&["get", "team/a"], &workload, b"").0, 4, "a deleted client");
}

const SERVICE_ENV: &str = r#"# the service
PLAIN=value
export EXPORTED=yes
SPACED = around   # a comment
HASH=a#b
SINGLE='a "b" $C \n'
DOUBLE="a\n\"b\" \$C"
DOLLAR=$HOME/x
EMPTY=
PEM="-----BEGIN
abc
-----END"
lower-case.x=1
"#;

async fn imports_write_once(on: On) {
    let shell = Shell::on(on);
    let file = shell.file("service.env", SERVICE_ENV);
    let wanted = [
        ("PLAIN", "value"),
        ("EXPORTED", "yes"),
        ("SPACED", "around"),
        ("HASH", "a#b"),
        ("SINGLE", "a \"b\" $C \\n"),
        ("DOUBLE", "a\n\"b\" $C"),
        ("DOLLAR", "$HOME/x"),
        ("EMPTY", ""),
        ("PEM", "-----BEGIN\nabc\n-----END"),
        ("lower-case.x", "1"),
    ];
    let import = ["import", &file, "--prefix", "imported/prod"];
    let first = shell.json(&import);
    assert_eq!(
        (&first["written"], &first["unchanged"]),
        (&json!(wanted.len()), &json!(0))
    );
    for (name, value) in wanted {
        assert_eq!(
            shell.ok(&["get", &format!("imported/prod/{name}")], b""),
            value.as_bytes(),
            "{name}"
        );
    }
    let second = String::from_utf8(shell.ok(&import, b"")).unwrap();
    assert!(
        second.contains(&format!("0 written, {} unchanged", wanted.len())),
        "{second}"
    );
    std::fs::write(&file, SERVICE_ENV.replace("PLAIN=value", "PLAIN=other")).unwrap();
    assert_eq!(shell.json(&import)["written"], 1);
    for (name, versions) in [("PLAIN", 2), ("HASH", 1), ("PEM", 1)] {
        let history = shell.json(&["history", &format!("imported/prod/{name}")]);
        assert_eq!(history["versions"].as_array().unwrap().len(), versions, "{name}");
    }
    // All or none: a variable whose path is no path, a name twice, a quote that is never closed.
    for broken in ["A=1\nA=2\n", "A=1\nB='x\n", "A=1\nnot a line\n"] {
        let file = shell.file("broken.env", broken);
        shell.fails(&["import", &file, "--prefix", "imported/broken"], 1, "line");
    }
    assert_eq!(shell.api().get("list/imported/broken").await.1["items"], json!([]));
}

on_both_stores!(
    bytes_are_exact,
    versions_and_exit_codes,
    administration,
    imports_write_once
);
