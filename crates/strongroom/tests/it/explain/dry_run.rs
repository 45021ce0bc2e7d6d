//! What writing a policy would change is told before it is written, and is what it then changes.

use serde_json::{Value, json};

use super::{Place, ok};
use crate::harness::{Api, On, run};
use crate::operators::PASSWORD;

fn rules(paths: &[(&str, &[&str])]) -> Value {
    let rules = paths
        .iter()
        .map(|(path, capabilities)| json!({ "path": path, "capabilities": capabilities }));
    json!({ "rules": rules.collect::<Vec<_>>() })
}

/// Each change as one line, in order: what, where, whose, by which rules.
async fn tried(root: &Api, name: &str, body: Value) -> Vec<String> {
    let found = ok(root, "PUT", &format!("policies/{name}?dry_run=true"), body).await;
    assert_eq!(found["more"], false, "{found}");
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let mut lines: Vec<String> = found["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let words = ["change", "capability", "path", "kind", "name"].map(|field| text(&change[field]));
            let sides = ["before", "after"].map(|side| text(&change[side]["path"]));
            format!("{} ({}) {}", words.join(" "), sides.join(" > "), change["through"])
        })
        .collect();
    lines.sort();
    lines
}

async fn whose_access_changes_is_told_before(on: On) {
    let Place {
        server,
        root,
        store: _store,
    } = Place::on(on);
    ok(&root, "PUT", "secrets/a/b", json!({ "value": "v" })).await;
    ok(&root, "PUT", "policies/p", rules(&[("secret/a/*", &["read"])])).await;
    ok(&root, "PUT", "policies/narrow", rules(&[("secret/a/b", &["read"])])).await;
    ok(&root, "PUT", "groups/all", json!({ "policies": ["p"] })).await;
    root.operator("ada", json!({ "policies": [], "groups": ["all"] })).await;
    root.operator("eve", json!({ "policies": ["auditor"] })).await;
    ok(&root, "PUT", "roles/job", json!({ "policies": ["p"] })).await;
    ok(&root, "PUT", "roles/kept", json!({ "policies": ["narrow", "p"] })).await;
    ok(&root, "POST", "clients", json!({ "name": "runner", "role": "job" })).await;
    let made = ok(&root, "POST", "tokens", json!({ "policies": ["p"], "ttl": 600 })).await;
    let accessor = made["accessor"].as_str().unwrap();
    let everybody = |what: &str, rules: &str| {
        let by = [
            ("client runner", json!([{ "role": "job" }])),
            ("operator ada", json!([{ "group": "all" }])),
            ("role job", json!([{ "role": "job" }])),
            ("role kept", json!([{ "role": "kept" }])),
            (&format!("token {accessor}"), json!(["own"])),
        ];
        by.map(|(who, through)| format!("{what} {who} ({rules}) {through}"))
            .to_vec()
    };

    // The same again changes nothing; more, and less, is a gain and a loss for all who have it, and for nobody else.
    assert!(tried(&root, "p", rules(&[("secret/a/*", &["read"])])).await.is_empty());
    let more = rules(&[("secret/a/*", &["read", "list"])]);
    let gained = everybody("gained list secret/a/*", "secret/a/* > secret/a/*");
    assert_eq!(tried(&root, "p", more).await, gained);
    let lost = everybody("lost read secret/a/*", "secret/a/* > none");
    assert_eq!(tried(&root, "p", rules(&[("secret/other", &["deny"])])).await, lost);
    // What one policy denies, a more specific rule of another one may still grant.
    let denied = tried(
        &root,
        "p",
        rules(&[("secret/a/*", &["read"]), ("secret/a/+", &["deny"])]),
    )
    .await;
    assert_eq!(denied, everybody("lost read secret/a/+", "secret/a/* > secret/a/+"));
    let narrow = tried(&root, "narrow", rules(&[("secret/a/b", &["list"])])).await;
    assert_eq!(
        narrow,
        [
            r#"gained list secret/a/b role kept (secret/a/b > secret/a/b) [{"role":"kept"}]"#,
            r#"lost read secret/a/b role kept (secret/a/b > secret/a/b) [{"role":"kept"}]"#,
        ]
    );
    // A rule that a more specific one shadows wherever it matches changes nothing.
    let shadowed = rules(&[("secret/a/b", &["read"]), ("secret/a/c", &["read"])]);
    let found = tried(&root, "narrow", shadowed).await;
    assert!(found.is_empty(), "'p' grants it already: {found:?}");

    // Nothing was written, and what is written then is what was told.
    assert_eq!(root.get("policies/p").await.1["version"], 1);
    let ada = root.as_operator("ada", PASSWORD).await;
    assert_eq!(ada.get("secrets/a/b").await.0, 200);
    ok(
        &root,
        "PUT",
        "policies/p",
        rules(&[("secret/a/*", &["read"]), ("secret/a/+", &["deny"])]),
    )
    .await;
    assert_eq!(ada.get("secrets/a/b").await.0, 403);
    server.terminate();
}

async fn templates_are_tried_by_name(on: On) {
    let Place {
        server,
        root,
        store: _store,
    } = Place::on(on);
    let home = "secret/home/{{principal.name}}/*";
    ok(&root, "PUT", "policies/home", rules(&[(home, &["read"])])).await;
    for name in ["ada", "eve"] {
        root.operator(name, json!({ "policies": ["home"] })).await;
    }
    ok(&root, "PUT", "roles/nameless", json!({ "policies": ["home"] })).await;
    let found = tried(
        &root,
        "home",
        rules(&[(home, &["read"]), ("secret/home/ada/*", &["list"])]),
    )
    .await;
    let at = "secret/home/ada/*";
    assert_eq!(
        found,
        [
            format!(r#"gained list {at} operator ada ({at} > {at}) ["own"]"#),
            format!(r#"gained list {at} operator eve (none > {at}) ["own"]"#),
            format!(r#"gained list {at} role nameless (none > {at}) [{{"role":"nameless"}}]"#),
        ]
    );
    let found = tried(&root, "home", rules(&[("secret/elsewhere", &["deny"])])).await;
    let lost =
        |name| format!(r#"lost read secret/home/{name}/* operator {name} (secret/home/{name}/* > none) ["own"]"#);
    assert_eq!(found, [lost("ada"), lost("eve")], "a role has no name, and had nothing");
    server.terminate();
}

async fn a_dry_run_takes_what_writing_takes_and_more(on: On) {
    let Place { server, root, store } = Place::on(on);
    let body = rules(&[("secret/a/*", &["read"])]);
    let writes = rules(&[("sys/policies/*", &["create", "update"])]);
    let asks = rules(&[("sys/explain", &["read"])]);
    let both = rules(&[("sys/policies/*", &["create", "update"]), ("sys/explain", &["read"])]);
    for (name, own, missing) in [
        ("writes", writes, Some("read sys/explain")),
        ("asks", asks, Some("create sys/policies/new")),
        ("both", both, None),
    ] {
        let api = root.with_token(root.workload(name, own["rules"].clone()).await);
        let (status, answer) = api.put("policies/new?dry_run=true", body.clone()).await;
        assert_eq!(status, if missing.is_some() { 403 } else { 200 }, "{name}: {answer}");
        if let Some(missing) = missing {
            let why = ok(&api, "POST", "explain", json!({ "denial_id": answer["denial_id"] })).await;
            let [capability, path] = ["missing", "path"].map(|field| why[field].as_str().unwrap());
            assert_eq!(format!("{capability} {path}"), missing, "{why}");
        }
    }
    assert_eq!(root.get("policies/new").await.0, 404);
    for (path, body, status) in [
        ("policies/admin", body.clone(), 409),
        ("policies/both", json!({ "rules": body["rules"], "cas": 7 }), 409),
        ("policies/new", json!({ "rules": body["rules"], "cas": 1 }), 409),
        ("policies/new", rules(&[("a/*", &["read"])]), 400),
    ] {
        let dry = root.put(&format!("{path}?dry_run=true"), body.clone()).await;
        assert_eq!(dry.0, status, "{path}: {}", dry.1);
        let (status, wet) = root.put(path, body).await;
        assert_eq!(
            (dry.0, &dry.1["code"]),
            (status, &wet["code"]),
            "as writing it is refused"
        );
    }
    let page = root.get("audit?action=policy.dry_run&path=new").await.1;
    let outcomes: Vec<&Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["outcome"])
        .collect();
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == "granted").count(),
        1,
        "{page}"
    );
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == "denied").count(),
        2,
        "{page}"
    );

    let (address, token) = (server.address(), store.root_token());
    let environment = [
        ("STRONGROOM_ADDR", address.as_str()),
        ("STRONGROOM_TOKEN", token.as_str()),
    ];
    let less = rules(&[("sys/explain", &["read"])]).to_string();
    let put = |name: &str, body: &str| {
        let args = ["policy", "put", name, "-", "--dry-run"];
        let (code, stdout, stderr) = run(&args, &environment, body.as_bytes());
        (code, String::from_utf8(stdout).unwrap() + &stderr)
    };
    let (code, said) = put("both", &less);
    let lines = said
        .lines()
        .filter(|line| line.starts_with("lost") && line.contains("sys/policies/*"));
    assert_eq!(
        (code, lines.count()),
        (6, 4),
        "two capabilities of a role and a client: {said}"
    );
    let (code, said) = put("asks", &less);
    assert!(code == 0 && said.contains("Nobody's access would change"), "{said}");
    assert_eq!(root.get("policies/both").await.1["version"], 1);
    server.terminate();
}

on_both_stores!(
    whose_access_changes_is_told_before,
    templates_are_tried_by_name,
    a_dry_run_takes_what_writing_takes_and_more
);
