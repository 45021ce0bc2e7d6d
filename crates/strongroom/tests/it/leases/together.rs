//! Many leases that end in the same second.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use strongroom_domain::Kind;
use strongroom_testkit::scale;

use super::counting::{Counting, lease};
use super::{id, leasing, users};
use crate::harness::On;
use crate::rotation::stage;
use crate::sql::Sql;

const LEASES: f64 = 50.0;
/// At a server that only counts.
const COUNTED: f64 = 1000.0;
/// Asked for at once.
const AT_ONCE: usize = 8;
/// By these is seen how long making one takes here.
const FIRST: u32 = 16;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of leases"
)]
async fn they_expire_together(on: On) {
    let count = (LEASES * scale()).ceil() as u32;
    let place = leasing(on, json!({ "max_leases": count })).await;
    let root = &place.stage.root;
    let began = Instant::now();
    let first = stream::iter(0..FIRST.min(count)).map(|_| root.leased(None));
    let first: Vec<_> = first.buffer_unordered(AT_ONCE).collect().await;
    let until = 3 * count * began.elapsed() / FIRST + Duration::from_secs(5);
    for lease in first {
        assert_eq!(root.delete(&format!("leases/{}", id(&lease))).await.0, 204);
    }
    let began = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |_| async {
            let left = until.saturating_sub(began.elapsed()).as_secs().max(1);
            root.leased(Some(&format!("{left}s"))).await;
        })
        .await;
    let made = began.elapsed();
    assert!(made < until, "{made:?}: none may end before all are there");
    assert_eq!(users(&place.cluster).lines().count(), count as usize);
    tokio::time::sleep(until.saturating_sub(began.elapsed())).await;
    let ended = Instant::now();
    let mut left = count as usize;
    while left > 0 {
        assert!(
            ended.elapsed() < until + Duration::from_mins(1),
            "{left} of {count} are left"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        left = users(&place.cluster).lines().count();
    }
    println!(
        "{count} leases on {on:?}: made in {made:.1?} ({AT_ONCE} at once); they ended within a second, and the last user was \
         gone {:.1?} later",
        ended.elapsed()
    );
    // Each row goes after its user, and out of the count.
    let began = Instant::now();
    while root.post("leases/report", json!({})).await.0 == 429 {
        assert!(began.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// At a server that only counts, so that it is ours what takes time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of leases"
)]
async fn a_thousand_end_at_once(on: On) {
    let count = (COUNTED * scale()).ceil() as u32;
    let stage = stage(on).await;
    let (root, counting) = (&stage.root, Counting::start().await);
    counting.is_target(root, 2 * count).await;
    let began = Instant::now();
    let first = stream::iter(0..FIRST).map(|_| lease(root, 3600));
    let first: Vec<_> = first.buffer_unordered(AT_ONCE).collect().await;
    let until = 3 * count * began.elapsed() / FIRST + Duration::from_secs(5);
    for lease in first {
        assert_eq!(root.delete(&format!("leases/{}", id(&lease))).await.0, 204);
    }
    assert_eq!(counting.users(), 0);
    let began = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |_| async {
            let left = until.saturating_sub(began.elapsed()).as_secs().max(1);
            lease(root, left).await;
        })
        .await;
    let made = began.elapsed();
    assert!(counting.users() >= count as usize, "{made:?} of {until:?}");
    tokio::time::sleep(until.saturating_sub(began.elapsed())).await;
    let ended = Instant::now();
    while counting.users() > 0 {
        assert!(ended.elapsed() < until + Duration::from_mins(1), "{}", counting.users());
        assert_eq!(root.get("secrets/infra/admin").await.0, 200, "others are served");
    }
    println!(
        "{count} leases on {on:?} at a server that counts: made in {made:.1?} ({AT_ONCE} at once); the last user was gone \
         {:.1?} after they ended",
        ended.elapsed()
    );
    // Each row goes after its user.
    let began = Instant::now();
    let rows = format!("SELECT count(*) FROM record WHERE kind = {}", Kind::Lease.number());
    while Sql::of(&stage.store, None).number(&rows).await > 0 {
        assert!(began.elapsed() < Duration::from_mins(2));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

on_both_stores!(they_expire_together, a_thousand_end_at_once);
