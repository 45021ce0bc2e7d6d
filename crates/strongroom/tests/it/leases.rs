//! Credentials made on demand, on a real PostgreSQL that asks for passwords: they work while the lease lasts, and are gone
//! after it, whatever happens in between.

mod away;
pub(crate) mod counting;
mod crowd;
mod life;
mod listed;
mod names;
mod together;
mod watched;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, PgConnection};
use strongroom_testkit::{Cluster, run_sql};

use crate::harness::{Api, On};
use crate::rotation::users::{Place, place};

const PATIENCE: Duration = Duration::from_mins(1);

/// With the template `reporting`, which owns a table, and the lease role `report` of it.
async fn leasing(on: On, role: Value) -> Place {
    let place = place(on).await;
    run_sql(
        &place.cluster.url("postgres"),
        "CREATE ROLE reporting; CREATE SCHEMA reports AUTHORIZATION reporting; GRANT CREATE ON DATABASE postgres TO reporting;
         ALTER ROLE reporting SET search_path = reports; SET ROLE reporting; CREATE TABLE reports.kept (n int)",
    );
    place.stage.root.written("lease-roles/report", with(&role)).await;
    place
}

/// A lease role of the template, with more said.
fn with(more: &Value) -> Value {
    let mut role = json!({ "target": "db", "template": "reporting" });
    role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    role
}

impl Api {
    async fn leased(&self, ttl: Option<&str>) -> Value {
        let (status, lease) = self.post("leases/report", json!({ "ttl": ttl })).await;
        assert_eq!(status, 201, "{lease}");
        lease
    }

    /// The lease is over, and its user gone.
    async fn is_gone(&self, lease: &Value, cluster: &Cluster) {
        let began = Instant::now();
        loop {
            let (status, found) = self.get(&format!("leases/{}", id(lease))).await;
            if status == 404 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!exists(cluster, lease), "{}", lease["username"]);
    }
}

fn id(lease: &Value) -> &str {
    lease["lease_id"].as_str().unwrap()
}

async fn connect(lease: &Value) -> Result<PgConnection, sqlx::Error> {
    let options: sqlx::postgres::PgConnectOptions = lease["url"].as_str().unwrap().parse().unwrap();
    options.ssl_mode(sqlx::postgres::PgSslMode::Disable).connect().await
}

fn exists(cluster: &Cluster, lease: &Value) -> bool {
    let name = lease["username"].as_str().unwrap();
    assert!(
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        "{name}"
    );
    let sql = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'");
    run_sql(&cluster.url("postgres"), &sql) == "1"
}

/// All users that were made for leases.
fn users(cluster: &Cluster) -> String {
    run_sql(
        &cluster.url("postgres"),
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sr\\_%'",
    )
}
