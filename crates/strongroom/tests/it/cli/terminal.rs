//! What differs where a person sits: values are typed unseen, and not shown unasked.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use super::Shell;
use crate::harness::{On, PROGRAM};
use crate::operators::PASSWORD;

impl Shell {
    /// The program on a terminal of its own: exit code, and all that was to be seen. `typed` is typed when it asks.
    fn on_a_terminal(&self, arguments: &str, typed: &str) -> (i32, String) {
        // util-linux's `script` makes the terminal, and ends as its command ends.
        let mut child = Command::new("script")
            .args(["-qec", &format!("{PROGRAM} {arguments}"), "/dev/null"])
            .envs(self.environment())
            .env("SHELL", "/bin/sh")
            .env("HOME", self.store.dir.path())
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = Vec::new();
        if !typed.is_empty() {
            // Before it asks, the terminal itself still shows what is typed.
            while !seen.ends_with(b"(not shown): ") {
                let mut byte = [0];
                stdout.read_exact(&mut byte).unwrap();
                seen.extend(byte);
            }
            stdin.write_all(typed.as_bytes()).unwrap();
        }
        stdout.read_to_end(&mut seen).unwrap();
        let code = child.wait().unwrap().code().unwrap();
        (code, String::from_utf8(seen).unwrap().replace('\r', ""))
    }
}

#[test]
fn a_value_is_asked_for_and_not_shown() {
    let shell = Shell::on(On::Sqlite);
    // Several times: a terminal that goes silent a moment after it was asked shows what is typed only now and then.
    for _ in 0..10 {
        let (code, seen) = shell.on_a_terminal("put t/typed", "hunter2\n");
        assert_eq!(code, 0, "{seen}");
        assert!(!seen.contains("hunter2"), "{seen}");
    }
    assert_eq!(shell.ok(&["get", "t/typed"], b""), b"hunter2");
    let (code, seen) = shell.on_a_terminal("--show-curl put t/typed", "");
    assert!(
        code == 0 && seen.contains("-d @-") && !seen.contains("Value of"),
        "{seen}"
    );
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["operators", "put", "ada", "--policy", "reader"], b"");
    shell.ok(
        &["operators", "password", "ada", "--password-file", "-"],
        PASSWORD.as_bytes(),
    );
    let (code, seen) = shell.on_a_terminal("login --username ada", &format!("{PASSWORD}\n"));
    assert!(code == 0 && seen.contains("Logged in"), "{seen}");
    assert!(seen.contains("warning: STRONGROOM_TOKEN is set"), "{seen}");
    assert!(!seen.contains(PASSWORD), "{seen}");
    let (code, seen) = shell.on_a_terminal("--show-curl login --username ada", "");
    assert!(code == 0 && !seen.contains("Password of"), "{seen}");
}

#[test]
fn what_a_terminal_should_not_get_is_refused() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "t/text", "-"], b"hunter2");
    shell.ok(&["put", "t/bytes", "-"], b"\xffhunter2");
    assert_eq!(shell.on_a_terminal("get t/text", ""), (0, "hunter2\n".to_owned()));
    let (code, seen) = shell.on_a_terminal("get t/bytes", "");
    assert!(code == 1 && !seen.contains("hunter2"), "{seen}");
    let (code, seen) = shell.on_a_terminal("export --secret t/text", "");
    assert!(
        code == 1 && seen.contains("--show") && !seen.contains("hunter2"),
        "{seen}"
    );
    assert_eq!(
        shell.on_a_terminal("export --secret t/text --show", ""),
        (0, "text='hunter2'\n".to_owned())
    );
}
