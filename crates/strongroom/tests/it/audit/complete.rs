//! Every route leaves exactly one entry of a success and one of a denial; routes come from the router's own table.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::routes::{Case, EVALUATIONS, Names, cases, routes};
use crate::asks::Ask;
use crate::harness::{Api, On, Server, Store};
use crate::operators::PASSWORD;
use crate::sql::Sql;

async fn entries_of(root: &Api, id: &str) -> Vec<Value> {
    let (status, page) = root.get("audit?limit=50").await;
    assert_eq!(status, 200, "{page}");
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["request_id"] == id)
        .cloned()
        .collect()
}

struct Place {
    store: Store,
    server: Server,
    root: Api,
}

fn place(on: On) -> Place {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    Place { store, server, root }
}

async fn every_route_leaves_one_entry(on: On) {
    let Place {
        store: _store,
        server,
        root,
    } = place(on);
    let nothing = json!([{"path": "secret/nothing", "capabilities": ["read"]}]);
    let powerless = root.with_token(root.workload("powerless", nothing.clone()).await);
    let login = root.workload_login("kept", nothing).await;
    let client = login["client_id"].as_str().unwrap().to_owned();
    let shown = root.get(&format!("clients/{client}")).await.1;
    let principal = shown["principal"].as_str().unwrap().to_owned();
    let secret_id = shown["secrets"][0]["secret_id"].as_str().unwrap().to_owned();
    root.operator("kept", json!({})).await;
    let operator = root.get("operators/kept").await.1["principal"]
        .as_str()
        .unwrap()
        .to_owned();
    let powerless_id = root.get("audit?action=auth.login&limit=1").await.1["items"][0]["principal"].clone();
    let made = root.post("tokens", json!({"policies": ["reader"]})).await.1;
    let target = json!({ "engine": "postgres", "address": "db.test", "credential": "all/x" });
    assert_eq!(root.put("targets/kept", target).await.0, 200);
    let cases = cases(&Names {
        client,
        secret_id,
        principal: principal.clone(),
        operator: operator.clone(),
        token: made["accessor"].as_str().unwrap().to_owned(),
    });
    let mut tried: BTreeSet<String> = cases.iter().map(|case| case.route.to_owned()).collect();
    // Asked without a token, or of oneself: nobody is denied them for want of a capability. Leases need a server that has
    // users, dead letters a webhook that takes nothing, and both have tests of their own.
    let others = [
        "POST leases/{lease}",
        "GET leases/{lease}",
        "DELETE leases/{lease}",
        "POST leases/{lease}/renew",
        "POST dead-letters/{id}",
        "POST auth/client/login",
        "POST auth/password/login",
        "POST auth/{method}/login",
        "POST auth/{method}/start",
        "PUT auth/password",
        "POST auth/password/totp",
        "POST auth/password/totp/confirm",
        "GET auth/whoami",
        "GET /flags/{project}/{environment}/ofrep/v1/stream",
        "DELETE flag-sets/{project}/{environment}/browser-keys/{key_id}",
    ];
    tried.extend(others.into_iter().chain(EVALUATIONS).map(str::to_owned));
    assert_eq!(tried, routes(), "every route of the router, and no other");
    let mut faults = Vec::new();
    let mut checked = 0;
    let mut expect = async |what: String, id: &str, wanted: Value| {
        let entries = entries_of(&root, id).await;
        checked += 1;
        let said: Vec<Value> = entries
            .iter()
            .map(|entry| {
                json!([
                    entry["action"],
                    entry["outcome"],
                    entry["reason"],
                    entry["path"],
                    entry["count"],
                    entry["principal"]
                ])
            })
            .collect();
        if said != [wanted.clone()] {
            faults.push(format!("{what}: {said:?}, not {wanted}"));
        }
    };
    let root_id = root.get("audit?action=policy.write&limit=1").await.1["items"][0]["principal"].clone();
    for (wrong, outcome, reason) in [(false, "granted", Value::Null), (true, "denied", json!("login_failed"))] {
        let mut body = login.clone();
        if wrong {
            body["client_secret"] = json!("src_wrong");
        }
        let nobody = Api {
            token: None,
            ..root.clone()
        };
        let answer = Ask::new(&nobody, "POST", "auth/client/login", Some(body))
            .send(&nobody)
            .await;
        assert_eq!(answer.status, if wrong { 401 } else { 200 }, "{}", answer.text);
        let who = if wrong { Value::Null } else { json!(principal) };
        expect(
            format!("login, wrong: {wrong}"),
            &answer.id,
            json!(["auth.login", outcome, reason, "", 1, who]),
        )
        .await;
    }
    let nobody = Api {
        token: None,
        ..root.clone()
    };
    let ask = |api: &Api, method, path: &str, body| Ask::new(api, method, path, body);
    let kept = root.as_operator("kept", PASSWORD).await;
    let login = |password| Some(json!({"username": "kept", "password": password}));
    let change = |current| Some(json!({"current_password": current, "password": PASSWORD}));
    for (what, asked, wanted) in [
        (
            "password login",
            ask(&nobody, "POST", "auth/password/login", login(PASSWORD)),
            json!(["auth.login", "granted", Value::Null, "", 1, operator]),
        ),
        (
            "failed password login",
            ask(&nobody, "POST", "auth/password/login", login("another password")),
            json!(["auth.login", "denied", "login_failed", "", 1, Value::Null]),
        ),
        (
            "failed login by a method",
            ask(
                &nobody,
                "POST",
                "auth/nobody/login",
                Some(json!({"role": "r", "jwt": "a.b.c"})),
            ),
            json!(["auth.login", "denied", "login_failed", "", 1, Value::Null]),
        ),
        (
            "failed start of a login",
            ask(
                &nobody,
                "POST",
                "auth/nobody/start",
                Some(json!({"redirect_uri": "http://127.0.0.1:1/"})),
            ),
            json!(["auth.login_start", "denied", "login_failed", "", 1, Value::Null]),
        ),
        (
            "whoami",
            ask(&kept, "GET", "auth/whoami", None),
            json!(["auth.whoami", "granted", Value::Null, "", 1, operator]),
        ),
        (
            "whoami without a token",
            ask(&nobody, "GET", "auth/whoami", None),
            json!(["auth.whoami", "denied", "unauthenticated", "", 1, Value::Null]),
        ),
        (
            "own password, wrong",
            ask(&kept, "PUT", "auth/password", change("another password")),
            json!(["operator.password", "denied", "permission_denied", "", 1, operator]),
        ),
        (
            "own password",
            ask(&kept, "PUT", "auth/password", change(PASSWORD)),
            json!(["operator.password", "granted", Value::Null, operator, 1, operator]),
        ),
    ] {
        let answer = asked.send(&root).await;
        expect(what.to_owned(), &answer.id, wanted).await;
    }
    for Case {
        route,
        path,
        body,
        action,
        about: [success, denial],
    } in cases
    {
        let method = route.split(' ').next().unwrap();
        let denied = Ask::new(&powerless, method, &path, body.clone()).send(&root).await;
        assert_eq!(denied.code(), "permission_denied", "{route}: {}", denied.text);
        let wanted = json!([action, "denied", "permission_denied", denial, 1, powerless_id]);
        expect(format!("{route}, denied"), &denied.id, wanted).await;
        // What the log says of it is enough to say what was missing; of a thing that it does not name, what kind that is.
        let refusal = denied.json.pointer("/items/0/error").unwrap_or(&denied.json);
        let named = json!({ "denial_id": refusal["denial_id"] });
        let (status, explained) = powerless.post("explain", named).await;
        assert_eq!(status, 200, "{route}: {explained}");
        let [missing, about] = ["missing", "path"].map(|field| explained[field].as_str().unwrap());
        let said = format!("'{missing}' on '{about}");
        assert!(denied.text.contains(&said), "{route}: {explained} of {}", denied.text);
        let granted = Ask::new(&root, method, &path, body).send(&root).await;
        assert_eq!(granted.code(), "ok", "{route}: {}", granted.text);
        let about = ["client_id", "accessor"].iter().fold(success.clone(), |about, field| {
            about.replace(&format!("<{field}>"), granted.json[*field].as_str().unwrap_or_default())
        });
        expect(
            format!("{route}, granted"),
            &granted.id,
            json!([action, "granted", Value::Null, about, 1, root_id]),
        )
        .await;
    }
    println!(
        "{on:?}: {} routes, {checked} requests, {} not recorded as they should be",
        tried.len(),
        faults.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    server.terminate();
}

async fn exempt_routes_leave_none(on: On) {
    let Place { store, server, root } = place(on);
    let sql = Sql::of(&store, None);
    // The node's own, an hour apart, may come at any time.
    let own = strongroom_domain::audit::Action::ManifestCheck.number();
    let all =
        format!("SELECT (SELECT count(*) FROM entry_reads) + (SELECT count(*) FROM entry_kept WHERE action <> {own})");
    let all = all.as_str();
    let before = sql.number(all).await;
    let exempt: Vec<_> = strongroom_http::every_route()
        .into_iter()
        .filter(|route| route.exempt)
        .collect();
    assert_eq!(exempt.len(), 7, "the closed list of what is not recorded");
    for path in exempt.iter().map(|route| route.path) {
        let ask = Ask {
            path: path.into(),
            ..Ask::get(&root, "")
        };
        assert_eq!(ask.send(&root).await.status, 200, "{path}");
    }
    assert_eq!(sql.number(all).await, before);
    // What is no access by the rules of its route: told here, so that it is known.
    for (method, path) in [
        ("GET", "secrets/a//b"),
        ("PUT", "secrets/a"),
        ("GET", "policies/UPPER"),
        ("GET", "nowhere"),
        ("POST", "policies"),
    ] {
        let (before, answer) = (
            sql.number(all).await,
            Ask::new(&root, method, path, None).send(&root).await,
        );
        println!(
            "{on:?}: {method} {path}: {} leaves {} entries",
            answer.code(),
            sql.number(all).await - before
        );
    }
    server.terminate();
}

async fn identical_failures_fold(on: On) {
    let Place {
        store: _store,
        server,
        root,
    } = place(on);
    let (stranger, other) = (root.with_token("srs_stranger"), root.with_token("not-a-token"));
    let tasks: Vec<_> = (0..50)
        .map(|at| {
            let api = if at % 2 == 0 { stranger.clone() } else { other.clone() };
            // Paths of an unproven caller's choice are not stored, so they do not keep failures apart.
            tokio::spawn(async move { api.get(&format!("secrets/a/{at}")).await })
        })
        .collect();
    let mut others = Vec::new();
    for task in tasks {
        let (status, answer) = task.await.unwrap();
        others.extend((status != 401).then(|| answer.to_string()));
    }
    assert!(others.is_empty(), "{} of 50 are not 401: {}", others.len(), others[0]);
    let (_, page) = root.get("audit?outcome=denied&limit=100").await;
    let items = page["items"].as_array().unwrap();
    let total: i64 = items.iter().map(|item| item["count"].as_i64().unwrap()).sum();
    println!(
        "{on:?}: 50 identical failures at once: {} entries that stand for {total}",
        items.len()
    );
    assert_eq!(total, 50);
    assert!(items.len() < 50, "some came in one batch");
    for item in items {
        assert_eq!(
            (&item["reason"], &item["path"]),
            (&json!("unauthenticated"), &json!("")),
            "{item}"
        );
        assert!(item.get("principal").is_none_or(Value::is_null), "{item}");
    }
    server.terminate();
}

on_both_stores!(
    every_route_leaves_one_entry,
    exempt_routes_leave_none,
    identical_failures_fold
);
