//! Each fault that `operator doctor` is for, with the server stopped, and what it says to run.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Installation;
use crate::harness::{On, Store, own_port, run};
use crate::sql::Sql;

/// Exit code, and what is said of one check: its state, and the text and the next step in one.
fn asked(installation: &Installation, check: &str, more: &[&str]) -> (i32, String, String) {
    let (code, stdout, stderr) = installation.run(&[&["operator", "doctor", "-o", "json"][..], more].concat());
    let found: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    let findings = found["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no '{check}': {found}"));
    let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    (code, text("state"), format!("{} {}", text("says"), text("next")))
}

#[track_caller]
pub(crate) fn says(installation: &Installation, check: &str, exit: i32, state: &str, parts: &[&str]) {
    let (code, found, text) = asked(installation, check, &[]);
    assert_eq!((code, found.as_str()), (exit, state), "{text}");
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

async fn each_fault_has_its_next_command(on: On) {
    let installation = Installation::new(on);
    says(
        &installation,
        "key",
        6,
        "failed",
        &["not initialised", "strongroom operator init"],
    );
    installation.done(&[
        "operator",
        "init",
        "--token-file",
        installation.file("token").to_str().unwrap(),
    ]);
    says(
        &installation,
        "key slots",
        0,
        "warning",
        &["strongroom operator slots add safe --method recovery"],
    );
    installation.add("safe", "recovery", &[]);
    for check in ["store", "key", "key slots", "outside", "clock", "disk"] {
        says(&installation, check, 0, "ok", &[]);
    }
    let safe = installation.file("safe");
    let (code, state, text) = asked(&installation, "key", &["--recovery-key-file", safe.to_str().unwrap()]);
    assert_eq!((code, state.as_str()), (0, "ok"), "{text}");

    let key = installation.text("key");
    std::fs::write(installation.file("key"), "ab".repeat(32)).unwrap();
    says(
        &installation,
        "key",
        6,
        "failed",
        &["does not open", "--recovery-key-file"],
    );
    std::fs::remove_file(installation.file("key")).unwrap();
    says(
        &installation,
        "key",
        6,
        "failed",
        &["cannot be read", "--recovery-key-file"],
    );
    std::fs::write(installation.file("key"), key).unwrap();

    // Of a running server: by its control socket, or on its address.
    let server = installation.serve();
    says(&installation, "audit queue", 0, "ok", &["of 8192"]);
    says(&installation, "key slots", 0, "ok", &["2 keys"]);
    says(
        &installation,
        "backup",
        0,
        "warning",
        &["strongroom operator backup FILE"],
    );
    installation.done(&["operator", "backup", installation.file("backup").to_str().unwrap()]);
    // A node learns of it within a second, where another process has taken it.
    let deadline = Instant::now() + Duration::from_secs(10);
    while asked(&installation, "backup", &[]).1 != "ok" && Instant::now() < deadline {}
    says(&installation, "backup", 0, "ok", &["The last one is of 20"]);
    says(&installation, "disk", 0, "ok", &[]);
    // The server goes on without its key, and could not start again.
    let key = installation.text("key");
    says(&installation, "key", 0, "ok", &["root key opens"]);
    std::fs::write(installation.file("key"), "ab".repeat(32)).unwrap();
    says(
        &installation,
        "key",
        6,
        "failed",
        &["does not open", "--recovery-key-file"],
    );
    std::fs::write(installation.file("key"), key).unwrap();
    server.terminate();

    let later = "UPDATE strongroom.meta SET value = '9' WHERE key = 'oldest_program'";
    let sql = Sql::of(&installation.store, None);
    let statement = if on == On::Postgres {
        later.to_owned()
    } else {
        later.replace("strongroom.", "")
    };
    sql.run(&[statement]).await;
    says(&installation, "store", 6, "failed", &["Install the newer program"]);
    if on == On::Postgres {
        // Whatever the schema says, what is unsafe is told of a schema that fits.
        sql.run(&[
            "UPDATE strongroom.meta SET value = '1' WHERE key = 'oldest_program'".into(),
            "DO $$ BEGIN EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET synchronous_commit = off', \
             current_database()); END $$"
                .into(),
        ])
        .await;
        says(
            &installation,
            "store",
            6,
            "failed",
            &["synchronous_commit", "strongroom migrate up"],
        );
    }
}

/// Nothing is there yet: the first step is told.
async fn a_store_without_a_schema(on: On) {
    let installation = Installation::unmigrated(on);
    says(&installation, "store", 6, "failed", &["strongroom migrate up"]);
}

on_both_stores!(each_fault_has_its_next_command, a_store_without_a_schema);

/// The embedded store never goes back in time; a clock that did is told.
#[tokio::test]
async fn a_clock_that_is_wrong_is_told() {
    let installation = Installation::initialised(On::Sqlite);
    let sql = Sql::of(&installation.store, None);
    sql.run(&["UPDATE meta SET value = CAST(value AS INTEGER) + 3600000000 WHERE key = 'high_water'".into()])
        .await;
    says(&installation, "clock", 0, "warning", &["s apart", "NTP"]);
}

/// What `dev` made needs nothing named, and nothing running.
#[test]
fn a_directory_of_dev_is_known() {
    let store = Store::fresh(On::Sqlite);
    assert!(store.dev(&[]).terminate().success());
    let data = format!("data_dir={}", store.data_dir().display());
    let (code, stdout, stderr) = run(&["operator", "doctor", "--set", &data], &[], b"");
    assert_eq!(code, 0, "{stderr}");
    assert!(
        String::from_utf8(stdout)
            .unwrap()
            .contains("The root key opens the installation.")
    );
}

/// A listener of its own for metrics takes them from nobody who may look.
#[test]
fn metrics_elsewhere_are_found() {
    for on in [On::Sqlite, On::Postgres] {
        let mut installation = Installation::initialised(on);
        installation.metrics = Some(format!("127.0.0.1:{}", own_port()));
        let server = installation.serve();
        says(&installation, "audit queue", 0, "ok", &["of 8192"]);
        server.terminate();
    }
}
