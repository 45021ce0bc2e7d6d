//! The life of service tokens, and of access tokens that are ended.

use serde_json::{Value, json};

use super::{SECRET, Workload, made, prepare, status};
use crate::harness::{Api, On, Store};
use crate::operators::PASSWORD;

async fn they_are_made_within_what_their_maker_may(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    root.workload("other", json!([{ "path": "secret/other", "capabilities": ["read"] }]))
        .await;
    assert_eq!(
        root.post("tokens", json!({})).await.0,
        400,
        "root says what a token may do"
    );
    assert_eq!(root.post("tokens", json!({ "policies": ["nothing"] })).await.0, 400);
    let (parent, told) = made(
        &root,
        json!({ "policies": ["p"], "ttl": 3600, "metadata": { "for": "a test" } }),
    )
    .await;
    assert!(told["token"].as_str().unwrap().starts_with("srs_"));
    assert_eq!(
        (&told["depth"], &told["renewable"], &told["metadata"]["for"]),
        (&json!(1), &json!(true), &json!("a test"))
    );
    assert_eq!(status(&parent).await, 200);
    assert_eq!(parent.put(SECRET, json!({ "value": "w" })).await.0, 403);
    let (code, refused) = parent.post("tokens", json!({ "policies": ["p", "other"] })).await;
    assert_eq!((code, &refused["code"]), (403, &json!("permission_denied")));
    // Without a word it has its maker's, and the chain has an end.
    let mut chain = vec![parent];
    for depth in 2..=8 {
        let (child, told) = made(chain.last().unwrap(), json!({})).await;
        assert_eq!((&told["depth"], &told["policies"]), (&json!(depth), &json!(["p"])));
        chain.push(child);
    }
    let (code, refused) = chain.last().unwrap().post("tokens", json!({})).await;
    assert_eq!((code, &refused["code"]), (409, &json!("limit_reached")));
    for token in &chain {
        assert_eq!(status(token).await, 200);
    }
    assert_eq!(chain[2].post("auth/token/revoke", json!({})).await.0, 204);
    for (depth, token) in chain.iter().enumerate() {
        assert_eq!(
            status(token).await,
            if depth < 2 { 200 } else { 401 },
            "what came of it ends with it: {depth}"
        );
    }
    for wrong in [
        json!({ "policies": ["p"], "ttl": 0 }),
        json!({ "policies": ["p"], "ttl": 2_764_801 }),
        json!({ "policies": ["p"], "ttl": 60, "period": 60 }),
        json!({ "policies": ["p"], "uses": 0 }),
        json!({ "policies": ["p"], "networks": ["10.0.0.1/8"] }),
        json!({ "policies": ["p"], "root": true }),
        json!({ "policies": "p" }),
    ] {
        assert_eq!(root.post("tokens", wrong.clone()).await.0, 400, "{wrong}");
    }
    let workload = Workload::new(&root, "w").await;
    assert_eq!(
        workload.api.post("tokens", json!({})).await.0,
        400,
        "an access token makes none"
    );
    server.terminate();
}

async fn they_are_renewed_to_their_maximum(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let (short, told) = made(&root, json!({ "policies": ["p"], "ttl": 2, "max_ttl": 4 })).await;
    let (fixed, _) = made(&root, json!({ "policies": ["p"], "ttl": 60, "renewable": false })).await;
    let (code, refused) = fixed.post("auth/token/renew", json!({})).await;
    assert_eq!((code, &refused["code"]), (409, &json!("conflict")));
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let (code, renewed) = short.post("auth/token/renew", json!({})).await;
    assert_eq!(code, 200, "{renewed}");
    assert!(renewed["expires_at"].as_str() > told["expires_at"].as_str());
    assert_eq!(renewed["renewable_until"], told["renewable_until"]);
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(status(&short).await, 200, "beyond its first end");
    let (_, last) = short.post("auth/token/renew", json!({})).await;
    assert_eq!(
        last["expires_at"], told["renewable_until"],
        "no further than its maximum"
    );
    tokio::time::sleep(std::time::Duration::from_millis(1600)).await;
    assert_eq!(status(&short).await, 401);
    assert_eq!(
        short.post("auth/token/renew", json!({})).await.0,
        401,
        "one that is over is not renewed"
    );
    let gone = json!({ "accessor": told["accessor"] });
    assert_eq!(root.post("auth/token/renew", gone.clone()).await.0, 404);
    assert_eq!(root.post("auth/token/lookup", gone).await.0, 404);
    let (_, periodic) = made(&root, json!({ "policies": ["p"], "period": 60 })).await;
    assert!(periodic["renewable_until"].is_null());
    server.terminate();
}

/// Each way to end tokens: exactly these end.
async fn each_way_to_end_them(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let revoke = async |body: Value| root.post("auth/token/revoke", body).await.0;
    let (other, _) = made(&root, json!({ "policies": ["p"] })).await;

    let (held, told) = made(&root, json!({ "policies": ["p"] })).await;
    assert_eq!(revoke(json!({ "token": told["token"] })).await, 204);
    assert_eq!(status(&held).await, 401);
    let (held, told) = made(&root, json!({ "policies": ["p"] })).await;
    assert_eq!(
        other
            .post("auth/token/revoke", json!({ "accessor": told["accessor"] }))
            .await
            .0,
        403
    );
    assert_eq!(status(&held).await, 200);
    assert_eq!(revoke(json!({ "accessor": told["accessor"] })).await, 204);
    assert_eq!(status(&held).await, 401);

    let one = Workload::new(&root, "one").await;
    let two = Workload::new(&root, "two").await;
    let again = async |workload: &Workload| {
        let (code, token) = root.post("auth/client/login", workload.login.clone()).await;
        assert_eq!(code, 200, "{token}");
        root.with_token(token["access_token"].as_str().unwrap())
    };
    assert_eq!(one.api.post("auth/token/revoke", json!({})).await.0, 204);
    assert_eq!(
        (status(&one.api).await, status(&two.api).await),
        (401, 200),
        "an access token by itself"
    );
    assert_eq!(revoke(json!({ "accessor": two.accessor })).await, 204);
    assert_eq!(status(&two.api).await, 401, "by its jti");
    let (first, second) = (again(&one).await, again(&two).await);
    assert_eq!(revoke(json!({ "client_id": one.client_id })).await, 204);
    assert_eq!(
        (status(&first).await, status(&second).await),
        (401, 200),
        "all of a client's"
    );
    let first = again(&one).await;
    assert_eq!(revoke(json!({ "principal": two.principal })).await, 204);
    assert_eq!(
        (status(&first).await, status(&second).await),
        (200, 401),
        "all of a principal's"
    );
    let second = again(&two).await;
    assert_eq!(revoke(json!({ "role": "p" })).await, 204);
    assert_eq!(
        (status(&first).await, status(&second).await),
        (401, 401),
        "all of a role's"
    );
    assert_eq!(status(&other).await, 200, "and no other");
    let (first, second) = (again(&one).await, again(&two).await);
    let secret = format!("clients/{}/secrets/{}", one.client_id, one.secret_id);
    assert_eq!(root.delete(&secret).await.0, 204);
    assert_eq!(
        (status(&first).await, status(&second).await),
        (401, 200),
        "all that a secret was used for"
    );
    assert_eq!(root.delete("roles/p").await.0, 204);
    assert_eq!(status(&second).await, 401);
    assert_eq!(root.put("roles/p", json!({ "policies": ["p"] })).await.0, 200);
    assert_eq!(status(&second).await, 401, "a role of the same name is another one");
    let second = again(&two).await;
    assert_eq!(root.post("keys/signing/rotate", json!({})).await.0, 204);
    let published = root
        .http
        .get(format!("{}/.well-known/jwks.json", root.address))
        .send()
        .await
        .unwrap();
    assert_eq!(published.headers()["cache-control"], "public, max-age=300");
    let published: Value = published.json().await.unwrap();
    assert_eq!(
        published["keys"].as_array().unwrap().len(),
        2,
        "the next key is known before it signs"
    );
    assert_eq!(status(&second).await, 200, "a new key ends nothing");
    assert_eq!(
        root.post("keys/signing/rotate", json!({ "end_all": true })).await.0,
        204
    );
    assert_eq!(
        (status(&second).await, status(&other).await),
        (401, 200),
        "every access token"
    );

    root.operator("ada", json!({ "policies": ["p"] })).await;
    let ada = root.as_operator("ada", PASSWORD).await;
    let (child, _) = made(&ada, json!({ "ttl": 60 })).await;
    assert_eq!((status(&ada).await, status(&child).await), (200, 200));
    for (policies, wanted) in [(json!([]), 403), (json!(["p"]), 200)] {
        let may = json!({ "policies": policies, "groups": [] });
        assert_eq!(root.put("operators/ada", may).await.0, 200);
        assert_eq!(status(&child).await, wanted, "what a person loses its tokens lose");
    }
    let principal = ada.get("auth/whoami").await.1["principal"].clone();
    assert_eq!(revoke(json!({ "principal": principal })).await, 204);
    assert_eq!((status(&ada).await, status(&child).await), (401, 401));
    let ada = root.as_operator("ada", PASSWORD).await;
    let (child, _) = made(&ada, json!({})).await;
    assert_eq!(status(&child).await, 200);
    root.operator("ada", json!({ "policies": ["p"] })).await;
    assert_eq!(
        status(&child).await,
        401,
        "another password ends what came of the login by the one before"
    );
    for wrong in [
        json!({ "principal": principal, "role": "p" }),
        json!({ "token": "srs_x", "accessor": told["accessor"] }),
        json!({ "accessor": "x" }),
        json!({ "all": true }),
    ] {
        assert_eq!(revoke(wrong.clone()).await, 400, "{wrong}");
    }
    assert_eq!(revoke(json!({ "method": "client" })).await, 409, "one that is built in");
    assert_eq!(revoke(json!({ "method": "nothing" })).await, 404);
    let nobody = "0".repeat(32);
    assert_eq!(revoke(json!({ "principal": nobody })).await, 404);
    assert_eq!(
        root.post("auth/token/revoke", json!({})).await.0,
        204,
        "the root token itself"
    );
    assert_eq!(root.get("auth/whoami").await.0, 401);
    server.terminate();
}

async fn they_are_bound_and_told(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    prepare(&root).await;
    let (here, _) = made(
        &root,
        json!({ "policies": ["p"], "networks": ["10.0.0.0/8", "127.0.0.1"] }),
    )
    .await;
    let (elsewhere, _) = made(&root, json!({ "policies": ["p"], "networks": ["10.0.0.0/8"] })).await;
    assert_eq!((status(&here).await, status(&elsewhere).await), (200, 401));
    let (grandchild, _) = made(&here, json!({})).await;
    assert_eq!(status(&grandchild).await, 200);
    let (wide, _) = made(&here, json!({ "networks": ["10.0.0.0/8"] })).await;
    assert_eq!(
        status(&wide).await,
        401,
        "bound where its maker is, and where it is itself"
    );
    let (counted, told) = made(&root, json!({ "policies": ["p"], "uses": 3 })).await;
    let ask = json!({ "token": told["token"] });
    let introspected = root.post("auth/token/introspect", ask.clone()).await.1;
    assert_eq!(
        (
            &introspected["active"],
            &introspected["scope"],
            &introspected["jti"],
            &introspected["token_type"]
        ),
        (&json!(true), &json!("p"), &told["accessor"], &json!("Bearer"))
    );
    let looked = root.post("auth/token/lookup", ask.clone()).await.1;
    assert_eq!(looked["uses"], json!(3), "who asks about it uses nothing up");
    assert_eq!(
        counted.put(SECRET, json!({})).await.0,
        400,
        "what is refused unread uses nothing up"
    );
    assert_eq!(status(&counted).await, 200);
    assert_eq!(
        counted.put(SECRET, json!({ "value": "w" })).await.0,
        403,
        "a refusal is a use"
    );
    assert_eq!(counted.post("tokens", json!({})).await.0, 400, "and so is this one");
    assert_eq!(status(&counted).await, 401);
    let after = root.post("auth/token/introspect", ask).await.1;
    assert_eq!(after, json!({ "active": false }));
    // A form, as RFC 7662 has it; and one that may not ask.
    let form = async |api: &Api, body: String| {
        let url = format!("{}/api/v1/auth/token/introspect", api.address);
        let request = api.http.post(url).bearer_auth(api.token.as_deref().unwrap());
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (live, told) = made(&root, json!({ "policies": ["p"] })).await;
    let body = format!("token={}&token_type_hint=access_token", told["token"].as_str().unwrap());
    assert_eq!(form(&root, body.clone()).await.1["active"], json!(true));
    assert_eq!(form(&live, body).await.0, 403);
    assert_eq!(form(&root, "token=nonsense".into()).await.1, json!({ "active": false }));
    assert_eq!(form(&root, "hint=x".into()).await.0, 400);
    let listed = root.get("tokens?limit=1000").await.1.to_string();
    assert!(listed.contains(told["accessor"].as_str().unwrap()) && !listed.contains("srs_"));
    server.terminate();
}

on_both_stores! {
    they_are_made_within_what_their_maker_may,
    they_are_renewed_to_their_maximum,
    each_way_to_end_them,
    they_are_bound_and_told,
}
