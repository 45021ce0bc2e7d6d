//! From nothing to a server by the operator's own commands.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Api, On, Server, Store, own_port, run};

/// The configuration of one installation, as an environment.
struct Site {
    store: Store,
    key: PathBuf,
    port: u16,
}

impl Site {
    fn on(on: On) -> Self {
        let store = Store::fresh(on);
        Self {
            key: store.dir.path().join("the-root-key"),
            store,
            port: own_port(),
        }
    }

    fn environment(&self) -> Vec<(&str, String)> {
        let store = match &self.store.url {
            Some(url) => ("STRONGROOM_DATABASE_URL", url.clone()),
            None => (
                "STRONGROOM_DATA_DIR",
                self.store.data_dir().to_str().unwrap().to_owned(),
            ),
        };
        let key = ("STRONGROOM_ROOT_KEY_FILE", self.key.to_str().unwrap().to_owned());
        vec![store, key, ("STRONGROOM_LISTEN", format!("127.0.0.1:{}", self.port))]
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let environment = self.environment();
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let (code, stdout, stderr) = run(args, &environment, b"");
        (code, String::from_utf8(stdout).unwrap(), stderr)
    }

    fn ok(&self, args: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        stdout + &stderr
    }

    fn token_file(&self, name: &str) -> String {
        self.store.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn serve(&self) -> Server {
        let environment = self.environment();
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Server::start(&["server"], &environment, self.port, self.store.dir.path())
    }
}

async fn migrations_go_up_and_down(on: On) {
    let site = Site::on(on);
    let before = site.ok(&["migrate", "status"]);
    assert!(before.contains("missing") && !before.contains("applied"), "{before}");
    let (code, _, stderr) = site.run(&["server"]);
    assert!(code != 0 && !stderr.is_empty(), "a server without a schema: {stderr}");
    for _ in 0..2 {
        let up = site.ok(&["migrate", "up"]);
        assert!(up.contains("applied") && !up.contains("missing"), "{up}");
    }
    site.ok(&["operator", "init", "--token-file", &site.token_file("token")]);
    let (code, _, stderr) = site.run(&["migrate", "down"]);
    assert!(code != 0 && stderr.contains("--discard"), "{code} {stderr}");
    let (code, _, stderr) = site.run(&["operator", "init", "--token-file", &site.token_file("again")]);
    assert!(
        code == 0 && stderr.contains("before"),
        "nothing was lost: {code} {stderr}"
    );
    let down = site.ok(&["migrate", "down", "--discard"]);
    assert!(down.contains("missing") && !down.contains("applied"), "{down}");
    site.ok(&["migrate", "up"]);
    let (code, _, stderr) = site.run(&["server"]);
    assert!(code == 2 && stderr.contains("operator init"), "{code} {stderr}");
}

async fn one_init_wins(on: On) {
    let site = Site::on(on);
    site.ok(&["migrate", "up"]);
    let (code, _, stderr) = site.run(&["operator", "init"]);
    assert!(
        code != 0 && stderr.contains("--token-file"),
        "the token goes nowhere else: {code} {stderr}"
    );
    // Two at once may both find no root key: one makes it, and what both leave behind has to fit together.
    let files = ["token-0", "token-1"].map(|name| site.token_file(name));
    let outcomes = std::thread::scope(|scope| {
        let inits = files
            .each_ref()
            .map(|file| scope.spawn(|| site.run(&["operator", "init", "--token-file", file])));
        inits.map(|init| init.join().unwrap())
    });
    // The other's file, if it made one, opens nothing.
    let winners = files.iter().zip(&outcomes);
    let tokens: Vec<String> = winners
        .filter(|(_, (.., stderr))| stderr.contains("Initialised."))
        .map(|(file, _)| std::fs::read_to_string(file).unwrap())
        .collect();
    assert_eq!(tokens.len(), 1, "one winner: {outcomes:?}");
    assert!(outcomes.iter().any(|(code, ..)| *code == 0), "{outcomes:?}");
    for (code, stdout, stderr) in &outcomes {
        assert!(*code == 0 || !stderr.is_empty(), "{outcomes:?}");
        assert!(
            !stdout.contains(tokens[0].trim()) && !stderr.contains(tokens[0].trim()),
            "the token is shown"
        );
    }
    let key = std::fs::read(&site.key).unwrap();
    let again = site.token_file("token-2");
    assert!(
        site.ok(&["operator", "init", "--token-file", &again])
            .contains("before")
    );
    assert!(!std::path::Path::new(&again).exists());
    assert_eq!(std::fs::read(&site.key).unwrap(), key, "the root key is never replaced");
    for file in [
        site.key.to_str().unwrap(),
        &files[usize::from(!std::path::Path::new(&files[0]).exists())],
    ] {
        assert_eq!(
            std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{file}"
        );
    }

    assert!(site.ok(&["config", "check"]).contains("valid"));
    let server = site.serve();
    let root = Api::new(&server, tokens[0].trim());
    assert_eq!(root.put("secrets/first", json!({ "value": "x" })).await.0, 201);
    assert_eq!(root.get("secrets/first").await.1["value"], "x");
    assert!(server.terminate().success());
}

on_both_stores!(migrations_go_up_and_down, one_init_wins);
