//! The same for the log: what an auditor with the root key finds of each alteration.

use serde_json::json;

use super::matrix::Matrix;
use crate::asks::Ask;
use crate::harness::{Api, On, Store};
use crate::ledger::Ledger;
use crate::sql::{Sql, Table};

/// What may be emptied without any proof being touched.
const ERASABLE: &[&str] = &["accessor", "source"];
const TABLES: [(&str, &[&str]); 4] = [
    ("boot", &["boot"]),
    ("audit_batch", &["id"]),
    ("entry_reads", &["batch", "place"]),
    ("entry_kept", &["batch", "place"]),
];

/// Batches in all lanes over two boots, some of several entries.
async fn fill(store: &Store) {
    for boot in 0..2 {
        let server = store.dev(super::ISSUER);
        let root = Api::new(&server, store.root_token());
        assert_eq!(root.put("secrets/log/x", json!({"value": "v"})).await.0, 201);
        root.workload(
            &format!("w{boot}"),
            json!([{"path": "secret/log/*", "capabilities": ["read"]}]),
        )
        .await;
        root.with_token("srs_nobody").get("secrets/log/x").await;
        for _ in 0..3 {
            root.get("secrets/log/x").await;
        }
        let writes: Vec<_> = (0..4)
            .map(|at| json!({"path": format!("log/many/{boot}-{at}"), "value": "v"}))
            .collect();
        root.post("batch", json!({"writes": writes, "atomic": true})).await;
        let reads: Vec<_> = (0..20)
            .map(|at| json!({"path": format!("log/many/{boot}-{}", at % 4)}))
            .collect();
        assert_eq!(
            Ask::new(&root, "POST", "batch", Some(json!({"reads": reads})))
                .send(&root)
                .await
                .code(),
            "ok"
        );
        server.terminate();
    }
}

/// Deleted, inserted, reordered and exchanged entries and batches.
fn moves(tables: &[Table]) -> Vec<(&'static str, String, Vec<String>)> {
    let [_, batches, reads, kept] = tables else {
        panic!("four tables")
    };
    let mut all = Vec::new();
    let mut push = |kind, what: &str, statements| all.push((kind, what.to_owned(), statements));
    for (kind, table) in [("entry_reads", reads), ("entry_kept", kept)] {
        let of_one = |wanted: &str| {
            table
                .rows
                .iter()
                .filter(|row| table.value(row, "batch") == wanted)
                .count()
        };
        let first = table
            .rows
            .iter()
            .find(|row| of_one(table.value(row, "batch")) > 1)
            .expect("a batch of several entries");
        let second = table.row(&[("batch", table.value(first, "batch")), ("place", "1")]);
        let end = of_one(table.value(first, "batch")).to_string();
        push(kind, "deleted", vec![table.delete(second)]);
        let mut more = first.clone();
        more[1] = Some(end);
        push(kind, "inserted", vec![table.insert(&more)]);
        push(
            kind,
            "reordered",
            vec![
                table.overwrite(first, second, &["batch", "place"]),
                table.overwrite(second, first, &["batch", "place"]),
            ],
        );
        let stray = table
            .rows
            .iter()
            .find(|row| table.value(row, "batch") != table.value(first, "batch"))
            .unwrap();
        push(
            kind,
            "exchanged",
            vec![
                table.overwrite(stray, first, &["batch", "place"]),
                table.overwrite(first, stray, &["batch", "place"]),
            ],
        );
        let mut orphan = stray.clone();
        orphan[0] = Some("7".into());
        push(kind, "orphaned", vec![table.insert(&orphan)]);
        push(
            kind,
            "moved to the other table",
            vec![
                table.delete(stray),
                Table {
                    name: if kind == "entry_reads" {
                        "entry_kept"
                    } else {
                        "entry_reads"
                    },
                    ..table.clone()
                }
                .insert(stray),
            ],
        );
    }
    // The second of a lane that goes on after it, alone and with its entries.
    let next = |id: &str| (id.parse::<i64>().unwrap() + 1).to_string();
    let there = |id: &str| batches.rows.iter().any(|row| batches.value(row, "id") == id);
    let middle = batches.rows.iter().find(|row| {
        let id = batches.value(row, "id");
        there(&next(id)) && there(&(id.parse::<i64>().unwrap() - 1).to_string())
    });
    let middle = middle.expect("a batch between two");
    let id = batches.value(middle, "id");
    let entries: Vec<String> = ["entry_reads", "entry_kept"]
        .map(|table| format!("DELETE FROM {table} WHERE batch = {id}"))
        .into();
    push("audit_batch", "deleted", vec![batches.delete(middle)]);
    push(
        "audit_batch",
        "deleted with its entries",
        [vec![batches.delete(middle)], entries].concat(),
    );
    let after = batches.row(&[("id", &next(id))]);
    push(
        "audit_batch",
        "exchanged",
        vec![
            batches.overwrite(after, middle, &["id"]),
            batches.overwrite(middle, after, &["id"]),
        ],
    );
    all
}

async fn every_column_of_the_log(on: On) {
    let store = Store::fresh(on);
    fill(&store).await;
    let sql = Sql::of(&store, None);
    let whole = Ledger::open(&store, None).await.verify().await.unwrap();
    println!("{on:?}: the log as it was written: {whole:?}");
    assert!(
        whole.boots == 2 && whole.batches > 20 && whole.entries > 60,
        "{whole:?}"
    );
    sql.keep(&TABLES.map(|(table, _)| table)).await;
    let mut tables = Vec::new();
    for (name, key) in TABLES {
        tables.push(sql.table(name, key).await);
    }
    let mut all = moves(&tables);
    for table in &tables {
        for column in &table.columns {
            // Every way the column can be altered somewhere, each once.
            let mut ways = Vec::new();
            // From the last, behind which every number is free.
            for row in table.rows.iter().rev() {
                for flip in table.flips(column, row) {
                    if !ways.contains(&flip.how) {
                        ways.push(flip.how);
                        all.push((
                            table.name,
                            format!("{}:{}", column.name, flip.how),
                            vec![table.apply(row, &flip)],
                        ));
                    }
                }
            }
        }
    }
    let mut matrix = Matrix::default();
    for (kind, what, statements) in all {
        let restored = TABLES.iter().flat_map(|(table, _)| Sql::restore(table));
        sql.run(&restored.chain(statements).collect::<Vec<_>>()).await;
        let found = Ledger::open(&store, None).await.verify().await;
        let erasable = what.split(':').next().is_some_and(|column| ERASABLE.contains(&column));
        let verdict = match (&found, erasable) {
            (Ok(_), true) | (Err(_), false) => Ok(()),
            (Ok(_), false) => Err(format!("{kind} {what}: not found")),
            (Err(error), true) => Err(format!("{kind} {what}: {error}")),
        };
        matrix.put(kind, &what, if found.is_ok() { "whole" } else { "found" }, verdict);
    }
    sql.run(
        &TABLES
            .iter()
            .flat_map(|(table, _)| Sql::restore(table))
            .collect::<Vec<_>>(),
    )
    .await;
    assert_eq!(
        Ledger::open(&store, None).await.verify().await,
        Ok(whole),
        "what was put back is whole"
    );
    matrix.finish(&format!("{on:?}"));
}

on_both_stores!(every_column_of_the_log);
