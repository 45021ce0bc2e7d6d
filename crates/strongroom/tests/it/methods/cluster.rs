//! Service accounts of a cluster, by its keys and by its TokenReview.

use serde_json::{Value, json};

use super::{Stage, stage};
use crate::harness::{Api, On};
use crate::issuer::{AUDIENCE, Issuer, now};

fn account(issuer: &Issuer, claims: &Value) -> String {
    let mut all = json!({
        "sub": "system:serviceaccount:shop:app", "jti": "j",
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "app", "uid": "u-1" }, "pod": { "name": "p", "uid": "p-1" } },
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    issuer.token(&all)
}

async fn cluster(stage: &Stage, review: bool, secret: Option<&str>) {
    let Stage { root, issuer, .. } = stage;
    let mut method = json!({ "type": "kubernetes", "issuer": issuer.url, "audiences": [AUDIENCE] });
    if review {
        method["review"] = json!({ "host": issuer.url });
    }
    if let Some(secret) = secret {
        method["secret"] = json!(secret);
    }
    root.written("methods/cluster", method).await;
    let accounts = json!([{ "namespace": "shop", "name": "app" }]);
    let bounds = json!({ "method": "cluster", "service_accounts": accounts });
    root.written("roles/shop", json!({ "policies": ["app"], "bounds": bounds }))
        .await;
}

async fn status(root: &Api, jwt: String) -> u16 {
    root.login_by("cluster", json!({ "role": "shop", "jwt": jwt })).await.0
}

async fn by_its_keys(on: On) {
    let stage = stage(on).await;
    cluster(&stage, false, None).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let pod = root
        .as_vouched("cluster", json!({ "role": "shop", "jwt": account(issuer, &json!({})) }))
        .await;
    assert_eq!(pod.get("secrets/app/key").await.0, 200);
    assert_eq!(
        pod.get("auth/whoami").await.1["name"],
        "system:serviceaccount:shop:app@cluster"
    );
    let bound = |namespace: &str, name: &str, uid: &str| json!({ "namespace": namespace, "serviceaccount": { "name": name, "uid": uid } });
    for (what, claims) in [
        (
            "another account",
            json!({ "sub": "system:serviceaccount:shop:other", "kubernetes.io": bound("shop", "other", "u") }),
        ),
        (
            "another namespace",
            json!({ "sub": "system:serviceaccount:x:app", "kubernetes.io": bound("x", "app", "u") }),
        ),
        ("two names", json!({ "kubernetes.io": bound("shop", "other", "u-1") })),
        ("no uid", json!({ "kubernetes.io": bound("shop", "app", "") })),
        ("no binding", json!({ "kubernetes.io": null })),
        (
            "an old token",
            json!({ "kubernetes.io/serviceaccount/namespace": "shop" }),
        ),
        ("a user", json!({ "sub": "system:node:shop:app" })),
        ("five parts", json!({ "sub": "system:serviceaccount:shop:app:x" })),
        ("another audience", json!({ "aud": ["https://kubernetes.default.svc"] })),
        ("for a year", json!({ "exp": now() + 366 * 86_400 })),
    ] {
        assert_eq!(status(root, account(issuer, &claims)).await, 401, "{what}");
    }
    assert_eq!(issuer.seen.reviews.lock().unwrap().len(), 0);
    // An account that is made anew under its name is somebody else, and a role can say which one it means.
    let anew = account(issuer, &json!({ "kubernetes.io": bound("shop", "app", "u-2") }));
    let other = root.as_vouched("cluster", json!({ "role": "shop", "jwt": anew })).await;
    let me = pod.get("auth/whoami").await.1;
    assert_ne!(other.get("auth/whoami").await.1["principal"], me["principal"]);
    let accounts = json!([{ "namespace": "shop", "name": "app", "uid": "u-1" }]);
    let bounds = json!({ "method": "cluster", "service_accounts": accounts });
    root.written("roles/shop", json!({ "policies": ["app"], "bounds": bounds }))
        .await;
    assert_eq!(status(root, account(issuer, &json!({}))).await, 200);
    assert_eq!(
        status(
            root,
            account(issuer, &json!({ "kubernetes.io": bound("shop", "app", "u-2") }))
        )
        .await,
        401
    );
    stage.server.terminate();
}

fn answer(status: &Value) -> Value {
    json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status })
}

fn yes() -> Value {
    json!({
        "authenticated": true, "audiences": [AUDIENCE],
        "user": { "username": "system:serviceaccount:shop:app", "uid": "u-1", "groups": ["system:authenticated"] },
    })
}

async fn by_its_review(on: On) {
    let stage = stage(on).await;
    cluster(&stage, true, Some("reviewer-token")).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    // Another token each time, so that no answer is remembered.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let fresh = || {
        let jti = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        account(issuer, &json!({ "jti": jti.to_string() }))
    };
    issuer.reviews_as(201, answer(&yes()));
    let token = fresh();
    assert_eq!(status(root, token.clone()).await, 200);
    let (bearer, asked) = issuer.seen.reviews.lock().unwrap().last().cloned().unwrap();
    assert_eq!(bearer, "Bearer reviewer-token");
    assert_eq!(
        (&asked["kind"], &asked["spec"]),
        (
            &json!("TokenReview"),
            &json!({ "token": token, "audiences": [AUDIENCE] })
        )
    );
    // For a minute the same token is not asked about again.
    assert_eq!(status(root, token.clone()).await, 200);
    assert_eq!(issuer.seen.reviews.lock().unwrap().len(), 1);
    let changed = |name: &str, value: Value| {
        let mut status = yes();
        status[name] = value;
        answer(&status)
    };
    let user = |username: &str, uid: &str| json!({ "username": username, "uid": uid });
    for (what, code, body) in [
        ("not authenticated", 201, changed("authenticated", json!(false))),
        ("nothing said", 201, answer(&json!({}))),
        ("an error", 201, changed("error", json!("token has been invalidated"))),
        ("no audiences", 201, changed("audiences", json!([]))),
        (
            "other audiences",
            201,
            changed("audiences", json!(["https://kubernetes.default.svc"])),
        ),
        (
            "another account",
            201,
            changed("user", user("system:serviceaccount:shop:other", "u-1")),
        ),
        (
            "three parts",
            201,
            changed("user", user("system:serviceaccount:shop", "u-1")),
        ),
        (
            "five parts",
            201,
            changed("user", user("system:serviceaccount:shop:app:x", "u-1")),
        ),
        (
            "another uid",
            201,
            changed("user", user("system:serviceaccount:shop:app", "u-2")),
        ),
        ("no user", 201, changed("user", json!({}))),
        ("the account is gone", 401, json!({ "kind": "Status" })),
        ("it may not ask", 403, json!({ "kind": "Status" })),
        ("no answer", 200, json!("x")),
        ("another type", 201, changed("authenticated", json!("true"))),
    ] {
        issuer.reviews_as(code, body);
        assert_eq!(status(root, fresh()).await, 401, "{what}");
    }
    for code in [500, 503, 404, 302] {
        issuer.reviews_as(code, json!({}));
        assert_eq!(status(root, fresh()).await, 503, "{code}");
    }
    // What our own checks refuse is not asked about.
    let before = issuer.seen.reviews.lock().unwrap().len();
    assert_eq!(
        status(root, account(issuer, &json!({ "aud": "https://other.test" }))).await,
        401
    );
    assert_eq!(issuer.seen.reviews.lock().unwrap().len(), before);
    // Without a token of its own, the caller's asks about itself.
    cluster(&stage, true, None).await;
    issuer.reviews_as(201, answer(&yes()));
    assert_eq!(status(root, token.clone()).await, 200);
    assert_eq!(
        issuer.seen.reviews.lock().unwrap().last().unwrap().0,
        format!("Bearer {token}")
    );
    assert!(!stage.server.log_text().contains("reviewer-token"));
    stage.server.terminate();
}

on_both_stores!(by_its_keys, by_its_review);
