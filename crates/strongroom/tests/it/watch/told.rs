//! What is told, and to whom.

use serde_json::{Value, json};

use super::{Stream, put, settle};
use crate::harness::{Api, On, Store};
use crate::sql::Sql;

async fn names_are_told_as_they_change_and_values_never(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let mut stream = Stream::open(&root, "").await;
    let start = stream.start().await;
    put(&root, "app/key").await;
    put(&root, "app/key").await;
    assert_eq!(root.delete("secrets/app/key").await.0, 200);
    assert_eq!(root.put("metadata/app/key", json!({ "owner": "me" })).await.0, 200);
    // What grants something is nothing that watchers see.
    let rules = json!({ "rules": [{ "path": "secret/x", "capabilities": ["read"] }] });
    assert_eq!(root.put("policies/p", rules).await.0, 200);
    put(&root, "ünïcode/🔑").await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let event = stream.next().await.unwrap();
        assert_eq!(
            (event.name.as_str(), event.data["revision"].as_i64()),
            ("change", Some(event.id))
        );
        assert!(event.id > start && Some(&event.id) > told.last().map(|(id, _): &(i64, Value)| id));
        told.push((event.id, event.data));
    }
    let said: Vec<Value> = told
        .iter()
        .map(|(_, data)| json!([data["kind"], data["path"], data["version"], data["action"]]))
        .collect();
    assert_eq!(
        json!(said),
        json!([
            ["secret", "app/key", 1, "secret.write"],
            ["secret", "app/key", 2, "secret.write"],
            ["secret", "app/key", 2, "secret.delete"],
            ["secret", "app/key", null, "metadata.write"],
            ["secret", "ünïcode/🔑", 1, "secret.write"],
        ])
    );
    assert!(!stream.text.contains("kept to itself"));
    // The same by one answer after another.
    let (mut since, mut pages) = (start, Vec::new());
    while since < told[4].0 {
        let (status, page) = root.get(&format!("watch?since={since}&wait=10")).await;
        assert_eq!(status, 200, "{page}");
        since = page["revision"].as_i64().unwrap();
        pages.extend(page["changes"].as_array().unwrap().clone());
    }
    assert_eq!(pages, told.iter().map(|(_, data)| data.clone()).collect::<Vec<_>>());
    // Resumed anywhere, the rest and nothing else.
    let mut all = vec![stream];
    for (at, (id, _)) in told.iter().enumerate() {
        let mut resumed = Stream::resumed(&root, "?since=1", Some(*id)).await.unwrap();
        assert_eq!(resumed.start().await, *id);
        for (_, data) in &told[at + 1..] {
            assert_eq!(&resumed.next().await.unwrap().data, data);
        }
        all.push(resumed);
    }
    put(&root, "later").await;
    for stream in &mut all {
        stream.change("later").await;
    }
}

async fn one_answer_waits_for_a_change(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    put(&root, "app/key").await;
    let (status, now) = root.get("watch?wait=60").await;
    assert_eq!(
        (status, &now["changes"]),
        (200, &json!([])),
        "from now on, said at once"
    );
    let since = now["revision"].as_i64().unwrap();
    let waiting = |seconds: u8| {
        let root = root.clone();
        tokio::spawn(async move {
            root.get(&format!("watch?since={since}&prefix=app&wait={seconds}"))
                .await
        })
    };
    let (waits, began) = (waiting(10), std::time::Instant::now());
    put(&root, "other/key").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(
        !waits.is_finished(),
        "what it may not or does not want to see wakes nobody"
    );
    put(&root, "app/key").await;
    let (status, page) = waits.await.unwrap();
    assert_eq!((status, page["changes"].as_array().unwrap().len()), (200, 1), "{page}");
    assert!(began.elapsed().as_secs() < 9);
    assert!(page["revision"].as_i64().unwrap() >= since + 2);
    let last = page["revision"].as_i64().unwrap();
    let (status, page) = root.get(&format!("watch?since={last}&wait=1")).await;
    assert_eq!((status, page), (200, json!({ "revision": last, "changes": [] })));
}

async fn each_sees_what_a_listing_shows(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let may = async |name: &str, path: &str, capability: &str| {
        let rules = json!([
            { "path": path, "capabilities": [capability] },
            { "path": "secret/app/prod/hidden", "capabilities": ["deny"] },
        ]);
        root.with_token(root.workload(name, rules).await)
    };
    let reader = may("reads", "secret/app/prod/*", "read").await;
    let lister = may("lists", "secret/app/*", "list").await;
    let elsewhere = may("elsewhere", "secret/elsewhere/*", "read").await;
    let mut streams = Vec::new();
    for (api, query) in [
        (&root, ""),
        (&root, "?prefix=app/prod"),
        (&root, "?prefix=app/prod/key/"),
        (&reader, ""),
        (&reader, "?prefix=app"),
        (&lister, ""),
    ] {
        let mut stream = Stream::open(api, query).await;
        stream.start().await;
        streams.push(stream);
    }
    let paths = [
        "app/prod/key",
        "app/prod/hidden",
        "app/production/key",
        "app/prod",
        "app/prod/key/below",
        "app/test/key",
        "else/where",
        "elsewhere/key",
        "app/prod/end",
    ];
    for path in paths {
        put(&root, path).await;
    }
    let seen = [
        &[0, 1, 2, 3, 4, 5, 6, 7, 8][..],
        &[0, 1, 3, 4, 8],
        &[0, 4],
        // A secret named as a folder in which something may be read is shown, as a listing shows the folder.
        &[0, 3, 4, 8],
        &[0, 3, 4, 8],
        &[0, 2, 3, 4, 5, 8],
    ];
    for (stream, seen) in streams.iter_mut().zip(seen) {
        for path in seen {
            stream.change(paths[*path]).await;
        }
    }
    // The same by one answer, and by a listing.
    let page = reader.get("watch?since=0&wait=1").await.1;
    let told: Vec<&str> = page["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["app/prod/key", "app/prod", "app/prod/key/below", "app/prod/end"]);
    let listed = reader.get("list?recursive=true").await.1;
    let mut told = told;
    told.sort_unstable();
    let listed: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(told, listed);
    // Who may see nothing there is told so, and who may see something elsewhere is not let in for that.
    for query in ["?prefix=app", "?prefix=app&wait=1", "?prefix=elsewher&since=0&wait=1"] {
        let answer = Stream::ask(&elsewhere, query, None).await.unwrap();
        assert_eq!(answer.status(), 403, "{query}");
    }
}

async fn namespaces_see_nothing_of_each_other(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let mut tenants = Vec::new();
    for name in ["team-a", "team-b"] {
        assert_eq!(root.put(&format!("namespaces/{name}"), Value::Null).await.0, 200);
        let made = root
            .call("POST", &format!("namespaces/{name}/token"), None)
            .await
            .unwrap()
            .1;
        tenants.push(root.with_token(made["token"].as_str().unwrap()));
    }
    tenants.push(root.clone());
    let mut streams = Vec::new();
    for tenant in &tenants {
        let mut stream = Stream::open(tenant, "").await;
        stream.start().await;
        streams.push(stream);
    }
    for round in 0..5 {
        for (number, tenant) in tenants.iter().enumerate() {
            put(tenant, &format!("of/{number}/{round}")).await;
        }
    }
    for (number, (tenant, stream)) in tenants.iter().zip(&mut streams).enumerate() {
        for round in 0..5 {
            stream.change(&format!("of/{number}/{round}")).await;
        }
        settle(tenant, stream, "end").await;
        let page = tenant.get("watch?since=0&wait=1").await.1;
        for change in page["changes"].as_array().unwrap() {
            let path = change["path"].as_str().unwrap();
            assert!(path == "end" || path.starts_with(&format!("of/{number}/")), "{path}");
        }
    }
}

async fn what_is_not_kept_any_more_is_listed_anew(on: On) {
    let store = Store::fresh(on);
    let first = store.dev(&[]);
    let root = Api::new(&first, store.root_token());
    for round in 0..5 {
        put(&root, &format!("old/{round}")).await;
    }
    let since = root.get("watch?wait=1").await.1["revision"].as_i64().unwrap();
    first.terminate();
    let sql = Sql::of(&store, None);
    sql.run(&[format!("DELETE FROM change WHERE revision < {since}")]).await;
    let server = store.dev(&[]);
    let root = root.at(&server);
    for lost in [0, 1, since - 2, since + 1000] {
        let (status, answer) = root.get(&format!("watch?since={lost}&wait=1")).await;
        assert_eq!(
            (status, &answer["code"]),
            (410, &json!("revision_too_old")),
            "{lost}: {answer}"
        );
        let mut stream = Stream::open(&root, &format!("?since={lost}")).await;
        assert_eq!(stream.start().await, lost);
        let reset = stream.next().await.unwrap();
        assert_eq!(
            (reset.name.as_str(), reset.data),
            ("reset", json!({ "revision": reset.id }))
        );
        assert!(reset.id >= since && reset.id < since + 1000);
        settle(&root, &mut stream, &format!("new/{lost}")).await;
    }
    let (status, page) = root.get(&format!("watch?since={}&wait=1&prefix=old", since - 1)).await;
    assert_eq!((status, page["changes"].as_array().unwrap().len()), (200, 1), "{page}");
}

async fn who_watched_is_on_record(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let rules = json!([{ "path": "secret/app/*", "capabilities": ["read"] }]);
    let watcher = root.with_token(root.workload("watcher", rules).await);
    let mut stream = Stream::open(&watcher, "?prefix=app").await;
    let start = stream.start().await;
    let entries = async |action: &str| -> Vec<Value> {
        let found = root.get(&format!("audit?action={action}")).await.1;
        found["items"].as_array().unwrap().clone()
    };
    let begun = entries("watch.start").await;
    assert_eq!(
        (begun.len(), &begun[0]["path"], &begun[0]["version"]),
        (1, &json!("app"), &json!(start))
    );
    assert!(entries("watch.end").await.is_empty());
    put(&root, "app/key").await;
    let last = stream.change("app/key").await.id;
    drop(stream);
    let mut ended = Vec::new();
    for _ in 0..100 {
        ended = entries("watch.end").await;
        if !ended.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(
        (ended.len(), &ended[0]["path"], &ended[0]["version"]),
        (1, &json!("app"), &json!(last))
    );
    assert_eq!(begun[0]["principal"], ended[0]["principal"]);
    assert_eq!(watcher.get("watch?since=0&prefix=app&wait=1").await.0, 200);
    assert_eq!(entries("watch.read").await.len(), 1);
    let nobody = watcher.with_token("srs_nobody");
    assert_eq!(Stream::ask(&nobody, "", None).await.unwrap().status(), 401);
    assert_eq!(
        Stream::ask(&watcher, "?prefix=other", None).await.unwrap().status(),
        403
    );
    let refused = entries("watch.start").await;
    let outcomes: Vec<&str> = refused.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["denied", "denied", "granted"]);
}

async fn bad_requests_are_told_what_is_wrong(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    for query in [
        "?since=-1",
        "?since=x",
        "?since=9223372036854775808",
        "?since=1&since=2",
        "?wait=0",
        "?wait=61",
        "?wait=x",
        "?prefix=a//b",
        "?prefix=%00",
        "?prefixes=a",
        &format!("?prefix={}", "a".repeat(513)),
    ] {
        assert_eq!(Stream::ask(&root, query, None).await.unwrap().status(), 400, "{query}");
    }
    assert_eq!(Stream::ask(&root, "", Some(-1)).await.unwrap().status(), 400);
    let url = format!("{}/api/v1/watch", root.address);
    let asked = root.http.get(url).bearer_auth(root.token.as_deref().unwrap());
    assert_eq!(asked.header("Last-Event-ID", "one").send().await.unwrap().status(), 400);
    let mut stream = Stream::resumed(&root, "?since=7", Some(i64::MAX)).await.unwrap();
    assert_eq!(stream.start().await, i64::MAX);
    assert_eq!(stream.next().await.unwrap().name, "reset");
}

on_both_stores!(
    names_are_told_as_they_change_and_values_never,
    one_answer_waits_for_a_change,
    each_sees_what_a_listing_shows,
    namespaces_see_nothing_of_each_other,
    what_is_not_kept_any_more_is_listed_anew,
    who_watched_is_on_record,
    bad_requests_are_told_what_is_wrong,
);
