//! `rollback`: an earlier value comes back, and the history stays.

use super::Shell;
use crate::harness::On;

#[test]
fn an_earlier_value_becomes_a_new_version() {
    let shell = Shell::on(On::Sqlite);
    for value in [&b"one\xff"[..], b"two"] {
        shell.ok(&["put", "r/a", "-"], value);
    }
    assert_eq!(shell.run(&["rollback", "r/a", "--to", "1", "--cas", "1"], b"").0, 5);
    let back = shell.json(&["rollback", "r/a", "--to", "1", "--cas", "2"]);
    assert_eq!((&back["version"], &back["unchanged"]), (&3.into(), &false.into()));
    assert_eq!(shell.ok(&["get", "r/a"], b""), b"one\xff");
    assert_eq!(shell.ok(&["get", "r/a", "--version", "2"], b""), b"two");
    assert!(
        shell
            .text(&["rollback", "r/a", "--to", "1"])
            .contains("already, at version 3")
    );
    assert_eq!(shell.json(&["history", "r/a"])["versions"].as_array().unwrap().len(), 3);
    assert!(
        shell
            .text(&["rollback", "r/a", "--to", "2"])
            .contains("r/a is at version 4 now")
    );

    let exact = "{ \"n\": 1.50, \"b\":\"\\u00e9\" }";
    shell.ok(&["put", "r/object", "-", "--json"], exact.as_bytes());
    shell.ok(&["put", "r/object", "-"], b"text");
    shell.ok(&["rollback", "r/object", "--to", "1"], b"");
    assert_eq!(shell.ok(&["get", "r/object"], b""), exact.as_bytes());

    shell.fails(&["rollback", "r/a", "--to", "9"], 3, "no such version");
    shell.fails(&["rollback", "r/none", "--to", "1"], 3, "no such secret");
    shell.fails(&["rollback", "r/a"], 1, "--to");
    shell.ok(&["delete", "r/a"], b"");
    shell.fails(&["rollback", "r/a", "--to", "4"], 3, "deleted");
}
