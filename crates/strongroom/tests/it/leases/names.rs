//! Names that would be something else in SQL, and those that a server cannot have.

use serde_json::{Value, json};
use sqlx::Executor as _;
use strongroom_testkit::run_sql;

use super::{connect, exists, id, leasing, with};
use crate::harness::On;

async fn hostile_ones_are_worked_with(on: On) {
    let place = leasing(on, json!({})).await;
    let (root, admin) = (&place.stage.root, place.cluster.url("postgres"));
    let longest = format!("{}é", "x".repeat(61));
    for name in [
        "a\"b",
        "'; DROP ROLE app; --",
        "back\\slash\\'",
        "$$ é☃𐀀",
        " ",
        longest.as_str(),
    ] {
        let quoted = name.replace('"', "\"\"");
        run_sql(
            &admin,
            &format!(
                "CREATE ROLE \"{quoted}\"; CREATE SCHEMA \"{quoted}\" AUTHORIZATION \"{quoted}\";
                 ALTER ROLE \"{quoted}\" SET search_path = \"{quoted}\""
            ),
        );
        root.written("lease-roles/report", with(&json!({ "template": name })))
            .await;
        let lease = root.leased(None).await;
        let mut session = connect(&lease).await.unwrap();
        session.execute("CREATE TABLE made (n int)").await.unwrap();
        let (status, ended) = root.delete(&format!("leases/{}", id(&lease))).await;
        assert_eq!(status, 204, "{name:?}: {ended}");
        assert!(!exists(&place.cluster, &lease), "{name:?}");
        run_sql(
            &admin,
            &format!("DROP SCHEMA \"{quoted}\" CASCADE; DROP ROLE \"{quoted}\""),
        );
    }
    let app = run_sql(&admin, "SELECT count(*) FROM pg_roles WHERE rolname = 'app'");
    assert_eq!(app, "1");
}

async fn what_cannot_be_is_refused_when_it_is_written(on: On) {
    let place = leasing(on, json!({})).await;
    let root = &place.stage.root;
    let refused = async |more: Value| {
        let (status, answer) = root.put("lease-roles/refused", with(&more)).await;
        assert_eq!(status, 400, "{answer}");
        answer["detail"].as_str().unwrap().to_owned()
    };
    for template in ["", &"x".repeat(64), &"é".repeat(32), "new\nline", "nu\0l"] {
        let says = refused(json!({ "template": template })).await;
        assert!(says.contains("63 bytes"), "{template:?}: {says}");
    }
    let says = refused(json!({ "template": "not there" })).await;
    assert!(says.contains("not there"), "{says}");
    for template in ["postgres", "admin"] {
        let says = refused(json!({ "template": template })).await;
        assert!(says.contains("superuser"), "{says}");
    }
    refused(json!({ "target": "elsewhere" })).await;
    refused(json!({ "ttl": "2h", "max_ttl": "1h" })).await;
    refused(json!({ "max_leases": 0 })).await;
    assert_eq!(root.get("lease-roles/refused").await.0, 404);
    for name in ["lease:0123456789abcdefghij", "a%20b", "a'b", "%00"] {
        let (status, answer) = root.put(&format!("lease-roles/{name}"), with(&json!({}))).await;
        assert_eq!(status, 400, "{name}: {answer}");
    }
}

on_both_stores!(
    hostile_ones_are_worked_with,
    what_cannot_be_is_refused_when_it_is_written
);
