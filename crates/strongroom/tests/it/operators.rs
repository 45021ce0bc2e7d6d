//! People: passwords, groups, what they rest on, and the policies that every installation has.

mod floods;
mod rests;
mod values;

use serde_json::{Value, json};

use crate::asks::Ask;
use crate::harness::{Api, On, Store};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

impl Api {
    /// An operator with a password.
    pub(crate) async fn operator(&self, name: &str, may: Value) {
        let (status, answer) = self.put(&format!("operators/{name}"), may).await;
        assert_eq!(status, 200, "{answer}");
        let password = json!({ "password": PASSWORD });
        assert_eq!(self.put(&format!("operators/{name}/password"), password).await.0, 204);
    }

    pub(crate) async fn log_in(&self, name: &str, password: &str) -> (u16, Value) {
        let nobody = Self {
            token: None,
            ..self.clone()
        };
        let login = json!({ "username": name, "password": password });
        nobody.post("auth/password/login", login).await
    }

    /// The same API with the operator's token.
    pub(crate) async fn as_operator(&self, name: &str, password: &str) -> Self {
        let (status, token) = self.log_in(name, password).await;
        assert_eq!(status, 200, "{token}");
        self.with_token(token["access_token"].as_str().unwrap())
    }
}

async fn metric(api: &Api, line: &str) -> u64 {
    let text = api.http.get(format!("{}/metrics", api.address)).send().await.unwrap();
    let text = text.text().await.unwrap();
    let found = text.lines().find_map(|found| found.strip_prefix(line));
    found.unwrap_or_else(|| panic!("no {line}")).trim().parse().unwrap()
}

async fn a_password_logs_in(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    assert_eq!(
        root.put("groups/readers", json!({ "policies": ["reader"] })).await.0,
        200
    );
    let may = json!({ "policies": ["auditor"], "groups": ["readers"] });
    let (status, operator) = root.put("operators/ada", may.clone()).await;
    assert_eq!(status, 200, "{operator}");
    assert!(operator["password_set_at"].is_null());
    assert_eq!(root.log_in("ada", "").await.0, 401, "without a password nobody logs in");
    root.operator("ada", may).await;
    let shown = root.get("operators/ada").await.1;
    assert_eq!(shown["principal"], operator["principal"], "it stays the same principal");
    assert!(shown["password_set_at"].is_string() && !shown.to_string().contains("hash"));

    let (_, token) = root.log_in("ada", PASSWORD).await;
    assert_eq!(
        (&token["token_type"], &token["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    let ada = root.as_operator("ada", PASSWORD).await;
    let text = ada.token.as_deref().unwrap();
    assert!(text.starts_with("srs_"), "a person has a token that can be revoked");
    let me = ada.get("auth/whoami").await.1;
    assert_eq!(me["principal"], operator["principal"]);
    assert_eq!(
        (&me["kind"], &me["name"], &me["root"], &me["groups"], &me["policies"]),
        (
            &json!("operator"),
            &json!("ada"),
            &json!(false),
            &json!(["readers"]),
            &json!(["auditor", "reader"])
        )
    );
    assert!(me["expires_at"].is_string() && me["client_id"].is_null());
    assert_eq!(root.put("secrets/o/s", json!({ "value": "v" })).await.0, 201);
    assert_eq!(ada.get("secrets/o/s").await.1["value"], "v", "by its group");
    assert_eq!(ada.get("audit").await.0, 200, "by its own policy");
    assert_eq!(ada.put("secrets/o/s", json!({ "value": "w" })).await.0, 403);
    let denied = root.get("audit?principal=ada&outcome=denied").await.1;
    let denied = &denied["items"][0];
    assert_eq!(
        (&denied["path"], &denied["principal_name"]),
        (&json!("o/s"), &json!("ada"))
    );

    let rules = json!([{ "path": "secret/o/*", "capabilities": ["read"] }]);
    let login = root.workload_login("service", rules).await;
    let token = root.post("auth/client/login", login.clone()).await.1;
    let service = root.with_token(token["access_token"].as_str().unwrap());
    let it = service.get("auth/whoami").await.1;
    assert_eq!(
        (&it["kind"], &it["name"], &it["client_id"], &it["role"], &it["policies"]),
        (
            &json!("workload"),
            &json!("service"),
            &login["client_id"],
            &json!("service"),
            &json!(["service"])
        )
    );
    assert_eq!(root.get("audit?principal=service").await.0, 200);
    assert_eq!(root.put("operators/service", json!({})).await.0, 200);
    assert_eq!(root.get("audit?principal=service").await.0, 400, "two have this name");
    let it = root.get("auth/whoami").await.1;
    assert_eq!(
        (&it["root"], &it["kind"], &it["expires_at"]),
        (&json!(true), &json!("operator"), &Value::Null)
    );
    // Neither proves the other: not by name, by id, nor by principal.
    let body = json!({ "username": "service", "password": login["client_secret"] });
    assert_eq!(root.post("auth/password/login", body).await.0, 401);
    for id in [&operator["principal"], &json!("ada")] {
        let body = json!({ "client_id": id, "client_secret": PASSWORD });
        assert_eq!(root.post("auth/client/login", body).await.0, 401);
    }
    server.terminate();
}

/// The same answer, and the same work: one password is hashed, whoever it was tried for.
async fn nobody_learns_who_exists(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    root.operator("ada", json!({ "policies": ["reader"] })).await;
    assert_eq!(root.put("operators/new", json!({})).await.0, 200);
    let mut answers = Vec::new();
    for name in [
        "ada",
        "new",
        "nobody",
        "",
        "Ada",
        "ada ",
        "a/b",
        "\0",
        &"x".repeat(10_000),
    ] {
        let hashes = metric(&root, "strongroom_password_hashes_total").await;
        let (status, mut answer) = root.log_in(name, "another password").await;
        assert_eq!(
            metric(&root, "strongroom_password_hashes_total").await,
            hashes + 1,
            "{name:?} costs one hash"
        );
        answer.as_object_mut().unwrap().remove("request_id");
        answers.push((status, answer));
    }
    assert_eq!((answers[0].0, &answers[0].1["code"]), (401, &json!("login_failed")));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    // Each is on record, without the name that was claimed.
    let log = root.get("audit?action=auth.login&outcome=denied&limit=1000").await.1;
    let items = log["items"].as_array().unwrap();
    let counted: i64 = items.iter().map(|item| item["count"].as_i64().unwrap()).sum();
    assert_eq!(counted, 9);
    assert!(!log.to_string().contains("ada"), "{log}");
    server.terminate();
}

async fn passwords_change(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let code = |(status, answer): (u16, Value)| (status, answer["code"].as_str().unwrap_or_default().to_owned());
    let refusal = |status, code: &str| (status, code.to_owned());
    root.operator("ada", json!({ "policies": ["reader"] })).await;
    for wrong in ["", "short", "elevenbytes", &"x".repeat(1025)] {
        let answer = root.put("operators/ada/password", json!({ "password": wrong })).await;
        assert_eq!(code(answer), refusal(400, "invalid_request"), "{wrong}");
    }
    // Whoever may write an operator may not take it over.
    let rules = json!([{ "path": "sys/operators/*", "capabilities": ["create", "read", "update", "delete"] }]);
    let clerk = root.with_token(root.workload("clerk", rules).await);
    assert_eq!(clerk.put("operators/bob", json!({ "groups": [] })).await.0, 200);
    let new = json!({ "password": "another password" });
    let answer = clerk.put("operators/ada/password", new.clone()).await;
    assert_eq!(code(answer), refusal(403, "permission_denied"));
    let answer = root.put("operators/nobody/password", new).await;
    assert_eq!(code(answer), refusal(404, "not_found"));

    let ada = root.as_operator("ada", PASSWORD).await;
    let own = |current: &str, new: &str| json!({ "current_password": current, "password": new });
    let answer = ada
        .put("auth/password", own("another password", "a password of mine"))
        .await;
    assert_eq!(
        code(answer),
        refusal(403, "permission_denied"),
        "a token alone does not suffice"
    );
    let answer = root.put("auth/password", own(PASSWORD, "a password of mine")).await;
    assert_eq!(code(answer), refusal(400, "invalid_request"), "root has none");
    assert_eq!(
        ada.put("auth/password", own(PASSWORD, "a password of mine")).await.0,
        204
    );
    assert_eq!(ada.get("auth/whoami").await.0, 401, "it ended with the password");
    assert_eq!(root.log_in("ada", PASSWORD).await.0, 401);
    assert_eq!(root.log_in("ada", "a password of mine").await.0, 200);

    // A repeat with its id changes nothing; the id for another password is refused.
    let id = "0123456789abcdef0123456789abcdef";
    let reset = |password| {
        let body = Some(json!({ "password": password }));
        Ask::new(&root, "PUT", "operators/ada/password", body).with_key(id)
    };
    assert_eq!(reset("one password more").send(&root).await.status, 204);
    let ada = root.as_operator("ada", "one password more").await;
    assert_eq!(reset("one password more").send(&root).await.status, 204);
    assert_eq!(ada.get("auth/whoami").await.0, 200, "nothing was changed");
    assert_eq!(
        reset("a different password").send(&root).await.code(),
        "change_id_reused"
    );
    // Set again under the same id later, it brings back no token of the first time.
    root.operator("ada", json!({ "policies": ["reader"] })).await;
    assert_eq!(reset("one password more").send(&root).await.status, 204);
    assert_eq!(ada.get("auth/whoami").await.0, 401);
    server.terminate();
}

async fn built_in_policies_stand(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let names = ["admin", "auditor", "operator", "reader"];
    let listed = root.get("policies").await.1;
    let all: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(all, names);
    let rules = json!({ "rules": [{ "path": "secret/*", "capabilities": ["deny"] }] });
    for name in names {
        let before = root.get(&format!("policies/{name}")).await;
        assert_eq!((before.0, &before.1["built_in"]), (200, &json!(true)));
        assert!(before.1["created_at"].is_null());
        let (status, answer) = root.put(&format!("policies/{name}"), rules.clone()).await;
        assert_eq!((status, &answer["code"]), (409, &json!("built_in")), "{answer}");
        let (status, answer) = root.delete(&format!("policies/{name}")).await;
        assert_eq!((status, &answer["code"]), (409, &json!("built_in")), "{answer}");
        assert_eq!(root.get(&format!("policies/{name}")).await, before);
        // They are named like any other.
        assert_eq!(
            root.put(&format!("roles/{name}"), json!({ "policies": [name] }))
                .await
                .0,
            200
        );
    }
    assert_eq!(
        root.put("policies/admins", rules).await.0,
        200,
        "only these names are taken"
    );
    let (status, answer) = root.put("groups/x", json!({ "policies": ["reader", "none"] })).await;
    assert_eq!(
        (status, answer["detail"].as_str().unwrap().contains("'none'")),
        (400, true)
    );
    let many = |count| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    for (path, body) in [
        ("operators/x", json!({ "groups": many(17) })),
        ("operators/x", json!({ "policies": many(65) })),
        ("groups/x", json!({ "policies": many(65) })),
    ] {
        let (status, answer) = root.put(path, body).await;
        let detail = answer["detail"].as_str().unwrap();
        assert!(status == 400 && detail.contains("at most"), "{answer}");
    }
    let (status, answer) = root.put("operators/x", json!({ "groups": ["none"] })).await;
    assert_eq!(
        (status, answer["detail"].as_str().unwrap().contains("'none'")),
        (400, true)
    );
    // An administrator does what root does, the erasure of a person too.
    root.operator("boss", json!({ "policies": ["admin"] })).await;
    let boss = root.as_operator("boss", PASSWORD).await;
    root.operator("ada", json!({ "groups": [] })).await;
    let ada = root.get("operators/ada").await.1["principal"].clone();
    assert_eq!(boss.delete("operators/ada").await.0, 204);
    let erased = boss
        .post(&format!("principals/{}/erase", ada.as_str().unwrap()), json!({}))
        .await;
    assert_eq!(erased.0, 200, "{}", erased.1);
    assert_eq!(boss.put("secrets/b/s", json!({ "value": "v" })).await.0, 201);
    assert_eq!(boss.post("keys/data/rotate", json!({})).await.0, 200);
    server.terminate();
}

on_both_stores!(
    a_password_logs_in,
    nobody_learns_who_exists,
    passwords_change,
    built_in_policies_stand,
);
