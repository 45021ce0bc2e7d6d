//! `label`: a name on a version, moved and taken away.

use serde_json::json;

use super::Shell;
use crate::harness::On;

#[test]
fn labels_move_and_go() {
    let shell = Shell::on(On::Sqlite);
    for value in ["one", "two"] {
        shell.ok(&["put", "l/a", "-"], value.as_bytes());
    }
    assert_eq!(
        shell.json(&["label", "l/a", "stable", "1"]),
        json!({"path": "l/a", "label": "stable", "version": 1})
    );
    assert_eq!(shell.ok(&["get", "l/a", "--label", "stable"], b""), b"one");
    assert!(
        shell
            .text(&["label", "l/a", "current", "1"])
            .contains("current of l/a is version 1")
    );
    assert_eq!(shell.ok(&["get", "l/a"], b""), b"one");
    assert_eq!(shell.ok(&["get", "l/a", "--label", "previous"], b""), b"two");

    assert!(shell.text(&["label", "l/a", "stable", "--remove"]).contains("stable"));
    shell.fails(&["get", "l/a", "--label", "stable"], 3, "");
    shell.fails(&["label", "l/a", "current", "--remove"], 5, "current");
    shell.fails(&["label", "l/a", "stable", "9"], 3, "no such version");
    shell.fails(&["label", "l/none", "stable", "1"], 3, "no such secret");
    shell.fails(&["label", "l/a", "AWSCURRENT", "1"], 1, "AWS");
    for incomplete in [
        &["label", "l/a", "stable"][..],
        &["label", "l/a", "stable", "1", "--remove"],
    ] {
        assert_eq!(shell.run(incomplete, b"").0, 1, "{incomplete:?}");
    }
}
