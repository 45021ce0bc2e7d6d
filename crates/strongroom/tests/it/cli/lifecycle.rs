//! `destroy`, `delete --all`, `restore` and `--purge`.

use super::Shell;
use crate::harness::On;

#[test]
fn a_secret_goes_comes_back_and_goes_for_good() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "l/a", "-"], b"one");
    shell.ok(&["put", "l/a", "-"], b"two");
    assert!(shell.text(&["destroy", "l/a", "1"]).contains("Destroyed in l/a: 1."));
    shell.fails(&["get", "l/a", "--version", "1"], 3, "destroyed");
    shell.fails(&["destroy", "l/a"], 1, "VERSION");

    let said = shell.text(&["delete", "l/a", "--all", "--recovery-days", "9"]);
    assert!(said.contains("strongroom restore l/a"), "{said}");
    shell.fails(&["get", "l/a"], 3, "pending deletion");
    assert!(shell.json(&["metadata", "l/a"])["pending_until"].is_string());
    shell.ok(&["restore", "l/a"], b"");
    assert_eq!(shell.text(&["get", "l/a"]), "two");
    shell.fails(&["restore", "l/a"], 5, "not pending deletion");

    shell.fails(&["delete", "l/a", "--purge"], 1, "--all");
    shell.ok(&["delete", "l/a", "--all", "--purge"], b"");
    shell.fails(&["history", "l/a"], 3, "no such secret");
}
