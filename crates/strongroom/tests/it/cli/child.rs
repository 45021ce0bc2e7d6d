//! `run`: a command with its secrets as variables, and nothing between it and who started it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::Shell;
use crate::harness::{On, command};

fn variables(env: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(env.to_vec()).unwrap();
    text.split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

async fn secrets_become_variables(on: On) {
    let shell = Shell::on(on);
    let api = shell.api();
    for (path, body) in [
        ("base/api-key", json!({"value": "base key"})),
        ("base/DB_URL", json!({"value": "postgres://x y$z\n"})),
        ("base/2fa", json!({"value": "2"})),
        ("base/keep", json!({"value": "kept"})),
        (
            "base/database",
            json!({"data": {"user": "app", "pass-word": "p", "port": 5432, "nested": {"a": [1]}}}),
        ),
        ("base/binary", json!({"bytes": "/wA="})),
        ("base/sub/folder", json!({"value": "not taken"})),
        ("over/api-key", json!({"value": "over key"})),
        ("clash/api-key", json!({"value": "1"})),
        ("clash/API_KEY", json!({"value": "2"})),
    ] {
        assert_eq!(api.put(&format!("secrets/{path}"), body).await.0, 201, "{path}");
    }
    let env = ["--", "env", "-0"];
    let found = variables(&shell.ok(
        &[&["run", "--prefix", "base", "--prefix", "over"][..], &env].concat(),
        b"",
    ));
    for (name, value) in [
        ("API_KEY", "over key"),
        ("DB_URL", "postgres://x y$z\n"),
        ("_2FA", "2"),
        ("keep", "kept"),
        ("database_user", "app"),
        ("DATABASE_PASS_WORD", "p"),
        ("database_port", "5432"),
        ("database_nested", "{\"a\":[1]}"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(
        !found.contains_key("folder") && !found.contains_key("binary") && !found.contains_key("BINARY"),
        "{found:?}"
    );
    assert!(!found.contains_key("STRONGROOM_TOKEN"), "the child has our token");
    assert!(
        !found.values().any(|value| value.contains(&shell.token)),
        "the child has our token"
    );
    assert!(found.contains_key("PATH"), "the rest is inherited");
    let found = variables(&shell.ok(
        &[&["run", "--prefix", "over", "--prefix", "base"][..], &env].concat(),
        b"",
    ));
    assert_eq!(found["API_KEY"], "base key");

    let (code, stdout, stderr) = shell.run(&[&["run", "--prefix", "clash"][..], &env].concat(), b"");
    assert_eq!((code, stdout), (125, Vec::new()), "{stderr}");
    for part in ["clash/api-key", "clash/API_KEY", "API_KEY"] {
        assert!(stderr.contains(part), "{stderr}");
    }
    shell.fails(&[&["run", "--prefix", "none"][..], &env].concat(), 125, "none");
    shell.fails(&[&["run", "--prefix", "../x"][..], &env].concat(), 125, "");
}

async fn it_ends_as_the_command_ends(on: On) {
    let shell = Shell::on(on);
    shell.ok(&["put", "app/key", "-"], b"x");
    let code = |command: &[&str]| shell.run(&[&["run", "--prefix", "app", "--"], command].concat(), b"").0;
    for wanted in [0, 1, 3, 42, 125, 255] {
        assert_eq!(code(&["sh", "-c", &format!("exit {wanted}")]), wanted);
    }
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), 128 + 15);
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), 128 + 9);
    assert_eq!(code(&["/nonexistent/program"]), 127);
    assert_eq!(code(&["no-such-program-anywhere"]), 127);
    assert_eq!(code(&["/etc/passwd"]), 126);
    let unreachable = [("STRONGROOM_ADDR", "http://127.0.0.1:1"), ("STRONGROOM_TOKEN", "x")];
    let args = ["run", "--wait", "0", "--prefix", "app", "--", "true"];
    assert_eq!(crate::harness::run(&args, &unreachable, b"").0, 125);
    assert_eq!(
        shell.ok(&["run", "--prefix", "app", "--", "cat"], b"through \xff"),
        b"through \xff"
    );
}

async fn signals_reach_the_command(on: On) {
    let shell = Shell::on(on);
    shell.ok(&["put", "app/key", "-"], b"x");
    let script = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    for (signal, code, said) in [("-TERM", Some(9), "told\n"), ("-HUP", Some(128 + 1), "")] {
        let mut child = command(
            &["run", "--prefix", "app", "--", "sh", "-c", script],
            &shell.environment(),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut ready = [0; 6];
        stdout.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        assert!(
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!((child.wait().unwrap().code(), rest.as_str()), (code, said), "{signal}");
    }
}

on_both_stores!(
    secrets_become_variables,
    it_ends_as_the_command_ends,
    signals_reach_the_command
);
