//! `diff`: what changed between two versions, and not what it is.

use serde_json::json;

use super::Shell;
use crate::harness::On;

#[test]
fn places_and_lengths_are_told() {
    let shell = Shell::on(On::Sqlite);
    for value in [
        "first\nhunter2\nlast",
        "first\nhunter2000\nlast",
        "first\nhunter2000\nlast",
    ] {
        shell.ok(&["put", "d/text", "-"], value.as_bytes());
    }
    let (code, stdout, stderr) = shell.run(&["diff", "d/text", "1", "2"], b"");
    let shown = String::from_utf8(stdout).unwrap();
    assert_eq!((code, stderr.as_str()), (6, ""), "{shown}");
    assert!(
        shown.contains("line 2  8 bytes") && shown.contains("11 bytes"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2") && !shown.contains("first"), "{shown}");
    let (code, stdout, _) = shell.run(&["diff", "d/text", "1", "current", "--show"], b"");
    assert_eq!(code, 6);
    assert_eq!(String::from_utf8(stdout).unwrap(), "line 2:\n- hunter2\n+ hunter2000\n");
    // Without versions it is the last change.
    assert!(
        shell
            .text(&["diff", "d/text"])
            .contains("Versions 2 and 3 of d/text are the same")
    );

    shell.ok(
        &["put", "d/object", "-", "--json"],
        br#"{"user":"app","password":"hunter2","old":1}"#,
    );
    shell.ok(
        &["put", "d/object", "-", "--json"],
        br#"{"user":"app","password":"hunter2000","new":"1"}"#,
    );
    let (code, stdout, _) = shell.run(&["diff", "d/object", "-o", "json"], b"");
    let difference: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(code, 6);
    assert_eq!(
        difference,
        json!({
            "path": "d/object",
            "old": {"version": 1, "kind": "object"},
            "new": {"version": 2, "kind": "object"},
            "same": false,
            "changes": [
                {"field": "new", "new": {"bytes": 1}},
                {"field": "old", "old": {"bytes": 1}},
                {"field": "password", "old": {"bytes": 7}, "new": {"bytes": 10}},
            ],
        })
    );
    shell.ok(&["put", "d/object", "-"], b"\xff");
    let (code, stdout, _) = shell.run(&["diff", "d/object", "--show"], b"");
    let shown = String::from_utf8(stdout).unwrap();
    assert!(code == 6 && shown.contains("+ (1 bytes that are no text)"), "{shown}");

    shell.fails(&["diff", "d/text", "1", "9"], 3, "no such version");
    shell.fails(&["diff", "d/none"], 3, "no such secret");
}
