//! Erasing a person leaves every proof whole.

use serde_json::json;

use crate::harness::{Api, On, Store};
use crate::ledger::Ledger;
use crate::sql::Sql;

async fn an_erased_principal(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    root.put("secrets/erase/x", json!({"value": "v"})).await;
    let mut principals = Vec::new();
    for name in ["erased", "other"] {
        let token = root
            .workload(name, json!([{"path": "secret/erase/*", "capabilities": ["read"]}]))
            .await;
        let workload = root.with_token(token);
        for path in ["secrets/erase/x", "secrets/denied/x", "secrets/erase/absent"] {
            workload.get(path).await;
        }
        let (_, clients) = root.get("clients").await;
        let client = clients["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|client| client["name"] == name)
            .unwrap();
        principals.push(client["principal"].as_str().unwrap().to_owned());
    }
    let sql = Sql::of(&store, None);
    let literal = |principal: &str| match on {
        On::Sqlite => format!("x'{principal}'"),
        On::Postgres => format!("'\\x{principal}'"),
    };
    let clear = |principal: &str, table: &str| {
        let principal = literal(principal);
        format!(
            "SELECT count(*) FROM {table} WHERE principal = {principal} AND (accessor IS NOT NULL OR source IS NOT NULL)"
        )
    };
    for principal in &principals {
        for table in ["entry_reads", "entry_kept"] {
            assert!(
                sql.number(&clear(principal, table)).await >= 2,
                "{table}: entries to erase"
            );
        }
    }
    let (status, answer) = root
        .post(&format!("principals/{}/erase", principals[0]), json!({}))
        .await;
    assert_eq!(status, 200, "{answer}");
    for table in ["entry_reads", "entry_kept"] {
        assert_eq!(sql.number(&clear(&principals[0], table)).await, 0, "{table}: erased");
        assert!(
            sql.number(&clear(&principals[1], table)).await >= 2,
            "{table}: another's stay"
        );
    }
    let (_, of_erased) = root.get(&format!("audit?principal={}", principals[0])).await;
    let items = of_erased["items"].as_array().unwrap();
    assert!(items.len() >= 4, "entries stay: {of_erased}");
    for item in items {
        for field in ["principal_name", "accessor", "source"] {
            assert!(
                item.get(field).is_none_or(serde_json::Value::is_null),
                "{field}: {item}"
            );
        }
    }
    let (_, of_other) = root.get(&format!("audit?principal={}", principals[1])).await;
    for item in of_other["items"].as_array().unwrap() {
        assert_eq!(
            (&item["principal_name"], &item["source"]),
            (&json!("other"), &json!("127.0.0.1")),
            "{item}"
        );
    }
    server.terminate();
    let figures = Ledger::open(&store, None)
        .await
        .verify()
        .await
        .expect("every proof holds");
    println!("{on:?}: after erasing one of two principals: {figures:?}");
}

on_both_stores!(an_erased_principal);
