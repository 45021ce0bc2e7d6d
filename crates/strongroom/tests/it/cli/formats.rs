//! `-o`: every verb that prints an answer prints all of it, as JSON and as YAML.

use serde_json::Value;

use super::Shell;
use crate::harness::On;

impl Shell {
    fn yaml(&self, args: &[&str]) -> Value {
        serde_saphyr::from_str(&self.text(&[args, &["-o", "yaml"]].concat())).unwrap()
    }
}

fn keys(answer: &Value) -> Vec<&String> {
    answer.as_object().unwrap().keys().collect()
}

#[test]
fn yaml_says_what_json_says() {
    let shell = Shell::on(On::Sqlite);
    let tricky = r#"{"no":"no","date":"2026-01-31","number":"1_000","real":1.50,"big":18446744073709551615,"list":[null,true,"x\n"]}"#;
    shell.ok(&["put", "f/object", "-", "--json"], tricky.as_bytes());
    shell.ok(&["put", "f/a", "-"], b"one");
    shell.ok(&["put", "f/a", "-"], b"one");
    let policy = shell.file(
        "policy.json",
        r#"{"rules":[{"path":"secret/f/*","capabilities":["read"]}]}"#,
    );
    let env = shell.file("f.env", "A=1\n");
    let import = ["import", &env, "--prefix", "imported"];
    let role = ["role", "put", "f", "--policy", "f"];
    shell.ok(&["policy", "put", "f", &policy], b"");
    shell.ok(&role, b"");
    shell.ok(&import, b"");
    for same in [
        &["get", "f/object"][..],
        &["get", "f/object#list"],
        &["list", "f"],
        &["search", "object"],
        &["history", "f/a"],
        &["diff", "f/a"],
        &["metadata", "f/a"],
        &["export", "--prefix", "f"],
        &["policy", "get", "f"],
        &["policy", "list"],
        &["role", "get", "f"],
        &["role", "list"],
        &["client", "list"],
        &["label", "f/a", "mine", "1"],
        &["undelete", "f/a", "1"],
        &import,
    ] {
        assert_eq!(shell.yaml(same), shell.json(same), "{same:?}");
    }
    assert_eq!(shell.text(&["get", "f/object#date", "-o", "yaml"]), "'2026-01-31'\n");
    for [one, other] in [
        [
            &["client", "create", "one", "--role", "f"][..],
            &["client", "create", "other", "--role", "f"],
        ],
        [&["delete", "f/a"], &["delete", "f/object"]],
    ] {
        assert_eq!(keys(&shell.yaml(one)), keys(&shell.json(other)), "{one:?}");
    }
    for again in [
        &["rollback", "f/a", "--to", "1"][..],
        &["metadata", "f/a", "--set", "owner=x"],
        &["policy", "put", "f", &policy],
        &role,
        &["audit", "--limit", "2"],
    ] {
        assert_eq!(keys(&shell.yaml(again)), keys(&shell.json(again)), "{again:?}");
    }
    // What has no answer prints nothing for a program.
    for silent in [
        &["label", "f/a", "mine", "--remove"][..],
        &["role", "delete", "f"],
        &["policy", "delete", "f"],
    ] {
        assert_eq!(shell.text(&[silent, &["-o", "yaml"]].concat()), "", "{silent:?}");
    }
}
