//! One fault at one point of one lease.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Cell;
use super::cell::{PATIENCE, Then, harm};
use super::place::Place;
use crate::harness::Api;

impl Place {
    /// A lease, as soon as there may be one: one at a time is all that its role has.
    async fn leases(&self, cell: Cell) -> Value {
        let (began, root) = (Instant::now(), self.root());
        loop {
            match root.call("POST", "leases/db", Some(json!({}))).await {
                Ok((201, lease)) => return lease,
                other => assert!(began.elapsed() < PATIENCE, "{cell}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ends(&self, lease: &Value, cell: Cell) {
        let (began, root) = (Instant::now(), self.root());
        let path = format!("leases/{}", lease["lease_id"].as_str().unwrap());
        loop {
            match root.call("DELETE", &path, None).await {
                Ok((204 | 404, _)) => return,
                other => assert!(began.elapsed() < PATIENCE, "{cell}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Nobody is at the target who was not before.
    async fn has_no_more_than(&self, users: &[String], cell: Cell) {
        let began = Instant::now();
        loop {
            let now = self.outside.users().await;
            if now == users {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{cell}: {now:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn asks(root: Api, method: &'static str, path: String) -> Option<(u16, Value)> {
    root.call(method, &path, Some(json!({}))).await.ok()
}

/// What is told of it.
pub(super) async fn run(place: &mut Place, cell: Cell) -> String {
    let point = cell.point("lease");
    let users = place.outside.users().await;
    let ending = ["revoke", "settle"].contains(&cell.step);
    let (method, path) = if ending {
        let lease = place.leases(cell).await;
        ("DELETE", format!("leases/{}", lease["lease_id"].as_str().unwrap()))
    } else {
        ("POST", "leases/db".to_owned())
    };
    let is_lost = cell.loses_an_answer();
    place.arm(&point, if is_lost { "lost" } else { "" });
    let asked = tokio::spawn(asks(place.root(), method, path));
    if !is_lost {
        harm(place, &point, cell, Then::Nothing).await;
    }
    let answer = asked.await.unwrap();
    let told = match &answer {
        // It may have taken longer than its caller waits.
        None => "no answer".to_owned(),
        Some((201, lease)) => {
            assert!(place.outside.logs_in(lease).await, "{cell}: {lease}");
            place.ends(lease, cell).await;
            "made".to_owned()
        }
        Some((204, _)) => "ended".to_owned(),
        Some((status, answer)) => {
            assert!([202, 404, 503, 504].contains(status), "{cell}: {answer}");
            format!("{status} {}", answer["code"].as_str().unwrap_or_default())
        }
    };
    place.has_no_more_than(&users, cell).await;
    let next = place.leases(cell).await;
    assert!(place.outside.logs_in(&next).await, "{cell}: {next}");
    place.ends(&next, cell).await;
    place.has_no_more_than(&users, cell).await;
    told
}
