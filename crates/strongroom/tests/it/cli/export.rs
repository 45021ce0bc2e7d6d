//! `export`: the variables that `run` gives, in a file.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::Shell;
use crate::harness::On;

fn with_secrets() -> Shell {
    let shell = Shell::on(On::Sqlite);
    for (path, value) in [
        ("e/api-key", "it's $HOME \"x\" \\ `y`"),
        ("e/PEM", "-----BEGIN\nabc\n-----END\n"),
        ("e/empty", ""),
        ("over/api-key", "other"),
    ] {
        shell.ok(&["put", path, "-"], value.as_bytes());
    }
    let object = br#"{"user":"app","pass-word":"p","port":5432}"#;
    shell.ok(&["put", "e/database", "-", "--json"], object);
    shell.ok(&["put", "e/binary", "-"], b"\xff");
    shell
}

fn wanted() -> Value {
    json!({
        "API_KEY": "it's $HOME \"x\" \\ `y`",
        "PEM": "-----BEGIN\nabc\n-----END\n",
        "empty": "",
        "database_user": "app",
        "DATABASE_PASS_WORD": "p",
        "database_port": "5432",
    })
}

#[test]
fn every_form_holds_the_same_variables() {
    let shell = with_secrets();
    assert_eq!(shell.json(&["export", "--prefix", "e"]), wanted());
    let as_json = shell.ok(&["export", "--prefix", "e", "--format", "json"], b"");
    assert_eq!(serde_json::from_slice::<Value>(&as_json).unwrap(), wanted());
    let yaml = shell.text(&["export", "--prefix", "e", "-o", "yaml"]);
    assert!(
        yaml.contains("database_port: '5432'\n") && yaml.contains("empty: ''\n"),
        "{yaml}"
    );
    assert!(yaml.contains("PEM: \"-----BEGIN\\nabc\\n-----END\\n\"\n"), "{yaml}");

    // What is written comes back, by our own reader and by a shell.
    let file = shell.store.dir.path().join("out.env");
    let said = shell.text(&["export", "--prefix", "e", "--file", file.to_str().unwrap()]);
    assert!(said.contains("out.env: 6"), "{said}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    shell.ok(&["import", file.to_str().unwrap(), "--prefix", "back"], b"");
    assert_eq!(shell.json(&["export", "--prefix", "back"]), wanted());
    let (code, _, stderr) = shell.run(&["export", "--prefix", "e", "--file", file.to_str().unwrap()], b"");
    assert!(
        code == 1 && stderr.contains("exists"),
        "a file that is there stays: {stderr}"
    );
}

#[test]
fn single_secrets_and_fields_are_named() {
    let shell = with_secrets();
    let singles = [
        "--prefix",
        "over",
        "--secret",
        "e/api-key",
        "--secret",
        "e/database#pass-word",
        "--secret",
        "PORT=e/database#port",
        "--secret",
        "ALL=e/database",
    ];
    let found = shell.json(&[&["export"][..], &singles].concat());
    let object = r#"{"user":"app","pass-word":"p","port":5432}"#;
    let wanted = json!({"API_KEY": wanted()["API_KEY"], "DATABASE_PASS_WORD": "p", "PORT": "5432", "ALL": object});
    assert_eq!(found, wanted);
    let run = [&["run"][..], &singles, &["--", "sh", "-c", "printf %s \"$PORT$ALL\""]].concat();
    assert_eq!(shell.ok(&run, b""), format!("5432{object}").as_bytes());

    for (secret, code, says) in [
        ("e/none", 3, "no such secret"),
        ("e/database#none", 3, "no field 'none'"),
        ("e/api-key#x", 1, "no JSON object"),
        ("e/binary", 1, "binary"),
        ("../x", 1, "path"),
    ] {
        shell.fails(&["export", "--secret", secret], code, says);
        shell.fails(&["run", "--secret", secret, "--", "true"], 125, says);
    }
    shell.fails(
        &["export", "--secret", "X=e/PEM", "--secret", "X=e/empty"],
        1,
        "both be the variable X",
    );
    shell.fails(&["export"], 1, "--prefix");
    shell.fails(&["export", "--prefix", "none"], 1, "none");
}
