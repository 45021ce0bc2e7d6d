//! Logins of those whom others vouch for, and what their tokens rest on.

mod certificates;
mod cluster;
mod devices;
mod line;
mod people;
mod svids;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::harness::{Api, On, Server, Store};
use crate::issuer::{AUDIENCE, Issuer, now};

/// This machine may be called, by `dev` alone.
pub(crate) const HOME: (&str, &str) = ("STRONGROOM_OUTBOUND_ALLOW", "127.0.0.1");

impl Api {
    /// Nobody, who logs in by a method.
    pub(crate) async fn login_by(&self, method: &str, body: Value) -> (u16, Value) {
        let nobody = Self {
            token: None,
            ..self.clone()
        };
        nobody.post(&format!("auth/{method}/login"), body).await
    }

    /// The same API with the token that the login gives.
    pub(crate) async fn as_vouched(&self, method: &str, body: Value) -> Self {
        let (status, token) = self.login_by(method, body).await;
        assert_eq!(status, 200, "{token}");
        self.with_token(token["access_token"].as_str().unwrap())
    }

    pub(crate) async fn written(&self, path: &str, body: Value) {
        let (status, answer) = self.put(path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
}

struct Stage {
    store: Store,
    server: Server,
    root: Api,
    issuer: Issuer,
}

/// A server, an issuer, and the method `ci` that believes it, with the role `deploy` for its subject `build`.
async fn stage(on: On) -> Stage {
    let store = Store::fresh(on);
    let server = store.dev(&[HOME]);
    let root = Api::new(&server, store.root_token());
    let issuer = Issuer::start().await;
    let rules = json!({ "rules": [{ "path": "secret/app/*", "capabilities": ["read"] }] });
    root.written("policies/app", rules).await;
    root.written("methods/ci", ci(&issuer)).await;
    root.written("roles/deploy", role("ci", &json!({ "sub": "build" })))
        .await;
    assert_eq!(root.put("secrets/app/key", json!({ "value": "s3cr3t" })).await.0, 201);
    Stage {
        store,
        server,
        root,
        issuer,
    }
}

fn ci(issuer: &Issuer) -> Value {
    json!({ "type": "jwt", "issuer": issuer.url, "audiences": [AUDIENCE] })
}

fn role(method: &str, claims: &Value) -> Value {
    json!({ "policies": ["app"], "bounds": { "method": method, "claims": claims } })
}

async fn a_token_of_an_issuer_logs_in(on: On) {
    let stage = stage(on).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let jwt = issuer.token(&json!({}));
    let job = root.as_vouched("ci", json!({ "role": "deploy", "jwt": jwt })).await;
    assert_eq!(job.get("secrets/app/key").await.1["value"], "s3cr3t");
    assert_eq!(job.get("secrets/other").await.0, 403);
    let me = job.get("auth/whoami").await.1;
    assert_eq!(
        (&me["kind"], &me["name"], &me["role"], &me["method"], &me["client_id"]),
        (
            &json!("workload"),
            &json!("build@ci"),
            &json!("deploy"),
            &json!("ci"),
            &Value::Null
        )
    );
    // The same subject is the same principal, another one is not.
    let again = root
        .as_vouched("ci", json!({ "role": "deploy", "jwt": issuer.token(&json!({})) }))
        .await;
    assert_eq!(again.get("auth/whoami").await.1["principal"], me["principal"]);
    root.written("roles/other", role("ci", &json!({ "sub": "other" })))
        .await;
    let other = issuer.token(&json!({ "sub": "other" }));
    let other = root.as_vouched("ci", json!({ "role": "other", "jwt": other })).await;
    assert_ne!(other.get("auth/whoami").await.1["principal"], me["principal"]);
    assert_eq!(issuer.seen.asked.load(Ordering::Relaxed), 1, "the keys were had once");
    let log = root.get("audit?action=auth.login&outcome=granted").await.1;
    assert_eq!(log["items"][1]["principal"], me["principal"], "{log}");
    stage.server.terminate();
}

async fn what_is_wrong_is_refused_alike(on: On) {
    let stage = stage(on).await;
    let (root, issuer, stranger) = (&stage.root, &stage.issuer, Issuer::start().await);
    root.written("roles/plain", json!({ "policies": ["app"] })).await;
    root.written("methods/second", ci(issuer)).await;
    let soon = now();
    let good = issuer.token(&json!({}));
    let header = |name: &str, value: Value| {
        let mut header = json!({ "alg": "EdDSA", "kid": "one" });
        header[name] = value;
        header
    };
    let claims = json!({ "iss": issuer.url, "aud": AUDIENCE, "sub": "build", "iat": soon, "exp": soon + 300 });
    let bodies = [
        ("no such method", "nobody", "deploy", good.clone()),
        ("no such role", "ci", "nothing", good.clone()),
        ("no role's name", "ci", "../deploy", good.clone()),
        ("a role for clients", "ci", "plain", good.clone()),
        ("a role of another method", "second", "deploy", good.clone()),
        (
            "another issuer's hand",
            "ci",
            "deploy",
            stranger.token(&json!({ "iss": issuer.url })),
        ),
        ("another issuer", "ci", "deploy", stranger.token(&json!({}))),
        (
            "another subject",
            "ci",
            "deploy",
            issuer.token(&json!({ "sub": "other" })),
        ),
        (
            "another audience",
            "ci",
            "deploy",
            issuer.token(&json!({ "aud": "https://other.test" })),
        ),
        ("no audience", "ci", "deploy", issuer.token(&json!({ "aud": [] }))),
        ("expired", "ci", "deploy", issuer.token(&json!({ "exp": soon - 40 }))),
        ("not yet", "ci", "deploy", issuer.token(&json!({ "nbf": soon + 60 }))),
        (
            "for a year",
            "ci",
            "deploy",
            issuer.token(&json!({ "exp": soon + 366 * 86_400 })),
        ),
        (
            "unsigned",
            "ci",
            "deploy",
            issuer.signed(&header("alg", json!("none")), &claims),
        ),
        (
            "a shared secret's",
            "ci",
            "deploy",
            issuer.signed(&header("alg", json!("HS256")), &claims),
        ),
        (
            "unknown key",
            "ci",
            "deploy",
            issuer.signed(&header("kid", json!("two")), &claims),
        ),
        (
            "key of its own",
            "ci",
            "deploy",
            issuer.signed(&header("jwk", json!({ "kty": "OKP" })), &claims),
        ),
        (
            "keys elsewhere",
            "ci",
            "deploy",
            issuer.signed(&header("jku", json!("https://evil.test")), &claims),
        ),
        ("our own", "ci", "deploy", root.token.clone().unwrap()),
        ("nothing", "ci", "deploy", String::new()),
    ];
    let mut answers = Vec::new();
    for (what, method, role, jwt) in bodies {
        let (status, mut answer) = root.login_by(method, json!({ "role": role, "jwt": jwt })).await;
        assert_eq!(status, 401, "{what}: {answer}");
        answer["request_id"] = Value::Null;
        answers.push(answer);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "nobody is told why: {answers:?}");
    assert_eq!(answers[0]["code"], "login_failed");
    // A proof of another type, and one of a method that is built in.
    let code = json!({ "state": "x", "code": "y" });
    assert_eq!(root.login_by("ci", code).await.0, 401);
    // The log says why, by a word, and nothing of what was shown.
    let log = stage.server.log_text();
    for reason in [
        "token_signature",
        "token_audience",
        "token_expired",
        "no_such_role",
        "claim_not_bound",
    ] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    let signature = good.rsplit('.').next().unwrap();
    assert!(!log.contains(signature) && !log.contains("other.test") && !log.contains("../deploy"));
    // A client's role is still a client's, and a bound one is not.
    let client = root.post("clients", json!({ "name": "c", "role": "deploy" })).await.1;
    let login = json!({ "client_id": client["client_id"], "client_secret": client["client_secret"] });
    assert_eq!(
        root.login_by("client", login).await.0,
        401,
        "the role asks for another method"
    );
    stage.server.terminate();
}

async fn what_a_token_rests_on_ends_it(on: On) {
    let stage = stage(on).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let login = || json!({ "role": "deploy", "jwt": issuer.token(&json!({})) });
    let reads = async |job: &Api| job.get("secrets/app/key").await.0;
    // The same description changes nothing.
    let job = root.as_vouched("ci", login()).await;
    root.written("methods/ci", ci(issuer)).await;
    assert_eq!(reads(&job).await, 200);
    let mut other = ci(issuer);
    other["audiences"] = json!([AUDIENCE, "https://more.test"]);
    root.written("methods/ci", other).await;
    assert_eq!(reads(&job).await, 401, "another description of whom to believe");
    let job = root.as_vouched("ci", login()).await;
    assert_eq!(root.delete("methods/ci").await.0, 204);
    assert_eq!(reads(&job).await, 401);
    assert_eq!(root.login_by("ci", login()).await.0, 401);
    root.written("methods/ci", ci(issuer)).await;
    assert_eq!(reads(&job).await, 401, "made anew it is another one");
    let job = root.as_vouched("ci", login()).await;
    assert_eq!(reads(&job).await, 200);
    root.written("roles/deploy", json!({ "policies": ["app"] })).await;
    assert_eq!(reads(&job).await, 401, "the role is for clients now");
    root.written("roles/deploy", role("ci", &json!({ "sub": "build" })))
        .await;
    let job = root.as_vouched("ci", login()).await;
    assert_eq!(root.delete("roles/deploy").await.0, 204);
    assert_eq!(reads(&job).await, 401);
    stage.server.terminate();
}

async fn an_issuer_that_cannot_be_asked_is_told(on: On) {
    let stage = stage(on).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    issuer.seen.down.store(true, Ordering::Relaxed);
    let login = || json!({ "role": "deploy", "jwt": issuer.token(&json!({})) });
    for _ in 0..20 {
        let (status, answer) = root.login_by("ci", login()).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (503, Some("issuer_unavailable")),
            "{answer}"
        );
    }
    assert_eq!(issuer.seen.asked.load(Ordering::Relaxed), 1, "seldom");
    // Keys that the method holds itself need nobody.
    let mut fixed = ci(issuer);
    fixed["keys"] = json!({ "jwks": issuer.jwks() });
    root.written("methods/ci", fixed).await;
    assert_eq!(root.login_by("ci", login()).await.0, 200);
    // Where this machine is not allowed nobody is asked at all.
    let mut elsewhere = ci(issuer);
    elsewhere["issuer"] = json!("https://169.254.169.254");
    root.written("methods/ci", elsewhere).await;
    assert_eq!(root.login_by("ci", login()).await.0, 503);
    assert!(stage.server.log_text().contains("outbound.allow"));
    stage.server.terminate();
}

async fn methods_are_administered(on: On) {
    let stage = stage(on).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let names: Vec<Value> = root.get("methods").await.1["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].clone())
        .collect();
    assert_eq!(names, ["ci", "client", "password"]);
    let page = root.get("methods?limit=2").await.1;
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next_cursor"]),
        (2, &json!("client"))
    );
    assert_eq!(root.get("methods/client").await.1["built_in"], true);
    for built_in in ["client", "password"] {
        let (status, answer) = root.put(&format!("methods/{built_in}"), ci(issuer)).await;
        assert_eq!((status, answer["code"].as_str()), (409, Some("built_in")));
        assert_eq!(root.delete(&format!("methods/{built_in}")).await.0, 409);
    }
    assert_eq!(root.get("methods/none").await.0, 404);
    assert_eq!(root.delete("methods/none").await.0, 404);
    for (body, part) in [
        (json!({ "type": "jwt", "audiences": ["a"] }), "issuer"),
        (json!({ "type": "client" }), "built in"),
        (
            json!({ "type": "jwt", "issuer": "https://a", "audiences": ["a"], "secret": "x" }),
            "secret",
        ),
        (
            json!({ "type": "jwt", "issuer": "https://a", "audiences": ["a"], "surprise": 1 }),
            "a field or a name is unknown",
        ),
        (json!({ "type": "magic" }), "does not fit"),
    ] {
        let (status, answer) = root.put("methods/new", body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(part), "{body}: {answer}");
    }
    // A role says at once that it binds too little, or that its method is not there.
    let preset = json!({ "type": "jwt", "preset": "github-actions", "audiences": [AUDIENCE] });
    root.written("methods/github", preset).await;
    for (role, part) in [
        (
            role("github", &json!({ "repository": "o/r", "ref": "refs/heads/main" })),
            "repository_id",
        ),
        (role("github", &json!({ "repository_id": "1" })), "environment"),
        (role("none", &json!({ "sub": "x" })), "none"),
        (role("ci", &json!({})), "claims"),
        (role("password", &json!({})), "people"),
    ] {
        let (status, answer) = root.put("roles/new", role).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(part), "{answer}");
    }
    let oidc = json!({ "type": "oidc", "issuer": issuer.url, "client_id": "c", "secret": "hunter2-of-oidc" });
    root.written("methods/company", oidc).await;
    let shown = root.get("methods/company").await.1;
    assert!(
        shown["has_secret"] == true && !shown.to_string().contains("hunter2"),
        "{shown}"
    );
    stage.server.terminate();
}

async fn each_namespace_has_methods_of_its_own(on: On) {
    let stage = stage(on).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let (status, answer) = root.put("namespaces/team", json!({})).await;
    assert!(status < 300, "{answer}");
    let body = json!({ "role": "deploy", "jwt": issuer.token(&json!({})) });
    let login = root.http.post(format!("{}/api/v1/auth/ci/login", root.address));
    let login = login.header("X-Strongroom-Namespace", "team").body(body.to_string());
    assert_eq!(
        login.send().await.unwrap().status(),
        401,
        "there is no such method there"
    );
    stage.server.terminate();
}

on_both_stores!(
    a_token_of_an_issuer_logs_in,
    what_is_wrong_is_refused_alike,
    what_a_token_rests_on_ends_it,
    an_issuer_that_cannot_be_asked_is_told,
    methods_are_administered,
    each_namespace_has_methods_of_its_own,
);
