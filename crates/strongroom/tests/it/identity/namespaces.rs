//! Two namespaces see nothing of each other: every route, with what the other has.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SECRET, prepare};
use crate::asks::Ask;
use crate::audit::routes::{Names, cases};
use crate::harness::{Api, On, Store};
use crate::operators::PASSWORD;
use crate::sql::Sql;

/// A namespace, by a token that may do everything there.
async fn namespace(root: &Api, name: &str) -> (Api, Value) {
    let (status, made) = root.call("PUT", &format!("namespaces/{name}"), None).await.unwrap();
    assert_eq!(status, 200, "{made}");
    let (status, token) = root
        .call("POST", &format!("namespaces/{name}/token"), None)
        .await
        .unwrap();
    assert_eq!(status, 201, "{token}");
    (root.with_token(token["token"].as_str().unwrap()), made)
}

/// Status and body, without what names the request itself.
async fn asked(api: &Api, method: &'static str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut answer = Ask::new(api, method, path, body).send(api).await;
    if let Value::Object(fields) = &mut answer.json {
        fields.remove("request_id");
        fields.remove("denial_id");
    }
    (answer.status, answer.json)
}

async fn with_header(api: &Api, namespace: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let method = if body.is_some() {
        reqwest::Method::POST
    } else {
        reqwest::Method::GET
    };
    let mut request = api.http.request(method, format!("{}/api/v1/{path}", api.address));
    if let Some(token) = &api.token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request
        .header("X-Strongroom-Namespace", namespace)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

/// What every namespace is the same in: it has what the cases ask for.
async fn furnished(api: &Api) -> Names {
    for value in ["1", "2"] {
        assert_eq!(api.put("secrets/all/x", json!({ "data": { "a": value } })).await.0, 201);
    }
    assert_eq!(
        api.put("labels/all/x", json!({ "label": "mine", "version": 1 }))
            .await
            .0,
        200
    );
    let rules = json!({ "rules": [{ "path": "secret/x", "capabilities": ["read"] }] });
    assert_eq!(api.put("policies/new", rules).await.0, 200);
    for noun in ["roles/new", "roles/kept", "groups/new"] {
        assert_eq!(api.put(noun, json!({ "policies": [] })).await.0, 200);
    }
    assert_eq!(
        api.put("operators/kept", json!({ "policies": [], "groups": [] }))
            .await
            .0,
        200
    );
    let client = api.post("clients", json!({ "name": "kept", "role": "kept" })).await.1;
    let token = api.post("tokens", json!({ "policies": ["new"] })).await.1;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let shown = api.get(&format!("clients/{}", text(&client["client_id"]))).await.1;
    Names {
        client: text(&client["client_id"]),
        secret_id: text(&client["secret_id"]),
        principal: text(&shown["principal"]),
        operator: text(&api.get("operators/kept").await.1["principal"]),
        token: text(&token["accessor"]),
    }
}

/// Of the installation as a whole: nobody of a namespace is granted it.
fn is_installations(route: &str) -> bool {
    ["keys/slots", "keys/signing", "namespaces"]
        .iter()
        .any(|noun| route.contains(noun))
}

async fn one_has_nothing_of_the_other(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let (ours, _) = namespace(&root, "team-a").await;
    let (theirs, _) = namespace(&root, "team-b").await;
    let names = furnished(&theirs).await;
    furnished(&root).await;
    assert_eq!(ours.put("roles/kept", json!({ "policies": [] })).await.0, 200);
    let nothing = Names::nobody();
    let (mut hidden, mut refused) = (0, 0);
    for (with, without) in cases(&names).into_iter().zip(cases(&nothing)) {
        let method = with.route.split(' ').next().unwrap();
        let found = asked(&ours, method, &with.path, with.body.clone()).await;
        if is_installations(with.route) {
            assert_eq!(found.0, 403, "{}: {found:?}", with.route);
            refused += 1;
            continue;
        }
        let names_one =
            with.route.contains('{') || with.body.as_ref().is_some_and(|body| body.get("accessor").is_some());
        // What makes something makes it here; what lists shows what is here.
        if method == "PUT" || !names_one || matches!(with.route, "GET list/{*prefix}" | "PATCH metadata/{*path}") {
            assert!(found.0 < 500, "{}: {found:?}", with.route);
        } else if with.path == without.path && with.body == without.body {
            hidden += 1;
        } else {
            let none = asked(&ours, method, &without.path, without.body).await;
            assert_eq!(found, none, "{}: theirs, and nobody's", with.route);
            // Ending a token by an accessor that is nobody's says nothing about it.
            assert!(matches!(found.0, 404 | 204), "{}: {found:?}", with.route);
            hidden += 1;
        }
        let text = found.1.to_string();
        assert!(
            !text.contains(&names.client) && !text.contains(&names.operator),
            "{}: {text}",
            with.route
        );
    }
    println!("{on:?}: {hidden} routes about an object, {refused} of the installation");
    // Theirs is as it was.
    assert_eq!(theirs.get("secrets/all/x?version=2").await.1["data"]["a"], "2");
    assert_eq!(theirs.get(&format!("clients/{}", names.client)).await.0, 200);
    assert_eq!(
        theirs
            .post("auth/token/lookup", json!({ "accessor": names.token }))
            .await
            .0,
        200
    );
    server.terminate();
}

async fn a_token_works_in_its_own(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let (team, made) = namespace(&root, "team-a").await;
    assert_eq!(team.get(SECRET).await.0, 404);
    prepare(&team).await;
    assert_eq!(team.put(SECRET, json!({ "value": "theirs" })).await.0, 201);
    assert_eq!(
        (&root.get(SECRET).await.1["value"], &team.get(SECRET).await.1["value"]),
        (&json!("v"), &json!("theirs"))
    );
    for (api, named, wanted) in [
        (&root, "root", 200),
        (&team, "team-a", 200),
        (&root, "team-a", 404),
        (&team, "root", 404),
        (&root, "nothing", 404),
        (&team, "nothing", 404),
        (&root, "No", 400),
        (&root.with_token("srs_nonsense"), "team-a", 401),
        (&root.with_token("srs_nonsense"), "nothing", 401),
    ] {
        assert_eq!(with_header(api, named, SECRET, None).await.0, wanted, "{named}");
    }
    // A login names its namespace, and what it yields is of that one.
    let client = team.post("clients", json!({ "name": "c", "role": "p" })).await.1;
    let login = json!({ "client_id": client["client_id"], "client_secret": client["client_secret"] });
    let nobody = Api {
        token: None,
        ..root.clone()
    };
    for (named, wanted) in [("team-a", 200), ("root", 401), ("nothing", 401)] {
        let (status, answer) = with_header(&nobody, named, "auth/client/login", Some(login.clone())).await;
        assert_eq!(status, wanted, "{named}: {answer}");
        if status == 200 {
            let api = root.with_token(answer["access_token"].as_str().unwrap());
            assert_eq!(api.get(SECRET).await.1["value"], "theirs");
            let claims = answer["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
            let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["namespace"], made["id"]);
        }
    }
    team.operator("ada", json!({ "policies": ["p"] })).await;
    let login = json!({ "username": "ada", "password": PASSWORD });
    let (status, answer) = with_header(&nobody, "team-a", "auth/password/login", Some(login.clone())).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        with_header(&nobody, "root", "auth/password/login", Some(login)).await.0,
        401
    );
    let ada = root.with_token(answer["access_token"].as_str().unwrap());
    assert_eq!(ada.get(SECRET).await.1["value"], "theirs");
    // The log of each is its own.
    let logins = |log: Value| log["items"].as_array().unwrap().len();
    let of = async |api: &Api| logins(api.get("audit?action=auth.login&outcome=granted").await.1);
    assert_eq!((of(&root).await, of(&team).await), (0, 2));
    // Its data key too.
    assert_eq!(team.post("keys/data/rotate", Value::Null).await.0, 200);
    assert_eq!(team.get(SECRET).await.1["value"], "theirs");
    server.terminate();
}

async fn one_that_is_deleted_leaves_its_log_alone(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let (team, made) = namespace(&root, "team-a").await;
    prepare(&team).await;
    furnished(&team).await;
    let id = made["id"].as_str().unwrap();
    assert!(rows(&store, id).await > 5);
    assert_eq!(root.delete("namespaces/root").await.0, 409);
    let (status, answer) = root.call("POST", "namespaces/root/token", None).await.unwrap();
    assert_eq!((status, answer["token"].is_null()), (409, true), "no name gives root");
    assert_eq!(root.delete("namespaces/team-a").await.0, 204);
    assert_eq!(team.get(SECRET).await.0, 401, "at once");
    assert_eq!(team.get("auth/whoami").await.0, 401);
    let mut gone = false;
    for _ in 0..100 {
        gone = root.get("namespaces/team-a").await.0 == 404;
        if gone {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(gone, "it is gone in the end");
    assert_eq!(rows(&store, id).await, 0, "no row is left of it");
    let (_, again) = namespace(&root, "team-a").await;
    assert_ne!(again["id"], made["id"], "an id is never used again");
    assert!(entries(&store, id).await > 0, "what was done in it stays on record");
    server.terminate();
}

async fn rows(store: &Store, namespace: &str) -> i64 {
    let sql = Sql::of(store, None);
    count(&sql, "record", namespace).await + count(&sql, "version", namespace).await
}

async fn entries(store: &Store, namespace: &str) -> i64 {
    count(&Sql::of(store, None), "entry_kept", namespace).await
}

async fn count(sql: &Sql, table: &str, namespace: &str) -> i64 {
    let id = match sql.on() {
        On::Sqlite => format!("X'{namespace}'"),
        On::Postgres => format!("'\\x{namespace}'::bytea"),
    };
    sql.number(&format!("SELECT count(*) FROM {table} WHERE namespace = {id}"))
        .await
}

on_both_stores! {
    one_has_nothing_of_the_other,
    a_token_works_in_its_own,
    one_that_is_deleted_leaves_its_log_alone,
}
