//! The main job, as a new user would do it.

use serde_json::json;

use crate::harness::{Api, On, Store};

async fn the_main_job(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let (status, written) = root
        .put("secrets/payments/prod/api-key", json!({"value": "s3cr3t"}))
        .await;
    assert_eq!((status, &written["version"]), (201, &json!(1)));
    let data = json!({"data": {"user": "app", "password": "p"}, "cas": 0});
    assert_eq!(root.put("secrets/payments/prod/database", data.clone()).await.0, 201);
    assert_eq!(
        root.put("secrets/payments/prod/database", data).await.0,
        409,
        "stale cas"
    );
    let token = root
        .workload(
            "payments",
            json!([{"path": "secret/payments/prod/*", "capabilities": ["read", "list"]}]),
        )
        .await;
    let workload = root.with_token(token);
    let (status, read) = workload.get("secrets/payments/prod/api-key").await;
    assert_eq!(
        (status, &read["value"], &read["version"]),
        (200, &json!("s3cr3t"), &json!(1))
    );
    assert_eq!(workload.get("secrets/other/x").await.0, 403);
    assert_eq!(
        workload
            .put("secrets/payments/prod/api-key", json!({"value": "x"}))
            .await
            .0,
        403
    );
    assert_eq!(root.get("secrets/absent").await.0, 404);
    assert_eq!(root.with_token("srs_nothing").get("secrets/absent").await.0, 401);
    let anonymous = Api {
        token: None,
        ..root.clone()
    };
    assert_eq!(anonymous.get("secrets/payments/prod/api-key").await.0, 401);
    let (_, audit) = root
        .get("audit?path=payments/prod/api-key&action=secret.read&limit=10")
        .await;
    let entry = &audit["items"][0];
    assert_eq!(
        (&entry["outcome"], &entry["principal_name"]),
        (&json!("granted"), &json!("payments"))
    );
    assert!(server.terminate().success());
}

on_both_stores!(the_main_job);
