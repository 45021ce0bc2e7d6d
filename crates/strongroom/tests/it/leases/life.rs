//! From a lease's beginning to its end.

use serde_json::{Value, json};
use sqlx::Executor as _;
use strongroom_domain::Time;
use strongroom_testkit::run_sql;

use super::{connect, exists, id, leasing, users};
use crate::harness::On;

/// In how many seconds `VALID UNTIL` lets nobody in any more.
const LEFT: &str = "SELECT ceil(extract(epoch FROM rolvaliduntil - now())) FROM pg_roles WHERE rolname LIKE 'sr\\_%'";

async fn it_is_made_used_and_taken_back(on: On) {
    let place = leasing(on, json!({})).await;
    let root = &place.stage.root;
    let lease = root.leased(None).await;
    assert_eq!(
        (&lease["engine"], &lease["dbname"]),
        (&json!("postgres"), &json!("postgres"))
    );
    let mut session = connect(&lease).await.unwrap();
    session
        .execute("INSERT INTO kept VALUES (1); CREATE TABLE made (n int)")
        .await
        .unwrap();
    session
        .execute("SET ROLE NONE; CREATE TEMP TABLE own (n int)")
        .await
        .unwrap();
    let path = format!("leases/{}", id(&lease));
    let (status, shown) = root.get(&path).await;
    assert_eq!(
        (status, &shown["state"], &shown["username"]),
        (200, &json!("live"), &lease["username"])
    );
    assert!(shown.get("password").is_none(), "it is told once");
    let (status, waits) = root.delete(&path).await;
    assert_eq!(status, 204, "{waits}");
    assert!(session.execute("SELECT 1").await.is_err(), "its session is ended");
    assert!(connect(&lease).await.is_err() && !exists(&place.cluster, &lease));
    assert_eq!(root.get(&path).await.0, 404);
    let owner = run_sql(
        &place.cluster.url("postgres"),
        "SELECT tableowner FROM pg_tables WHERE tablename = 'made'",
    );
    assert_eq!(owner, "reporting", "what it made stays");
    let log = place.cluster.log();
    assert!(log.contains("CREATE ROLE") && !log.contains(lease["password"].as_str().unwrap()));
}

async fn it_expires(on: On) {
    let place = leasing(on, json!({ "ttl": "3s" })).await;
    let root = &place.stage.root;
    let lease = root.leased(None).await;
    let mut session = connect(&lease).await.unwrap();
    root.is_gone(&lease, &place.cluster).await;
    assert!(session.execute("SELECT 1").await.is_err(), "its session is ended");
    let log = root.get("audit?action=lease.end&limit=10").await.1;
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
}

async fn it_is_renewed_up_to_its_maximum(on: On) {
    let place = leasing(on, json!({ "ttl": "10s", "max_ttl": "1m" })).await;
    let root = &place.stage.root;
    let left = || run_sql(&place.cluster.url("postgres"), LEFT).parse::<i64>().unwrap();
    let lease = root.leased(None).await;
    assert!(left() <= 10);
    let renew = format!("leases/{}/renew", id(&lease));
    let expires = |lease: &Value| Time::parse(lease["expires_at"].as_str().unwrap()).unwrap();
    let (status, renewed) = root.post(&renew, json!({ "ttl": "30s" })).await;
    assert_eq!(status, 200, "{renewed}");
    assert!(
        expires(&renewed) > expires(&lease) && (15..=30).contains(&left()),
        "{}",
        left()
    );
    let (_, shorter) = root.post(&renew, json!({ "ttl": "1s" })).await;
    assert_eq!(expires(&shorter), expires(&renewed), "never less than it had");
    let (_, most) = root.post(&renew, json!({ "ttl": "1h" })).await;
    assert_eq!(most["expires_at"], most["renewable_until"]);
    assert!((35..=60).contains(&left()), "{}", left());
    let (status, _) = root.post("leases/report", json!({ "ttl": "2m" })).await;
    assert_eq!(status, 400, "more than the maximum");
    assert_eq!(root.delete(&format!("leases/{}", id(&lease))).await.0, 204);
    assert_eq!(root.post(&renew, json!({})).await.0, 404, "what is over stays over");
}

async fn there_are_only_so_many(on: On) {
    let place = leasing(on, json!({ "max_leases": 3 })).await;
    let root = &place.stage.root;
    let asked = (0..8).map(|_| root.post("leases/report", json!({})));
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 429).collect();
    assert_eq!((made.len(), refused.len()), (3, 5), "{answers:?}");
    assert!(
        refused.iter().all(|(_, answer)| answer["code"] == "lease_limit"),
        "{refused:?}"
    );
    assert_eq!(users(&place.cluster).lines().count(), 3);
    assert_eq!(root.delete(&format!("leases/{}", id(&made[0].1))).await.0, 204);
    root.leased(None).await;
    assert_eq!(root.post("leases/report", json!({})).await.0, 429);
}

async fn it_is_its_holders(on: On) {
    let place = leasing(on, json!({})).await;
    let root = &place.stage.root;
    let who = async |name: &str, capability: &str| {
        let rules = json!([{ "path": "lease/report", "capabilities": [capability] }]);
        root.with_token(root.workload(name, rules).await)
    };
    let (holder, other) = (who("holds", "create").await, who("asks", "create").await);
    let (reader, ender) = (who("reads", "read").await, who("ends", "delete").await);
    let lease = holder.leased(None).await;
    let (path, renew) = (format!("leases/{}", id(&lease)), format!("leases/{}/renew", id(&lease)));
    assert_eq!(holder.get(&path).await.0, 200);
    assert_eq!(holder.post(&renew, json!({})).await.0, 200);
    for stranger in [&other, &ender] {
        assert_eq!(stranger.get(&path).await.0, 403);
        assert_eq!(stranger.post(&renew, json!({})).await.0, 403);
    }
    assert_eq!(reader.get(&path).await.0, 200);
    assert_eq!(reader.post("leases/report", json!({})).await.0, 403);
    for stranger in [&other, &reader] {
        assert_eq!(stranger.delete(&path).await.0, 403);
    }
    assert!(connect(&lease).await.is_ok());
    assert_eq!(ender.delete(&path).await.0, 204);
    let lease = holder.leased(None).await;
    assert_eq!(holder.delete(&format!("leases/{}", id(&lease))).await.0, 204);
    assert_eq!(users(&place.cluster), "");
}

on_both_stores!(
    it_is_made_used_and_taken_back,
    it_expires,
    it_is_renewed_up_to_its_maximum,
    there_are_only_so_many,
    it_is_its_holders,
);
