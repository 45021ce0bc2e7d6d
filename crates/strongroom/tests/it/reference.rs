//! The reference pages in `docs/` are what the program says of itself.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::harness::{On, Store, run};

const PAGES: &[(&str, &str)] = &[
    ("configuration", "CONFIGURATION.md"),
    ("cli", "CLI.md"),
    ("errors", "ERRORS.md"),
    ("actions", "ACTIONS.md"),
    ("metrics", "METRICS.md"),
    ("openapi", "openapi.json"),
];

pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn committed(file: &str) -> String {
    std::fs::read_to_string(workspace().join("docs").join(file)).unwrap_or_default()
}

#[test]
fn pages_are_as_committed() {
    let mut drift = Vec::new();
    for (page, file) in PAGES {
        let (code, fresh, stderr) = run(&["reference", page], &[], b"");
        assert_eq!(code, 0, "{page}: {stderr}");
        let (fresh, committed) = (String::from_utf8(fresh).unwrap(), committed(file));
        if fresh != committed {
            let first = fresh
                .lines()
                .zip(committed.lines())
                .position(|(one, other)| one != other);
            let shorter = fresh.lines().count().min(committed.lines().count());
            drift.push(format!("docs/{file}, line {}", first.unwrap_or(shorter) + 1));
        }
    }
    assert!(
        drift.is_empty(),
        "out of date: {}; run `cargo xtask docs` and commit what it changes",
        drift.join("; ")
    );
}

/// A family that appears only with use would be missing from the page.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_use_has_no_other_metrics() {
    let store = Store::fresh(On::Sqlite);
    let server = store.dev(&[]);
    let api = crate::harness::Api::new(&server, store.root_token());
    let value = serde_json::json!({ "value": "x" });
    assert_eq!(api.put("secrets/a", value).await.0, 201);
    assert_eq!(api.get("secrets/a").await.0, 200);
    assert_eq!(api.get("secrets/b").await.0, 404);
    assert_eq!(api.with_token("nobody").get("secrets/a").await.0, 401);
    let text = api.http.get(server.url("/metrics")).send().await.unwrap();
    let text = text.text().await.unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE strongroom_"));
    let served: BTreeSet<String> = names
        .map(|rest| format!("strongroom_{}", rest.split(' ').next().unwrap()))
        .collect();
    let page = committed("METRICS.md");
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `strongroom_"))
        .map(|rest| format!("strongroom_{}", rest.split('`').next().unwrap()))
        .collect();
    assert!(listed.len() > 10);
    assert_eq!(served, listed);
}
