//! `search`: secrets by a part of their path.

use serde_json::Value;

use super::Shell;
use crate::harness::{On, run};

fn paths(listing: &Value) -> Vec<&str> {
    let items = listing["items"].as_array().unwrap();
    items.iter().map(|item| item["path"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_paths_are_found_in_any_case() {
    let shell = Shell::on(On::Sqlite);
    for path in [
        "pay/prod/API-Key",
        "pay/test/api-key",
        "pay/prod/database",
        "shop/ÜBER/key",
    ] {
        shell.ok(&["put", path, "-"], b"x");
    }
    assert_eq!(
        paths(&shell.json(&["search", "API"])),
        ["pay/prod/API-Key", "pay/test/api-key"]
    );
    assert_eq!(
        paths(&shell.json(&["search", "prod/"])),
        ["pay/prod/API-Key", "pay/prod/database"]
    );
    assert_eq!(paths(&shell.json(&["search", "über"])), ["shop/ÜBER/key"]);
    assert_eq!(
        paths(&shell.json(&["search", "key", "--prefix", "pay/test"])),
        ["pay/test/api-key"]
    );
    assert!(paths(&shell.json(&["search", "nowhere"])).is_empty());
    let shown = shell.text(&["search", "database"]);
    assert!(
        shown.contains("pay/prod/database") && !shown.contains("shop"),
        "{shown}"
    );

    // More than one page, and of it only what the caller may see.
    let writes: Vec<_> = (0..150)
        .map(|number| serde_json::json!({"path": format!("many/{number:03}"), "value": "x"}))
        .collect();
    let (status, _) = shell
        .api()
        .post("batch", serde_json::json!({"writes": writes, "atomic": true}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(paths(&shell.json(&["search", "many/"])).len(), 150);
    let rules = serde_json::json!([{"path": "secret/pay/test/*", "capabilities": ["list"]}]);
    let token = shell.api().workload("tester", rules).await;
    let environment = [
        ("STRONGROOM_ADDR", shell.address.as_str()),
        ("STRONGROOM_TOKEN", &token),
    ];
    let (code, stdout, stderr) = run(&["search", "key", "-o", "json"], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(paths(&serde_json::from_slice(&stdout).unwrap()), ["pay/test/api-key"]);
}
