//! `metadata`: what is said about a secret.

use serde_json::json;

use super::Shell;
use crate::harness::On;

#[test]
fn fields_are_set_emptied_and_replaced() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "m/a", "-"], b"x");
    let set = [
        "--set",
        "owner=a=b",
        "--set",
        "type=api-key",
        "--set",
        "tags.team=x",
        "--set",
        "description=for m",
    ];
    let all = shell.json(&[&["metadata", "m/a"][..], &set].concat());
    assert_eq!(
        [
            &all["owner"],
            &all["type"],
            &all["tags"],
            &all["description"],
            &all["current_version"]
        ],
        [
            &json!("a=b"),
            &json!("api-key"),
            &json!({"team": "x"}),
            &json!("for m"),
            &json!(1)
        ]
    );
    let shown = shell.text(&["metadata", "m/a"]);
    for row in ["owner a=b", "tags.team x", "type api-key", "version 1"] {
        let words: Vec<&str> = row.split(' ').collect();
        let mut rows = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert!(rows.any(|shown| shown == words), "{row}: {shown}");
    }
    let change = [
        "metadata",
        "m/a",
        "--unset",
        "owner",
        "--unset",
        "tags.team",
        "--set",
        "tags.b=1",
    ];
    let changed = shell.json(&change);
    assert_eq!(
        (&changed["owner"], &changed["tags"], &changed["description"]),
        (&json!(null), &json!({"b": "1"}), &json!("for m"))
    );
    let replaced = shell.json(&["metadata", "m/a", "--replace", "--set", "owner=c"]);
    assert_eq!(
        (
            &replaced["owner"],
            &replaced["tags"],
            &replaced["description"],
            &replaced["type"]
        ),
        (&json!("c"), &json!({}), &json!(null), &json!("generic"))
    );

    shell.fails(&["metadata", "m/new"], 3, "no such secret");
    shell.fails(&["metadata", "m/new", "--set", "owner=x"], 3, "no such secret");
    assert_eq!(
        shell.json(&["metadata", "m/new", "--replace", "--set", "owner=x"])["current_version"],
        0
    );
    shell.fails(&["metadata", "m/a", "--set", "ower=x"], 1, "no field");
    shell.fails(&["metadata", "m/a", "--set", "type=secret"], 1, "signing-key");
    shell.fails(&["metadata", "m/a", "--replace", "--unset", "owner"], 1, "--unset");
    assert_eq!(
        shell.json(&["metadata", "m/a"])["owner"],
        "c",
        "what was refused changed nothing"
    );
}
