//! A secret's life: patches, versions that go, pending deletion, purge, search and reports.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Api, On, Store};
use crate::sql::Sql;

async fn expect(api: &Api, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
    let (got, answer) = api.call(method, path, body).await.unwrap();
    assert_eq!(got, status, "{method} {path}: {answer}");
    answer
}

/// The text of an answer: a parsed one could not show that a number kept its digits.
async fn text(api: &Api, path: &str) -> String {
    let request = api.http.get(format!("{}/api/v1/{path}", api.address));
    let request = request.bearer_auth(api.token.as_deref().unwrap());
    request.send().await.unwrap().text().await.unwrap()
}

async fn a_patch_keeps_what_it_does_not_name(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let number = "1234567890123456789012345678901234567890";
    let body = format!(r#"{{"data":{{"z":{number},"user":"app","deep":{{"b":1.00,"a":null}}}}}}"#);
    let put = root
        .http
        .put(root.address.clone() + "/api/v1/secrets/app/db")
        .bearer_auth(store.root_token());
    assert_eq!(put.body(body).send().await.unwrap().status(), 201);
    let patch = json!({"data": {"user": null, "deep": {"c": [1]}, "new": "x"}, "cas": 1});
    let written = expect(&root, "PATCH", "secrets/app/db", Some(patch.clone()), 200).await;
    assert_eq!(written["version"], 2);
    let shown = text(&root, "secrets/app/db").await;
    let expected = format!(r#""data":{{"z":{number},"deep":{{"b":1.00,"a":null,"c":[1]}},"new":"x"}}"#);
    assert!(shown.contains(&expected), "{shown}");

    expect(&root, "PATCH", "secrets/app/db", Some(patch), 409).await;
    expect(&root, "PATCH", "secrets/app/absent", Some(json!({"data": {}})), 404).await;
    expect(&root, "PATCH", "secrets/app/db", Some(json!({"value": "x"})), 400).await;
    expect(&root, "PUT", "secrets/app/text", Some(json!({"value": "x"})), 201).await;
    expect(&root, "PATCH", "secrets/app/text", Some(json!({"data": {"a": 1}})), 400).await;

    let rules = json!([{"path": "secret/app/*", "capabilities": ["patch"]}]);
    let patcher = root.with_token(root.workload("patcher", rules).await);
    expect(
        &patcher,
        "PATCH",
        "secrets/app/db",
        Some(json!({"data": {"by": "patcher"}})),
        200,
    )
    .await;
    expect(&patcher, "GET", "secrets/app/db", None, 403).await;
    expect(&patcher, "PUT", "secrets/app/db", Some(json!({"value": "x"})), 403).await;

    // Once each, however often it is sent.
    let send = async || {
        let url = format!("{}/api/v1/secrets/app/db", root.address);
        let request = root.http.patch(url).bearer_auth(store.root_token());
        let request = request.header("idempotency-key", "0123456789abcdef0123456789abcdef");
        let answer = request.body(r#"{"data":{"n":1}}"#).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let first = send().await;
    assert_eq!(send().await, first);
}

async fn old_versions_go_and_what_is_destroyed_stays_so(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    for at in 1..=12 {
        expect(
            &root,
            "PUT",
            "secrets/app/key",
            Some(json!({"value": format!("value {at}")})),
            201,
        )
        .await;
        if at == 1 {
            expect(
                &root,
                "PUT",
                "labels/app/key",
                Some(json!({"label": "first", "version": 1})),
                200,
            )
            .await;
        }
    }
    let history = expect(&root, "GET", "versions/app/key", None, 200).await;
    let numbers: Vec<i64> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_i64().unwrap())
        .collect();
    assert_eq!(
        numbers,
        [1, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        "ten are kept, the labelled one among them"
    );
    expect(&root, "GET", "secrets/app/key?version=2", None, 404).await;
    expect(&root, "GET", "secrets/app/key?label=first", None, 200).await;

    expect(
        &root,
        "PATCH",
        "metadata/app/key",
        Some(json!({"max_versions": 2, "cas_required": true})),
        200,
    )
    .await;
    expect(&root, "PUT", "secrets/app/key", Some(json!({"value": "x"})), 400).await;
    expect(
        &root,
        "PUT",
        "secrets/app/key",
        Some(json!({"value": "value 13", "cas": 12})),
        201,
    )
    .await;
    let history = expect(&root, "GET", "versions/app/key", None, 200).await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 2, "{history}");

    let destroy = |versions: Value| Some(json!({"action": "destroy", "versions": versions}));
    expect(&root, "POST", "versions/app/key", destroy(json!([1])), 200).await;
    expect(&root, "POST", "versions/app/key", destroy(json!([1])), 200).await;
    expect(&root, "POST", "versions/app/key", destroy(json!([99])), 404).await;
    let refused = expect(&root, "GET", "secrets/app/key?version=1", None, 404).await;
    assert_eq!(refused["code"], "destroyed");
    expect(
        &root,
        "POST",
        "versions/app/key",
        Some(json!({"action": "undelete", "versions": [1]})),
        404,
    )
    .await;
    let read = expect(&root, "GET", "secrets/app/key", None, 200).await;
    assert_eq!(read["value"], "value 13");
    let sql = Sql::of(&store, None);
    let left = "SELECT sum(length(salt) + length(commitment) + length(sealed)) FROM version WHERE number = 1";
    assert_eq!(sql.number(left).await, 0, "nothing is left to open");
    assert_eq!(
        sql.number("SELECT count(*) FROM version").await,
        2,
        "what was pruned is gone"
    );
    expect(&root, "POST", "versions/app/key", destroy(json!([1, 13])), 200).await;
    let (_, audit) = root
        .get("audit?path=app/key&action=secret.destroy&outcome=granted")
        .await;
    let entries = audit["items"].as_array().unwrap().iter();
    let mut on_record: Vec<_> = entries.filter_map(|entry| entry["version"].as_i64()).collect();
    on_record.sort_unstable();
    assert_eq!(on_record, [1, 1, 1, 13], "an entry for each version of each call");
}

async fn a_version_expires_when_it_is_read(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    expect(
        &root,
        "PUT",
        "metadata/app/short",
        Some(json!({"delete_after": 2})),
        200,
    )
    .await;
    expect(&root, "PUT", "secrets/app/short", Some(json!({"value": "brief"})), 201).await;
    expect(&root, "GET", "secrets/app/short", None, 200).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let refused = expect(&root, "GET", "secrets/app/short", None, 404).await;
    assert_eq!(refused["code"], "deleted");
    let history = expect(&root, "GET", "versions/app/short", None, 200).await;
    assert_eq!(history["versions"][0]["state"], "deleted");
    expect(
        &root,
        "POST",
        "versions/app/short",
        Some(json!({"action": "undelete", "versions": [1]})),
        200,
    )
    .await;
    expect(&root, "GET", "secrets/app/short", None, 200).await;
    for bad in [
        json!({"delete_after": 0}),
        json!({"max_versions": 0}),
        json!({"max_versions": 1001}),
    ] {
        expect(&root, "PATCH", "metadata/app/short", Some(bad), 400).await;
    }
}

async fn a_secret_goes_in_two_steps(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    expect(
        &root,
        "PUT",
        "secrets/app/gone",
        Some(json!({"value": "still here"})),
        201,
    )
    .await;
    expect(&root, "DELETE", "metadata/app/gone?recovery_days=6", None, 400).await;
    expect(
        &root,
        "DELETE",
        "metadata/app/gone?recovery_days=7&purge=true",
        None,
        400,
    )
    .await;
    let retired = expect(&root, "DELETE", "metadata/app/gone?recovery_days=30", None, 200).await;
    assert!(retired["pending_until"].is_string());
    for (method, path, body) in [
        ("GET", "secrets/app/gone", None),
        ("PUT", "secrets/app/gone", Some(json!({"value": "x"}))),
        ("PATCH", "secrets/app/gone", Some(json!({"data": {}}))),
        ("DELETE", "secrets/app/gone", None),
        ("PATCH", "metadata/app/gone", Some(json!({"owner": "x"}))),
        ("DELETE", "metadata/app/gone", None),
        (
            "POST",
            "versions/app/gone",
            Some(json!({"action": "destroy", "versions": [1]})),
        ),
    ] {
        let refused = expect(&root, method, path, body, 404).await;
        assert_eq!(refused["code"], "pending_deletion", "{method} {path}");
    }
    let described = expect(&root, "GET", "metadata/app/gone", None, 200).await;
    assert_eq!(described["pending_until"], retired["pending_until"]);
    expect(
        &root,
        "POST",
        "metadata/app/gone",
        Some(json!({"action": "restore"})),
        204,
    )
    .await;
    expect(
        &root,
        "POST",
        "metadata/app/gone",
        Some(json!({"action": "restore"})),
        409,
    )
    .await;
    let read = expect(&root, "GET", "secrets/app/gone", None, 200).await;
    assert_eq!(read["value"], "still here");

    let rules = json!([{"path": "secret/app/*", "capabilities": ["delete", "read"]}]);
    let deleter = root.with_token(root.workload("deleter", rules).await);
    expect(&deleter, "DELETE", "metadata/app/gone?purge=true", None, 403).await;
    expect(&deleter, "DELETE", "metadata/app/gone", None, 200).await;
    expect(&root, "DELETE", "metadata/app/gone?purge=true", None, 204).await;
    let refused = expect(&root, "GET", "secrets/app/gone", None, 404).await;
    assert_eq!(refused["code"], "not_found");
    assert_eq!(Sql::of(&store, None).number("SELECT count(*) FROM version").await, 0);
    let again = expect(
        &root,
        "PUT",
        "secrets/app/gone",
        Some(json!({"value": "anew", "cas": 0})),
        201,
    )
    .await;
    assert_eq!(again["version"], 1);
    let (_, audit) = root.get("audit?path=app/gone&action=secret.purge").await;
    assert_eq!(audit["items"][0]["outcome"], "granted");
}

async fn searching_shows_what_matches_and_may_be_seen(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    for (path, about) in [
        (
            "pay/prod/db",
            json!({"type": "database", "owner": "pay", "tags": {"tier": "1"}}),
        ),
        (
            "pay/prod/api",
            json!({"type": "api-key", "owner": "pay", "description": "The Billing API"}),
        ),
        (
            "web/prod/db",
            json!({"type": "database", "owner": "web", "tags": {"tier": "2"}}),
        ),
    ] {
        expect(&root, "PUT", &format!("metadata/{path}"), Some(about), 200).await;
    }
    let found = async |api: &Api, query: &str| -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = expect(
                api,
                "GET",
                &format!("list/?recursive=true&limit=1&{query}{cursor}"),
                None,
                200,
            )
            .await;
            names.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["path"].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return names,
            }
        }
    };
    assert_eq!(found(&root, "type=database").await, ["pay/prod/db", "web/prod/db"]);
    assert_eq!(found(&root, "owner=pay").await, ["pay/prod/api", "pay/prod/db"]);
    assert_eq!(found(&root, "tag=tier:2").await, ["web/prod/db"]);
    assert_eq!(found(&root, "q=billing").await, ["pay/prod/api"]);
    assert_eq!(found(&root, "q=DB&owner=web").await, ["web/prod/db"]);
    expect(&root, "GET", "list/?tag=tier", None, 400).await;
    expect(&root, "GET", "list/?type=nothing", None, 400).await;
    let rules = json!([{"path": "secret/web/*", "capabilities": ["list"]}]);
    let other = root.with_token(root.workload("other", rules).await);
    assert_eq!(found(&other, "type=database").await, ["web/prod/db"]);
}

async fn reports_name_what_nobody_reads_or_changes(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    expect(&root, "PUT", "secrets/app/read", Some(json!({"value": "x"})), 201).await;
    expect(&root, "PUT", "secrets/app/unread", Some(json!({"value": "x"})), 201).await;
    expect(&root, "GET", "secrets/app/read", None, 200).await;
    assert!(
        expect(&root, "GET", "reports/unused?days=1", None, 200).await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    expect(&root, "GET", "reports/unused?days=0", None, 400).await;
    let rules = json!([{"path": "secret/app/*", "capabilities": ["list"]}]);
    let lister = root.with_token(root.workload("lister", rules).await);
    expect(&lister, "GET", "reports/stale", None, 403).await;
    // What was noted is written down when the node stops.
    assert!(server.terminate().success());
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let read = expect(&root, "GET", "metadata/app/read", None, 200).await;
    assert!(
        read["last_used_at"]
            .as_str()
            .is_some_and(|at| at.ends_with(":00.000000Z")),
        "{read}"
    );
    let unread = expect(&root, "GET", "metadata/app/unread", None, 200).await;
    assert!(unread.get("last_used_at").is_none(), "{unread}");
}

on_both_stores!(
    a_patch_keeps_what_it_does_not_name,
    old_versions_go_and_what_is_destroyed_stays_so,
    a_version_expires_when_it_is_read,
    a_secret_goes_in_two_steps,
    searching_shows_what_matches_and_may_be_seen,
    reports_name_what_nobody_reads_or_changes,
);
