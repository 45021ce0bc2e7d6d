//! What a start refuses, and the sentence that says so.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{On, Store, own_port, run};

/// A start that is to be refused: exit code and standard error. One that serves instead is no answer.
fn refused(args: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let (code, _, stderr) = run(&args, &environment, b"");
        let _ = sender.send((code, stderr));
    });
    receiver
        .recv_timeout(Duration::from_secs(20))
        .expect("the start is refused")
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

async fn a_wrong_root_key_is_named(on: On) {
    let store = Store::fresh(on);
    assert!(store.dev(&[]).terminate().success());
    let wrong = store.dir.path().join("other-key");
    std::fs::write(&wrong, "ab".repeat(32)).unwrap();
    let listen = format!("127.0.0.1:{}", own_port());
    let data = store.data_dir();
    let mut environment = vec![
        ("STRONGROOM_ROOT_KEY_FILE", wrong.to_str().unwrap()),
        ("STRONGROOM_LISTEN", &listen),
    ];
    match &store.url {
        Some(url) => environment.push(("STRONGROOM_DATABASE_URL", url)),
        None => environment.push(("STRONGROOM_DATA_DIR", data.to_str().unwrap())),
    }
    let (code, stderr) = refused(&["server"], &environment);
    assert_eq!(code, 2, "{stderr}");
    assert_says(&stderr.to_lowercase(), &["root key"]);
    assert!(!stderr.contains("abab"), "{stderr}");
    std::fs::write(&wrong, "not a key").unwrap();
    let (code, stderr) = refused(&["server"], &environment);
    assert!(code == 1 || code == 2, "{code} {stderr}");
    assert_says(&stderr, &["64 hexadecimal digits"]);
}

on_both_stores!(a_wrong_root_key_is_named);

fn modes(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{} has mode {mode:o}", path.display());
        if path.is_dir() {
            modes(&path);
        }
    }
}

#[test]
fn a_data_directory_has_one_process_and_one_owner() {
    let store = Store::fresh(On::Sqlite);
    let server = store.dev(&[]);
    let data = store.data_dir();
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    modes(&data);
    let listen = format!("127.0.0.1:{}", own_port());
    let (code, stderr) = refused(&["dev", "--data-dir", data.to_str().unwrap(), "--listen", &listen], &[]);
    assert_eq!(code, 2, "{stderr}");
    assert_says(&stderr, &["Another Strongroom process uses", data.to_str().unwrap()]);
    assert!(server.terminate().success());
}

#[test]
fn all_mistakes_of_a_configuration_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strongroom.toml");
    std::fs::write(
        &file,
        "lisen = 'x'\naudit.queue = 1\n[limits]\nheader_seconds = 'long'\n",
    )
    .unwrap();
    let environment = [
        ("STRONGROOM_LISTEN", "0.0.0.0:1"),
        ("STRONGROOM_ISSUER", "nowhere"),
        ("STRONGROOM_AUDIT_DEADLINE_MS", "5"),
    ];
    let all = [
        "'lisen'",
        "'listen'",
        "'audit.queue'",
        "'audit.deadline_ms'",
        "'limits.header_seconds'",
        "'issuer'",
        "Name a store",
        "'--set x'",
    ];
    for verb in [&["server"][..], &["config", "check"]] {
        let args = [verb, &["--config", file.to_str().unwrap(), "--set", "x"]].concat();
        let (code, stderr) = refused(&args, &environment);
        assert_eq!(code, 1, "{stderr}");
        assert_says(&stderr, &all);
        assert_eq!(stderr.matches("error:").count(), all.len(), "{stderr}");
    }
}

#[test]
fn plain_http_stays_at_home_and_keys_away_from_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, stderr) = refused(
        &["dev", "--data-dir", data.to_str().unwrap(), "--listen", "0.0.0.0:0"],
        &[],
    );
    assert_eq!(code, 1, "{stderr}");
    assert_says(&stderr, &["insecure_listen", "plain HTTP"]);
    assert!(!data.exists(), "nothing is made by a start that is refused");
    std::fs::create_dir(&data).unwrap();
    let key = data.join("key");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    let environment = [
        ("STRONGROOM_DATA_DIR", data.to_str().unwrap()),
        ("STRONGROOM_ROOT_KEY_FILE", key.to_str().unwrap()),
    ];
    let (code, stderr) = refused(&["server"], &environment);
    assert_eq!(code, 1, "{stderr}");
    assert_says(&stderr, &["'root_key_file' lies in 'data_dir'"]);
    let (code, stderr) = refused(
        &["server", "--set", &format!("root_key={}", "ab".repeat(32))],
        &environment[..1],
    );
    assert_eq!(code, 1, "{stderr}");
    assert_says(&stderr, &["'root_key' is a secret"]);
}
