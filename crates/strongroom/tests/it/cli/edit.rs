//! `edit`: plaintext in memory for as long as an editor runs, and no write over somebody else's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Shell;
use crate::harness::{On, PROGRAM, command, run};

impl Shell {
    /// An editor that runs `lines` with the file as `$1`, and leaves the file's name in `opened`.
    fn editor(&self, lines: &str) -> String {
        let opened = self.opened_file();
        let editor = format!("printf %s \"$1\" > {}\n{lines}", opened.display());
        self.script("editor", &editor)
    }

    fn opened_file(&self) -> std::path::PathBuf {
        self.store.dir.path().join("opened")
    }

    /// Where the last editor found its file.
    fn opened(&self) -> String {
        std::fs::read_to_string(self.opened_file()).unwrap()
    }

    fn edit(&self, lines: &str, args: &[&str]) -> (i32, String, String) {
        let editor = self.editor(lines);
        let environment = [&self.environment()[..], &[("EDITOR", &editor)]].concat();
        let (code, stdout, stderr) = run(&[&["edit"], args].concat(), &environment, b"");
        (code, String::from_utf8(stdout).unwrap(), stderr)
    }

    /// An edit that leaves nothing behind.
    fn edit_clean(&self, lines: &str, args: &[&str], wanted: i32) -> String {
        let (code, stdout, stderr) = self.edit(lines, args);
        assert_eq!(code, wanted, "{args:?}: {stderr}");
        let opened = self.opened();
        assert!(
            !Path::new(&opened).parent().unwrap().exists(),
            "{opened} is still there"
        );
        stdout + &stderr
    }

    fn versions(&self, path: &str) -> usize {
        self.json(&["history", path])["versions"].as_array().unwrap().len()
    }
}

#[test]
fn what_the_editor_leaves_is_the_next_version() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "e/a", "-"], b"one");
    assert!(
        shell
            .edit_clean("printf %s two > \"$1\"", &["e/a"], 0)
            .contains("e/a is at version 2 now")
    );
    assert_eq!(shell.ok(&["get", "e/a"], b""), b"two");
    assert!(
        shell
            .edit_clean("touch \"$1\"", &["e/a"], 0)
            .contains("Nothing was changed")
    );
    assert_eq!(shell.versions("e/a"), 2, "an unchanged value is not written");
    // Most editors end a file with a newline: it is theirs, unless the value had one.
    shell.edit_clean("echo >> \"$1\"", &["e/a"], 0);
    assert_eq!(shell.versions("e/a"), 2);
    shell.edit_clean("printf 'l1\\nl2\\n' > \"$1\"", &["e/a"], 0);
    assert_eq!(shell.ok(&["get", "e/a"], b""), b"l1\nl2");
    shell.ok(&["put", "e/lines", "-"], b"l1\n");
    shell.edit_clean("echo l2 >> \"$1\"", &["e/lines"], 0);
    assert_eq!(shell.ok(&["get", "e/lines"], b""), b"l1\nl2\n");

    shell.ok(&["put", "e/object", "-", "--json"], b"{\"a\": \"1\"}");
    shell.edit_clean("sed -i 's/1/2/' \"$1\"", &["e/object"], 0);
    assert_eq!(shell.ok(&["get", "e/object"], b""), b"{\"a\": \"2\"}");
    assert_eq!(shell.ok(&["get", "e/object#a"], b""), b"2", "it is an object still");

    shell.edit_clean("printf %s three > \"$1\"; exit 3", &["e/a"], 1);
    assert_eq!(
        shell.ok(&["get", "e/a"], b""),
        b"l1\nl2",
        "a failed editor's file is not written"
    );
    shell.ok(&["put", "e/bytes", "-"], b"\xff");
    shell.fails(&["edit", "e/bytes"], 1, "binary");
    shell.fails(&["edit", "e/none"], 3, "no such secret");
}

#[test]
fn the_plaintext_is_private() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "e/a", "-"], b"plaintext-4711");
    let seen = shell.store.dir.path().join("seen");
    let look = format!(
        "{{ stat -c %a \"$1\" \"$(dirname \"$1\")\"; env; cat /proc/$$/cmdline /proc/$PPID/cmdline; }} | tr '\\0' ' ' > {}",
        seen.display()
    );
    shell.edit_clean(&look, &["e/a"], 0);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.starts_with("600\n700\n"), "{seen}");
    assert!(
        seen.contains("edit e/a") && !seen.contains(&shell.token) && !seen.contains("plaintext-4711"),
        "{seen}"
    );
    assert!(
        shell.opened().starts_with("/dev/shm/strongroom-edit-"),
        "{}",
        shell.opened()
    );

    let (code, _, stderr) = shell.edit("true", &["e/a", "--scratch", "/nonexistent"]);
    assert!(code == 1 && stderr.contains("--scratch"), "{stderr}");
    let own = shell.store.dir.path().to_str().unwrap();
    shell.edit_clean("true", &["e/a", "--scratch", own], 0);
    assert!(shell.opened().starts_with(own), "{}", shell.opened());
}

#[test]
fn the_editor_may_have_arguments() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "e/a", "-"], b"one");
    let editor = format!("{} 'a b'", shell.script("with-arguments", "printf %s \"$1\" > \"$2\""));
    let environment = [&shell.environment()[..], &[("VISUAL", &editor), ("EDITOR", "false")]].concat();
    let (code, _, stderr) = run(&["edit", "e/a"], &environment, b"");
    assert_eq!(code, 0, "VISUAL is asked first: {stderr}");
    assert_eq!(shell.ok(&["get", "e/a"], b""), b"a b");
}

#[test]
fn what_cannot_be_written_is_kept() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "e/a", "-"], b"one");
    shell.ok(&["put", "e/object", "-", "--json"], b"{}");
    let other = format!(
        "printf %s theirs | STRONGROOM_TOKEN={} {PROGRAM} put e/a - >&2\nprintf 'mine\\n' > \"$1\"",
        shell.token
    );
    for (lines, path, wanted, kept) in [
        (other.as_str(), "e/a", 5, "mine"),
        ("printf %s '{\"a\":' > \"$1\"", "e/object", 1, "{\"a\":"),
        ("printf '\\377' > \"$1\"", "e/object", 1, ""),
    ] {
        let (code, stdout, stderr) = shell.edit(lines, &[path]);
        assert_eq!((code, stdout.as_str()), (wanted, ""), "{stderr}");
        let file = shell.opened();
        assert!(stderr.contains(&format!("kept in {file}")), "{stderr}");
        let folder = Path::new(&file).parent().unwrap();
        for (path, mode) in [(Path::new(&file), 0o600), (folder, 0o700)] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
        if !kept.is_empty() {
            assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
        }
        if wanted == 5 {
            assert_eq!(shell.ok(&["get", path], b""), b"theirs");
            // The way on that it names.
            shell.ok(&["put", path, &format!("@{file}")], b"");
            assert_eq!(shell.ok(&["get", path], b""), b"mine");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "e/a", "-"], b"one");
    let dies = "printf %s two > \"$1\"; echo ready; while :; do sleep 0.05; done";
    // It ends well, and its text is not written all the same: whoever stops us does not want that.
    let saves = format!("trap 'exit 0' TERM HUP; {dies}");
    for (lines, signal, code) in [
        (dies, "TERM", 128 + 15),
        (dies, "INT", 128 + 2),
        (dies, "HUP", 128 + 1),
        (dies, "QUIT", 128 + 3),
        (&saves, "TERM", 128 + 15),
        (&saves, "HUP", 128 + 1),
    ] {
        let editor = shell.editor(lines);
        let environment = [&shell.environment()[..], &[("EDITOR", &editor)]].concat();
        let mut child = command(&["edit", "e/a"], &environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let opened = shell.opened();
        assert!(Path::new(&opened).exists());
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &id])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert!(
            !Path::new(&opened).parent().unwrap().exists(),
            "{signal}: {opened} is still there"
        );
    }
    assert_eq!(shell.versions("e/a"), 1);
}
