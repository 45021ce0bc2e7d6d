//! No verb shows a value that it was not asked to show: not in its output, an error, a command line or a curl command.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use strongroom_testkit::scale;

use super::Shell;
use crate::harness::{On, run};

/// In every value, and whole however the rest of it is quoted or escaped.
const MARK: &str = "hunter2";

fn values() -> impl Strategy<Value = [String; 2]> {
    // Without '@', which would make it a file's name: that is no value.
    let text = "([ -?A-~\n]|[éü🔑]){0,12}";
    let value = (text, text).prop_map(|(before, after)| format!("{before}{MARK}{after}"));
    [value.clone(), value]
}

/// What a value becomes on its way to `put`.
fn forms(value: &str) -> [(Vec<u8>, Option<&'static str>); 3] {
    let object = serde_json::json!({"field": value, "nested": {"path": [value]}, "path": value});
    [
        (value.as_bytes().to_vec(), None),
        (object.to_string().into_bytes(), Some("--json")),
        ([b"\xff", value.as_bytes()].concat(), None),
    ]
}

struct Ear<'a> {
    shell: &'a Shell,
}

impl Ear<'_> {
    /// Runs a verb as it is and as curl, and listens.
    fn hear(&self, args: &[&str], stdin: &[u8]) {
        let editor = self.shell.store.dir.path().join("editor");
        let environment = [&self.shell.environment()[..], &[("EDITOR", editor.to_str().unwrap())]].concat();
        for args in [args.to_vec(), [&["--show-curl"], args].concat()] {
            let (code, stdout, stderr) = run(&args, &environment, stdin);
            let said = String::from_utf8_lossy(&stdout).into_owned() + &stderr;
            assert!(!said.contains(MARK), "{args:?} ended with {code} and said {said}");
            assert!(!said.contains(&self.shell.token), "{args:?} shows the token");
        }
    }

    fn hear_all(&self, values: &[String; 2]) {
        let [old, new] = values;
        let scratch = self.shell.store.dir.path().to_owned();
        for ((old, old_flag), (new, new_flag)) in forms(old).into_iter().zip(forms(new)) {
            let put = |flag: Option<&'static str>| [&["put", "s/a", "-"][..], flag.as_slice()].concat();
            self.hear(&put(old_flag), &old);
            self.hear(&put(new_flag), &new);
            self.hear(&[&put(new_flag)[..], &["--cas", "0"]].concat(), &new);
            for format in ["table", "json", "yaml"] {
                self.hear(&["diff", "s/a", "-o", format], b"");
            }
            self.hear(&["diff", "s/a", "1"], b"");
            self.hear(&["rollback", "s/a", "--to", "1"], b"");
            self.hear(&["edit", "s/a", "--scratch", scratch.to_str().unwrap()], b"");
            self.hear(&["get", "s/a#none"], b"");
            self.hear(&["run", "--secret", "s/a#none", "--", "true"], b"");
            self.hear(&["export", "--secret", "s/a#none"], b"");
        }
        self.hear(&["put", "s/a", "-", "--json"], old.as_bytes());
        self.hear(&["put", "s/a", "x=-"], old.as_bytes());
        let file = self.shell.file(
            "hidden.env",
            &format!("A='{}'\nB='{}'\n", old.replace('\'', ""), new.replace('\'', "")),
        );
        let broken = self.shell.file("broken.env", &format!("A={MARK}\nA={MARK}\n{old}\n"));
        self.hear(&["import", &file, "--prefix", "s/env"], b"");
        self.hear(&["import", &broken, "--prefix", "s/env"], b"");
        self.hear(&["policy", "put", "s", &file], b"");
        let exported = self.shell.store.dir.path().join("exported");
        self.hear(
            &["export", "--prefix", "s/env", "--file", exported.to_str().unwrap()],
            b"",
        );
        std::fs::remove_file(exported).unwrap();
        // A value where none belongs: the system has seen it, and nobody else shall.
        for misplaced in [
            &["put", "s/a", new][..],
            &["put", "s/a", &format!("x={new}")],
            &["put", "s/a", "-", "--cas", new],
            &["edit", "s/a", new],
            &["rollback", "s/a", "--to", new],
        ] {
            if !misplaced
                .iter()
                .any(|word| word.starts_with('-') && word.contains(MARK))
            {
                self.hear(misplaced, b"");
            }
        }
    }
}

#[test]
fn no_value_is_shown_unasked() {
    let shell = Shell::on(On::Sqlite);
    // An editor that looks for the value in its own command line and its parent's, and then writes what conflicts.
    let found = shell.store.dir.path().join("found");
    let look = format!(
        "cat /proc/$$/cmdline /proc/$PPID/cmdline | grep -a {MARK} >> {}; grep -q x \"$1\" || printf x >> \"$1\"",
        found.display()
    );
    shell.script("editor", &look);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let mut runner = TestRunner::new(Config {
        cases: (2.0 * scale()).ceil() as u32,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    });
    let heard = runner.run(&values(), |values| {
        Ear { shell: &shell }.hear_all(&values);
        Ok(())
    });
    heard.unwrap();
    assert_eq!(
        std::fs::read_to_string(&found).unwrap_or_default(),
        "",
        "in a command line"
    );
}
