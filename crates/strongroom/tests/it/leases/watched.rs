//! What is seen of leases by whoever watches: those that are stuck, and users that none explains.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use strongroom_domain::Kind;
use strongroom_testkit::{Proxy, run_sql};

use super::counting::{Counting, lease};
use super::{id, leasing};
use crate::harness::On;
use crate::methods::HOME;
use crate::rotation::stage;
use crate::sql::Sql;

/// More than a node reads at once.
const LIVE: u32 = 1100;
const AT_ONCE: usize = 8;

async fn a_stuck_lease_is_seen_behind_all_that_live(on: On) {
    let mut stage = stage(on).await;
    let (root, counting) = (&stage.root, Counting::start().await);
    counting.is_target(root, 2 * LIVE).await;
    let proxy = Proxy::start(counting.address.parse().unwrap());
    let target = json!({
        "engine": "redis", "address": proxy.addr().to_string(), "tls": "off", "credential": "infra/admin",
    });
    root.written("targets/away", target).await;
    let role = json!({ "target": "away", "template": "reporting" });
    root.written("lease-roles/away", role).await;
    stream::iter(0..LIVE)
        .for_each_concurrent(AT_ONCE, |_| async {
            lease(root, 1200).await;
        })
        .await;
    let (status, stuck) = root.post("leases/away", json!({ "ttl": "1m" })).await;
    assert_eq!(status, 201, "{stuck}");
    proxy.cut();
    // Until it is tried next when all others are over.
    let rows = Sql::of(&stage.store, None);
    let last = format!("SELECT max(due) FROM record WHERE kind = {}", Kind::Lease.number());
    let (began, first) = (Instant::now(), rows.number(&last).await);
    while rows.number(&last).await <= first {
        let (status, waits) = root.delete(&format!("leases/{}", id(&stuck))).await;
        assert_eq!(status, 202, "{waits}");
        assert!(began.elapsed() < Duration::from_mins(2), "{waits}");
    }
    stage.server.kill9();
    stage.server = stage.store.dev(&[HOME]);
    let root = &stage.root.at(&stage.server);
    root.gauge_is("strongroom_leases_stuck", 1).await;
    root.gauge_is("strongroom_leases", (LIVE + 1).into()).await;
    let metrics = root.http.get(format!("{}/metrics", root.address)).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let overdue = metrics
        .lines()
        .find_map(|line| line.strip_prefix("strongroom_lease_overdue_seconds "));
    assert!(overdue.unwrap().parse::<u64>().unwrap() >= 1, "{overdue:?}");

    // Whoever revokes it is told, and by the exit code too.
    let revoke = ["lease", "revoke", id(&stuck)];
    let (code, shown) = root.typed(&revoke);
    assert!(
        code == 6 && shown.contains("the target cannot be reached"),
        "{code} {shown}"
    );
    assert!(shown.contains(stuck["username"].as_str().unwrap()), "{shown}");
    let (code, shown) = root.typed(&[&revoke[..], &["-o", "json"]].concat());
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &shown["state"]), (6, &json!("ending")), "{shown}");
    proxy.heal();
    let (code, shown) = root.typed(&revoke);
    assert!(code == 0 && shown.contains("its user is gone"), "{code} {shown}");
}

async fn users_that_no_lease_explains_are_counted_and_named(on: On) {
    let mut place = leasing(on, json!({})).await;
    let lease = place.stage.root.leased(None).await;
    let username = lease["username"].as_str().unwrap();
    let (prefix, _) = username.rsplit_once('_').unwrap();
    let stray = format!("{prefix}_{}", "a".repeat(20));
    let url = place.cluster.url("postgres");
    let another = "sr_00000000_aaaaaaaaaaaaaaaaaaaa";
    run_sql(&url, &format!("CREATE ROLE {stray}; CREATE ROLE {another}"));
    place.stage.server.kill9();
    place.stage.server = place.stage.store.dev(&[HOME]);
    let root = &place.stage.root.at(&place.stage.server);
    root.gauge_is("strongroom_lease_strays", 1).await;
    let log = place.stage.server.log_text();
    assert!(
        log.contains(&stray) && !log.contains(username) && !log.contains(another),
        "{log}"
    );
    assert!(super::exists(&place.cluster, &lease), "its lease stands");
}

on_both_stores!(
    a_stuck_lease_is_seen_behind_all_that_live,
    users_that_no_lease_explains_are_counted_and_named,
);
