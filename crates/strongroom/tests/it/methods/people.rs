//! People who log in with their browser.

use serde_json::{Value, json};

use super::{Stage, stage};
use crate::harness::{Api, On};
use crate::identity::races::{AT_ONCE, one_won, rounds};
use crate::issuer::{Issuer, now, percent};

const BACK: &str = "http://127.0.0.1:8250/callback";

pub(super) async fn company(stage: &Stage) {
    let Stage { root, issuer, .. } = stage;
    root.written("groups/readers", json!({ "policies": ["app"] })).await;
    let method = json!({
        "type": "oidc", "issuer": issuer.url, "client_id": "strongroom", "secret": "client-secret", "scopes": ["groups"],
        "groups_claim": "groups", "groups": { "Engineering": "readers" }, "device_code": true,
    });
    root.written("methods/company", method).await;
}

struct Started {
    state: String,
    /// What the browser brings back in its place.
    carried: String,
    nonce: String,
    /// What the code's exchange must be sent with.
    fields: Value,
}

async fn start(root: &Api) -> Started {
    let nobody = Api {
        token: None,
        ..root.clone()
    };
    let (status, started) = nobody.post("auth/company/start", json!({ "redirect_uri": BACK })).await;
    assert_eq!(status, 200, "{started}");
    let url = started["authorization_url"].as_str().unwrap().to_owned();
    let field = |name: &str| {
        let query = url.split_once('?').unwrap().1;
        let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        percent(found.unwrap_or_else(|| panic!("no {name} in {url}")))
    };
    assert_eq!(field("scope"), "openid groups");
    assert_eq!(
        (field("response_type"), field("code_challenge_method")),
        ("code".into(), "S256".into())
    );
    let state = started["state"].as_str().unwrap().to_owned();
    assert!(!url.contains(&state), "what passes through the browser is no proof");
    Started {
        carried: field("state"),
        state,
        nonce: field("nonce"),
        fields: json!({
            "code_challenge": field("code_challenge"), "redirect_uri": BACK, "client_id": "strongroom",
            "client_secret": "client-secret",
        }),
    }
}

pub(super) fn id_token(issuer: &Issuer, nonce: &str, claims: &Value) -> String {
    let mut all = json!({ "nonce": nonce });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    token_of_ada(issuer, &all)
}

pub(super) fn token_of_ada(issuer: &Issuer, claims: &Value) -> String {
    let mut all = json!({
        "aud": "strongroom", "sub": "person-1", "preferred_username": "ada", "groups": ["Engineering", "Sales"],
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    issuer.token(&all)
}

fn login(started: &Started, code: &str) -> Value {
    json!({ "state": started.state, "code": code })
}

async fn a_browser_brings_a_code(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let started = start(root).await;
    issuer.code(
        "good",
        started.fields.clone(),
        id_token(issuer, &started.nonce, &json!({})),
    );
    let (status, token) = root.login_by("company", login(&started, "good")).await;
    assert_eq!(status, 200, "{token}");
    assert!(token["access_token"].as_str().unwrap().starts_with("srs_") && token["renewable_until"].is_string());
    let ada = root.with_token(token["access_token"].as_str().unwrap());
    let me = ada.get("auth/whoami").await.1;
    assert_eq!(
        (&me["kind"], &me["name"], &me["method"], &me["groups"], &me["policies"]),
        (
            &json!("operator"),
            &json!("ada@company"),
            &json!("company"),
            &json!(["readers"]),
            &json!(["app"])
        )
    );
    assert_eq!(ada.get("secrets/app/key").await.0, 200);
    // A state is good for one login, whatever the other side would say.
    assert_eq!(root.login_by("company", login(&started, "good")).await.0, 401);
    // What a group has counts as it is now, and the login ends with its method.
    root.written("groups/readers", json!({ "policies": [] })).await;
    assert_eq!(ada.get("secrets/app/key").await.0, 403);
    assert_eq!(root.delete("methods/company").await.0, 204);
    assert_eq!(ada.get("auth/whoami").await.0, 401);
    stage.server.terminate();
}

async fn what_is_not_of_this_login_is_refused(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let stranger = Issuer::start().await;
    for (what, claims) in [
        ("another nonce", json!({ "nonce": "other" })),
        ("no nonce", json!({ "nonce": null })),
        ("another audience", json!({ "aud": "other" })),
        (
            "of several audiences none that asked",
            json!({ "aud": ["strongroom", "other"] }),
        ),
        ("asked by another", json!({ "azp": "other" })),
        ("expired", json!({ "exp": now() - 60 })),
        ("another issuer", json!({ "iss": stranger.url })),
    ] {
        let started = start(root).await;
        issuer.code(
            "code",
            started.fields.clone(),
            id_token(issuer, &started.nonce, &claims),
        );
        assert_eq!(root.login_by("company", login(&started, "code")).await.0, 401, "{what}");
    }
    let started = start(root).await;
    issuer.code(
        "forged",
        started.fields.clone(),
        id_token(&stranger, &started.nonce, &json!({ "iss": issuer.url })),
    );
    assert_eq!(
        root.login_by("company", login(&started, "forged")).await.0,
        401,
        "another hand"
    );
    // The code of one start does not fit the state of another: its verifier is another one.
    let (one, two) = (start(root).await, start(root).await);
    issuer.code("one", one.fields.clone(), id_token(issuer, &one.nonce, &json!({})));
    assert_eq!(root.login_by("company", login(&two, "one")).await.0, 401);
    let overseen = json!({ "state": one.carried, "code": "one" });
    assert_eq!(
        root.login_by("company", overseen).await.0,
        401,
        "who saw the address has no state"
    );
    assert_eq!(root.login_by("company", login(&one, "none")).await.0, 401);
    assert_eq!(
        root.login_by("company", json!({ "state": "x", "code": "one" })).await.0,
        401
    );
    assert_eq!(
        root.login_by("company", login(&one, "one")).await.0,
        200,
        "what failed used up nothing"
    );
    let nobody = Api {
        token: None,
        ..root.clone()
    };
    for back in ["https://evil.test/", "http://127.0.0.1/", "http://localhost:1/"] {
        assert_eq!(
            nobody
                .post("auth/company/start", json!({ "redirect_uri": back }))
                .await
                .0,
            400,
            "{back}"
        );
    }
    for method in ["ci", "client", "none"] {
        let path = format!("auth/{method}/start");
        assert_eq!(
            nobody.post(&path, json!({ "redirect_uri": BACK })).await.0,
            401,
            "{method}"
        );
    }
    stage.server.terminate();
}

async fn of_many_uses_of_one_state_one_wins(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    for round in 0..rounds() {
        let started = start(root).await;
        issuer.code(
            "good",
            started.fields.clone(),
            id_token(issuer, &started.nonce, &json!({})),
        );
        let all = (0..AT_ONCE).map(|_| root.login_by("company", login(&started, "good")));
        let answers = futures_util::future::join_all(all).await;
        let count = |wanted: u16| answers.iter().filter(|(status, _)| *status == wanted).count();
        one_won(round, [count(200), count(401), count(503)], AT_ONCE);
    }
    stage.server.terminate();
}

on_both_stores!(
    a_browser_brings_a_code,
    what_is_not_of_this_login_is_refused,
    of_many_uses_of_one_state_one_wins,
);
