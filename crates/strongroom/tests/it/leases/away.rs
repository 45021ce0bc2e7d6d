//! Leases that cannot be taken back for a while.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testkit::Proxy;

use super::{PATIENCE, connect, exists, id, leasing, users, with};
use crate::harness::{Api, On};
use crate::rotation::users::Place;
use crate::rotation::webhooks::{KEY, Seen};

/// With a proxy before the target.
async fn behind_proxy(on: On, role: Value) -> (Place, Proxy) {
    let place = leasing(on, role).await;
    let proxy = Proxy::start(([127, 0, 0, 1], place.cluster.port()).into());
    place.stage.root.written("targets/db", target(&proxy)).await;
    (place, proxy)
}

fn target(proxy: &Proxy) -> Value {
    json!({
        "engine": "postgres", "address": proxy.addr().to_string(), "database": "postgres", "tls": "off",
        "credential": "infra/admin",
    })
}

async fn it_is_tried_again_and_told(on: On) {
    let (place, proxy) = behind_proxy(on, json!({})).await;
    let root = &place.stage.root;
    let (url, seen) = Seen::start().await;
    assert_eq!(root.put("secrets/infra/hook", json!({ "value": KEY })).await.0, 201);
    let hook = json!({ "engine": "webhook", "address": url, "credential": "infra/hook", "events": ["lease.stuck"] });
    root.written("targets/hook", hook).await;
    let (lease, kept) = (root.leased(None).await, root.leased(None).await);
    proxy.cut();
    let path = format!("leases/{}", id(&lease));
    for _ in 0..5 {
        let (status, waits) = root.delete(&path).await;
        assert_eq!((status, &waits["state"]), (202, &json!("ending")), "{waits}");
        assert!(waits["failure"].is_string(), "{waits}");
    }
    let messages = seen.until(|messages| !messages.is_empty()).await;
    let (_, told) = &messages[0];
    assert_eq!(
        (&told["type"], &told["data"]["about"]),
        (&json!("lease.stuck"), &json!("report"))
    );
    let (status, refused) = root.post("leases/report", json!({})).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (503, Some("target_failed")),
        "{refused}"
    );
    assert!(exists(&place.cluster, &lease), "it is there yet");
    proxy.heal();
    let (status, waits) = root.delete(&path).await;
    assert_eq!(status, 204, "whoever says so does not wait for the next try: {waits}");
    root.is_gone(&lease, &place.cluster).await;
    let (status, _) = root.post(&format!("leases/{}/renew", id(&kept)), json!({})).await;
    assert_eq!(status, 200, "the other one is as it was");
    only_is_left(&place, &kept).await;
    assert_eq!(seen.messages().len(), 1, "it is told once");
}

/// No user of another lease is there after a while.
async fn only_is_left(place: &Place, kept: &Value) {
    let began = Instant::now();
    while users(&place.cluster) != kept["username"].as_str().unwrap() {
        assert!(began.elapsed() < PATIENCE, "{}", users(&place.cluster));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn it_ends_by_itself_once_the_target_is_back(on: On) {
    let (place, proxy) = behind_proxy(on, json!({ "ttl": "2s" })).await;
    let root = &place.stage.root;
    let lease = root.leased(None).await;
    proxy.cut();
    let began = Instant::now();
    loop {
        let (status, shown) = root.get(&format!("leases/{}", id(&lease))).await;
        assert_eq!(status, 200, "{shown}");
        if shown["failure"].is_string() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.heal();
    root.is_gone(&lease, &place.cluster).await;
}

async fn a_target_that_moved_is_not_asked_about_it(on: On) {
    let place = leasing(on, json!({})).await;
    let root = &place.stage.root;
    let lease = root.leased(None).await;
    let at = |host: &str| {
        json!({
            "engine": "postgres", "address": format!("{host}:{}", place.cluster.port()), "database": "postgres",
            "tls": "off", "credential": "infra/admin",
        })
    };
    root.written("targets/db", at("localhost")).await;
    let (status, waits) = root.delete(&format!("leases/{}", id(&lease))).await;
    assert_eq!(status, 202, "{waits}");
    let failure = waits["failure"].as_str().unwrap();
    assert!(failure.contains("127.0.0.1"), "it says where the user is: {failure}");
    assert!(exists(&place.cluster, &lease));
    root.written("targets/db", at("127.0.0.1")).await;
    root.is_gone(&lease, &place.cluster).await;
}

/// A namespace that has leases of the same server.
async fn team_of(root: &Api, proxy: &Proxy) -> Api {
    assert_eq!(root.call("PUT", "namespaces/team", None).await.unwrap().0, 200);
    let (_, token) = root.call("POST", "namespaces/team/token", None).await.unwrap();
    let team = root.with_token(token["token"].as_str().unwrap());
    let admin = json!({ "data": { "username": "admin", "password": "the-administrators-own" } });
    assert_eq!(team.put("secrets/infra/admin", admin).await.0, 201);
    team.written("targets/db", target(proxy)).await;
    team.written("lease-roles/report", with(&json!({}))).await;
    team
}

/// Of a namespace that was deleted, nothing is left.
async fn is_forgotten(root: &Api, namespace: &str, within: Duration) {
    let began = Instant::now();
    while root
        .call("PUT", &format!("namespaces/{namespace}"), None)
        .await
        .unwrap()
        .0
        == 409
    {
        assert!(began.elapsed() < within, "{namespace} is there yet");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_silent_target_keeps_no_other_namespace(on: On) {
    let (place, proxy) = behind_proxy(on, json!({})).await;
    let root = &place.stage.root;
    let team = team_of(root, &proxy).await;
    for _ in 0..3 {
        team.leased(None).await;
    }
    assert_eq!(root.call("PUT", "namespaces/zebra", None).await.unwrap().0, 200);
    proxy.hang();
    assert_eq!(root.delete("namespaces/team").await.0, 204);
    assert_eq!(root.delete("namespaces/zebra").await.0, 204);
    is_forgotten(root, "zebra", Duration::from_secs(15)).await;
    proxy.cut();
    proxy.heal();
    is_forgotten(root, "team", 2 * PATIENCE).await;
    assert_eq!(users(&place.cluster), "");
}

async fn what_was_not_planned_is_not_counted(on: On) {
    let (place, proxy) = behind_proxy(on, json!({ "max_leases": 1 })).await;
    let root = &place.stage.root;
    assert_eq!(root.delete("targets/db").await.0, 204);
    let (status, refused) = root.post("leases/report", json!({})).await;
    assert_eq!((status, &refused["code"]), (503, &json!("target_failed")), "{refused}");
    root.written("targets/db", target(&proxy)).await;
    let lease = root.leased(None).await;
    // Another server says nothing of a user, nor makes it last.
    let mut elsewhere = target(&proxy);
    elsewhere["address"] = json!(format!("127.0.0.1:{}", place.cluster.port()));
    root.written("targets/db", elsewhere).await;
    let (status, refused) = root.post(&format!("leases/{}/renew", id(&lease)), json!({})).await;
    assert_eq!((status, &refused["code"]), (503, &json!("target_failed")), "{refused}");
}

async fn what_nobody_can_take_back_is_abandoned(on: On) {
    let (place, proxy) = behind_proxy(on, json!({ "max_leases": 1 })).await;
    let root = &place.stage.root;
    let lease = root.leased(None).await;
    let (path, abandoned) = (
        format!("leases/{}", id(&lease)),
        format!("leases/{}?abandon=true", id(&lease)),
    );
    assert_eq!(root.delete(&abandoned).await.0, 409, "it was not tried");
    proxy.cut();
    let rules = json!([{ "path": "lease/*", "capabilities": ["delete"] }]);
    let ends = root.with_token(root.workload("ends", rules).await);
    let (status, waits) = ends.delete(&path).await;
    assert_eq!((status, waits["failure"].is_string()), (202, true), "{waits}");
    let rules = json!([{ "path": "lease/*", "capabilities": ["create", "read", "update", "delete", "list"] }]);
    let other = root.with_token(root.workload("other", rules).await);
    assert_eq!(other.delete(&abandoned).await.0, 403);
    let (code, shown) = root.typed(&["lease", "revoke", id(&lease), "--abandon"]);
    assert!(code == 0 && shown.contains("left where it is"), "{code} {shown}");
    assert_eq!(root.get(&path).await.0, 404);
    proxy.heal();
    assert!(exists(&place.cluster, &lease), "it is where it was");
    root.leased(None).await;
}

async fn a_namespace_takes_its_leases_with_it(on: On) {
    let (place, proxy) = behind_proxy(on, json!({})).await;
    let root = &place.stage.root;
    let team = team_of(root, &proxy).await;
    let (ours, theirs) = (root.leased(None).await, team.leased(None).await);
    let (status, _) = root.get(&format!("leases/{}", id(&theirs))).await;
    assert_eq!(status, 404, "they see nothing of each other");
    assert!(connect(&theirs).await.is_ok());
    proxy.cut();
    assert_eq!(root.delete("namespaces/team").await.0, 204);
    assert_eq!(team.get("lease-roles/report").await.0, 401, "nothing of it is shown");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(exists(&place.cluster, &theirs), "it is waited for");
    proxy.heal();
    only_is_left(&place, &ours).await;
    assert!(connect(&ours).await.is_ok() && connect(&theirs).await.is_err());
}

async fn a_namespace_whose_server_is_gone_goes(on: On) {
    let (place, proxy) = behind_proxy(on, json!({})).await;
    let root = &place.stage.root;
    let lease = team_of(root, &proxy).await.leased(None).await;
    proxy.cut();
    assert_eq!(root.delete("namespaces/team").await.0, 204);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = root.call("PUT", "namespaces/team", None).await.unwrap();
    assert_eq!(made.0, 409, "it waits for its lease");
    let rules = json!([{ "path": "sys/namespaces/*", "capabilities": ["create", "read", "update"] }]);
    let other = root.with_token(root.workload("other", rules).await);
    assert_eq!(other.delete("namespaces/team?abandon=true").await.0, 403);
    let (code, shown) = root.typed(&["namespace", "delete", "team", "--abandon"]);
    assert_eq!(code, 0, "{shown}");
    is_forgotten(root, "team", PATIENCE).await;
    proxy.heal();
    assert!(exists(&place.cluster, &lease), "it is where it was");
}

on_both_stores!(
    a_namespace_whose_server_is_gone_goes,
    it_is_tried_again_and_told,
    it_ends_by_itself_once_the_target_is_back,
    a_target_that_moved_is_not_asked_about_it,
    a_namespace_takes_its_leases_with_it,
    a_silent_target_keeps_no_other_namespace,
    what_was_not_planned_is_not_counted,
    what_nobody_can_take_back_is_abandoned,
);
