//! `login`, and what goes by its token afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Shell;
use crate::harness::{On, run};
use crate::operators::PASSWORD;

/// A person at a shell, without root's token.
struct Person {
    shell: Shell,
    home: PathBuf,
}

impl Person {
    fn on(on: On) -> Self {
        let shell = Shell::on(on);
        shell.ok(&["groups", "put", "readers", "--policy", "reader"], b"");
        shell.ok(
            &["operators", "put", "ada", "--policy", "auditor", "--group", "readers"],
            b"",
        );
        shell.ok(
            &["operators", "password", "ada", "--password-file", "-"],
            PASSWORD.as_bytes(),
        );
        let home = shell.store.dir.path().join("home");
        fs::create_dir(&home).unwrap();
        Self { shell, home }
    }

    fn with(&self, more: &[(&str, &str)], args: &[&str], stdin: &[u8]) -> (i32, String, String) {
        let home = self.home.to_str().unwrap();
        let environment = [
            &[("STRONGROOM_ADDR", self.shell.address.as_str()), ("HOME", home)],
            more,
        ]
        .concat();
        let (code, stdout, stderr) = run(args, &environment, stdin);
        (code, String::from_utf8(stdout).unwrap(), stderr)
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.with(&[], args, b"")
    }

    fn log_in(&self, password: &str) -> (i32, String, String) {
        // A file or a pipe often ends in a newline.
        let login = ["login", "--username", "ada", "--password-file", "-"];
        self.with(&[], &login, format!("{password}\n").as_bytes())
    }

    fn token_file(&self) -> PathBuf {
        self.home.join(".config/strongroom/token")
    }
}

async fn a_login_is_kept(on: On) {
    let person = Person::on(on);
    person.shell.ok(&["put", "l/s", "-"], b"hunter2");
    let (code, _, stderr) = person.run(&["get", "l/s"]);
    assert!(code == 1 && stderr.contains("strongroom login"), "{stderr}");
    let (code, _, stderr) = person.log_in("not the password");
    assert_eq!((code, person.token_file().exists()), (4, false), "{stderr}");

    let (code, stdout, stderr) = person.log_in(PASSWORD);
    assert_eq!(code, 0, "{stderr}");
    let kept = fs::read_to_string(person.token_file()).unwrap();
    let token = kept.lines().next().unwrap().to_owned();
    assert!(!stdout.contains(&token) && !stderr.contains(&token));
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&person.token_file()), 0o600);
    assert_eq!(mode(&person.token_file().parent().unwrap().to_owned()), 0o700);
    assert_eq!(person.run(&["get", "l/s"]).1, "hunter2");
    assert_eq!(person.run(&["put", "l/s", "-"]).0, 4);
    let (_, me, _) = person.run(&["whoami"]);
    for said in [
        "name       ada",
        "kind       operator",
        "groups     readers",
        "policies   auditor reader",
    ] {
        assert!(me.contains(said), "{said}: {me}");
    }

    // What the environment names comes first, and half a client's login is no reason to be somebody else.
    let root = [("STRONGROOM_TOKEN", person.shell.token.as_str())];
    assert!(person.with(&root, &["whoami"], b"").1.contains("all, as root"));
    let (code, _, stderr) = person.with(&[("STRONGROOM_CLIENT_ID", "x")], &["whoami"], b"");
    assert!(code == 1 && stderr.contains("STRONGROOM_CLIENT_SECRET"), "{stderr}");
    let elsewhere = person.home.join("elsewhere");
    let config = [("XDG_CONFIG_HOME", elsewhere.to_str().unwrap())];
    assert_eq!(
        person.with(&config, &["whoami"], b"").0,
        1,
        "another place holds no login"
    );
    let (code, _, stderr) = person.run(&["--addr", "http://127.0.0.1:1", "whoami"]);
    assert!(
        code == 1 && stderr.contains("The login is for"),
        "no other server gets it: {stderr}"
    );
    // The command that `run` starts is handed the secrets, not the token.
    let shell = ["run", "--prefix", "l", "--", "sh", "-c", "env"];
    let (code, seen, stderr) = person.run(&shell);
    assert!(
        code == 0 && seen.contains("s=hunter2") && !seen.contains(&token),
        "{seen}{stderr}"
    );

    let (code, stdout, _) = person.run(&["logout"]);
    assert!(code == 0 && stdout.contains("the token has ended"), "{stdout}");
    assert!(!person.token_file().exists());
    assert_eq!(person.run(&["get", "l/s"]).0, 1);
    assert_eq!(
        person.run(&["logout"]),
        (0, "There was no login.\n".into(), String::new())
    );
}

async fn people_and_keys_are_administered(on: On) {
    let person = Person::on(on);
    let shell = &person.shell;
    assert_eq!(shell.json(&["groups", "get", "readers"])["policies"][0], "reader");
    assert_eq!(shell.json(&["operators", "get", "ada"])["groups"][0], "readers");
    assert_eq!(shell.json(&["operators", "list"])["items"][0]["name"], "ada");
    assert_eq!(shell.json(&["groups", "list"])["items"][0]["name"], "readers");
    assert!(shell.text(&["operators", "list"]).contains("PASSWORD SET"));
    assert!(shell.text(&["policy", "list"]).contains("built in"));
    shell.fails(&["operators", "password", "ada"], 1, "'-' is stdin");
    shell.fails(&["policy", "delete", "admin"], 5, "built in");
    let before = shell.json(&["key", "rotate", "data"])["epoch"].as_i64().unwrap();
    assert!(
        shell
            .text(&["key", "rotate", "data"])
            .contains(&format!("data key {}", before + 1))
    );

    assert_eq!(person.log_in(PASSWORD).0, 0);
    let (current, new) = (
        shell.file("current", PASSWORD),
        shell.file("new", "a password of mine\n"),
    );
    let change = ["password", "--current-file", &new, "--password-file", &new];
    assert_eq!(person.run(&change).0, 4, "the current one is another");
    let change = ["password", "--current-file", &current, "--password-file", &new];
    assert_eq!(person.run(&change).0, 0);
    let (code, _, stderr) = person.run(&["whoami"]);
    assert!(
        code == 4 && stderr.contains("run 'strongroom login'"),
        "that login ended: {stderr}"
    );
    assert_eq!(person.log_in(PASSWORD).0, 4);
    assert_eq!(person.log_in("a password of mine").0, 0);

    let shown = shell.ok(&["--show-curl", "login", "--username", "ada"], b"");
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.contains(r#""username":"ada""#) && shown.contains(r#""password":"…""#),
        "{shown}"
    );
    assert!(
        !shown.contains("Authorization"),
        "who logs in has no token yet: {shown}"
    );
    shell.ok(&["operators", "delete", "ada"], b"");
    assert_eq!(person.run(&["whoami"]).0, 4);
    shell.ok(&["groups", "delete", "readers"], b"");
    shell.fails(&["groups", "get", "readers"], 3, "There is no such group");
}

on_both_stores!(a_login_is_kept, people_and_keys_are_administered);
