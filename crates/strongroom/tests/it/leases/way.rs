//! The way to the server: what a lease says of it, and where there is none.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use super::{connect, leasing};
use crate::harness::On;
use crate::rotation::stage;

async fn a_lease_names_the_database_where_its_target_does_not(on: On) {
    let place = leasing(on, json!({})).await;
    let root = &place.stage.root;
    let target = json!({
        "engine": "postgres", "address": format!("127.0.0.1:{}", place.cluster.port()), "tls": "off",
        "credential": "infra/admin",
    });
    root.written("targets/db", target).await;
    let lease = root.leased(None).await;
    assert_eq!(lease["dbname"], json!("postgres"), "{}", lease["username"]);
    connect(&lease).await.unwrap();
}

async fn a_role_is_written_where_its_target_does_not_answer(on: On) {
    let stage = stage(on).await;
    let root = &stage.root;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    stage.postgres_at("silent", &address).await;
    let began = Instant::now();
    // More than are there at once.
    let written = (0..10).map(async |at| {
        let (path, role) = (
            format!("lease-roles/report-{at}"),
            json!({ "target": "silent", "template": "reporting" }),
        );
        let (status, written) = root.put(&path, role).await;
        assert_eq!((status, &written["template"]), (200, &json!("reporting")), "{written}");
    });
    futures_util::future::join_all(written).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(root.get("lease-roles/report-9").await.0, 200);
}

on_both_stores!(
    a_lease_names_the_database_where_its_target_does_not,
    a_role_is_written_where_its_target_does_not_answer,
);
