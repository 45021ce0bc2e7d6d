//! Whoever writes to the database gains nothing: a row altered, moved or swapped does not pass when it is used.
//! Columns come from the database's own catalogue, so a new one is tried from the day it exists.

mod log;
mod matrix;
mod objects;
mod put_back;
mod start;

use crate::asks::Ask;
use crate::harness::{Api, On, Store};
use crate::sql::{Sql, Table, other};
use matrix::Matrix;
use objects::{BROKEN, Noun, Object, Use};
use start::start;

/// Tokens outlive a start on another port.
const ISSUER: &[(&str, &str)] = &[("STRONGROOM_ISSUER", "http://strongroom.test")];
const RECORD_KEY: &[&str] = &["namespace", "kind", "id"];
const VERSION_KEY: &[&str] = &["namespace", "owner", "number"];

async fn records(sql: &Sql) -> Table {
    sql.table("record", RECORD_KEY).await
}

async fn versions(sql: &Sql) -> Table {
    sql.table("version", VERSION_KEY).await
}

/// What was done to a row, and what comes of its uses.
struct Tampering {
    kind: String,
    what: String,
    statements: Vec<String>,
    uses: Vec<Use>,
}

/// Does all of it behind a stopped server, starts one, and makes every use.
async fn judge(store: &Store, sql: &Sql, all: Vec<Tampering>) {
    let statements: Vec<String> = all.iter().flat_map(|tampering| tampering.statements.clone()).collect();
    sql.run(&statements).await;
    let server = store.dev(ISSUER);
    let root = Api::new(&server, store.root_token());
    let mut matrix = Matrix::default();
    let mut broken = 0;
    for tampering in &all {
        assert!(
            !tampering.uses.is_empty(),
            "{} {} is used",
            tampering.kind,
            tampering.what
        );
        for Use { ask, codes } in &tampering.uses {
            let answer = ask.send(&root).await;
            let passed = codes.contains(&answer.code());
            broken += i64::from(BROKEN.contains(&answer.code()));
            matrix.put(
                &tampering.kind,
                &tampering.what,
                answer.code(),
                passed.then_some(()).ok_or_else(|| {
                    format!(
                        "{} {}: {}: {} {}, not {codes:?}",
                        tampering.kind, tampering.what, ask.path, answer.status, answer.text
                    )
                }),
            );
        }
    }
    matrix.finish(&format!("{:?}", store.on));
    // Each is on record like any other refusal. By their number: a search names principals, and theirs are altered too.
    let reason = strongroom_domain::Code::IntegrityFailed.number();
    let own = strongroom_domain::audit::Action::ManifestCheck.number();
    let of =
        |table| format!("(SELECT coalesce(sum(count), 0) FROM {table} WHERE reason = {reason} AND action <> {own})");
    let recorded = sql
        .number(&format!("SELECT {} + {}", of("entry_reads"), of("entry_kept")))
        .await;
    println!(
        "{:?}: {broken} uses found an altered row, {recorded} of them are on record",
        store.on
    );
    assert_eq!(recorded, broken, "every use that found an altered row is on record");
}

/// Objects enough to flip each column in each way, of one kind each.
async fn make_objects(root: &Api, stems: impl IntoIterator<Item = String>) -> Vec<Object> {
    let mut objects = Vec::new();
    for stem in stems {
        objects.push(Object::make(root, &stem).await);
    }
    objects
}

async fn every_column_of_what_requests_use(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(ISSUER);
    let sql = Sql::of(&store, None);
    let root = Api::new(&server, store.root_token());
    let columns = [records(&sql).await.columns, versions(&sql).await.columns];
    // A column that may be null is changed in two ways.
    let ways = |table: usize, noun: String| {
        let columns = columns[table]
            .iter()
            .flat_map(|column| (0..=usize::from(column.nullable)).map(|way| (&column.name, way)));
        columns
            .map(|(column, way)| format!("{noun}-{column}-{way}"))
            .collect::<Vec<_>>()
    };
    let mut objects = Vec::new();
    for noun in Noun::ALL {
        objects.push(make_objects(&root, ways(0, noun.to_string())).await);
    }
    let versioned = make_objects(&root, ways(1, "version".into())).await;
    server.terminate();
    let (records, versions) = (records(&sql).await, versions(&sql).await);
    let mut all = Vec::new();
    for (noun, mut objects) in Noun::ALL.into_iter().zip(objects.into_iter().map(Vec::into_iter)) {
        for column in &records.columns {
            for way in 0..=usize::from(column.nullable) {
                let object = objects.next().unwrap();
                let row = object.row(&records, noun);
                let flips = records.flips(column, row);
                let Some(flip) = flips.get(way) else { continue };
                let lost = noun.found_by().contains(&column.name.as_str());
                let mut uses = object.uses_there(&root, noun, &column.name, flip.value.as_deref().unwrap_or_default());
                uses.extend(object.uses(&root, noun, lost));
                let what = format!("{}:{}", column.name, flip.how);
                all.push(Tampering {
                    kind: noun.to_string(),
                    what,
                    statements: vec![records.apply(row, flip)],
                    uses,
                });
            }
        }
    }
    let mut objects = versioned.into_iter();
    for column in &versions.columns {
        assert!(
            !column.nullable,
            "a column of 'version' that may be null needs an object more"
        );
        let object = objects.next().unwrap();
        let row = versions.row(&[
            ("owner", records.value(object.row(&records, Noun::Secret), "id")),
            ("number", "2"),
        ]);
        for flip in versions.flips(column, row) {
            all.push(Tampering {
                kind: "version".into(),
                what: format!("{}:{}", column.name, flip.how),
                statements: vec![versions.apply(row, &flip)],
                uses: object.uses_of_version(&root),
            });
        }
    }
    judge(&store, &sql, all).await;
}

async fn every_move(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(ISSUER);
    let sql = Sql::of(&store, None);
    let root = Api::new(&server, store.root_token());
    let mut pairs = Vec::new();
    for noun in Noun::ALL {
        for what in ["overwritten", "renamed"] {
            let stems = ["a", "b"].map(|side| format!("{noun}-{what}-{side}"));
            pairs.push((noun, what, make_objects(&root, stems).await));
        }
    }
    let moves = [
        "older into newer",
        "older as newer",
        "other's into",
        "other's row",
        "deleted",
        "swapped",
    ];
    let stems = moves
        .iter()
        .flat_map(|what| ["a", "b"].map(|side| format!("version-{}-{side}", what.replace([' ', '\''], "-"))));
    let versioned = make_objects(&root, stems).await;
    server.terminate();
    let (records, versions) = (records(&sql).await, versions(&sql).await);
    let mut all = Vec::new();
    for (noun, what, pair) in &pairs {
        let [a, b] = [&pair[0], &pair[1]].map(|object| object.row(&records, *noun));
        let statements = if *what == "overwritten" {
            vec![records.overwrite(a, b, &["namespace", "kind", "id", "name"])]
        } else {
            // The client is found by its id.
            let column = if *noun == Noun::Client { "id" } else { "name" };
            let renamed = records.update(a, column, Some(records.value(b, column)));
            vec![records.delete(b), renamed]
        };
        let uses = pair[1].uses(&root, *noun, false);
        all.push(Tampering {
            kind: noun.to_string(),
            what: (*what).to_owned(),
            statements,
            uses,
        });
    }
    for (at, what) in moves.iter().enumerate() {
        let [a, b] = [&versioned[2 * at], &versioned[2 * at + 1]];
        let owner = |object: &Object| records.value(object.row(&records, Noun::Secret), "id").to_owned();
        let row = |object: &Object, number| versions.row(&[("owner", &owner(object)), ("number", number)]);
        let (other, older, newer) = (row(a, "2"), row(b, "1"), row(b, "2"));
        let statements = match *what {
            "older into newer" => vec![versions.overwrite(older, newer, VERSION_KEY)],
            "older as newer" => vec![versions.delete(newer), versions.update(older, "number", Some("2"))],
            "other's into" => vec![versions.overwrite(other, newer, VERSION_KEY)],
            "other's row" => vec![versions.delete(newer), versions.update(other, "owner", Some(&owner(b)))],
            "deleted" => vec![versions.delete(newer)],
            _ => vec![
                versions.overwrite(older, newer, VERSION_KEY),
                versions.overwrite(newer, older, VERSION_KEY),
            ],
        };
        let uses = b.uses_of_version(&root);
        all.push(Tampering {
            kind: "version".into(),
            what: (*what).to_owned(),
            statements,
            uses,
        });
    }
    judge(&store, &sql, all).await;
}

/// Slots, ring, namespace and the root token: one at a time, each with a start of its own.
async fn every_column_of_what_a_start_uses(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(ISSUER);
    let sql = Sql::of(&store, None);
    let root = Api::new(&server, store.root_token());
    let rules = serde_json::json!([{"path": "sys/policies/*", "capabilities": ["create", "update"]}]);
    let admin = root.workload("administrators", rules).await;
    server.terminate();
    sql.keep(&["record"]).await;
    let records = records(&sql).await;
    let mut matrix = Matrix::default();
    for (kind, number) in [("namespace", "1"), ("key_slot", "2"), ("key_ring", "3"), ("token", "9")] {
        let row = records.row(&[("kind", number)]);
        for column in &records.columns {
            for flip in records.flips(column, row) {
                let what = format!("{}:{}", column.name, flip.how);
                let mut statements = Sql::restore("record");
                statements.push(records.apply(row, &flip));
                sql.run(&statements).await;
                let (code, verdict) = match start(&store).await {
                    Err(said) => {
                        let fails = [
                            "fails its check",
                            "key ring is gone",
                            "not initialised",
                            "does not open",
                        ]
                        .iter()
                        .any(|part| said.contains(part));
                        (
                            "refuses to start".to_owned(),
                            if fails && kind != "token" { Ok(()) } else { Err(said) },
                        )
                    }
                    Ok(server) => {
                        let root = Api {
                            address: server.address.clone(),
                            ..root.clone()
                        };
                        let answer = Ask::get(&root, "policies").send(&root).await;
                        // Lost under its name, the manifest has it still.
                        let mut fine = BROKEN.contains(&answer.code());
                        // As a change id, the next kind, it can be used by whoever may change something.
                        if kind == "token" && column.name == "kind" {
                            let body =
                                Some(serde_json::json!({"rules": [{"path": "secret/x", "capabilities": ["read"]}]}));
                            let ask = Ask::new(&root.with_token(&admin), "PUT", "policies/other", body);
                            let answer = ask.with_key(records.value(row, "name")).send(&root).await;
                            println!("{on:?}: a token's row as a change id: {}", answer.code());
                            fine &= BROKEN.contains(&answer.code());
                        }
                        (
                            answer.code().to_owned(),
                            if fine {
                                Ok(())
                            } else {
                                Err(format!("{kind} {what}: {}", answer.text))
                            },
                        )
                    }
                };
                matrix.put(kind, &what, &code, verdict);
            }
        }
    }
    sql.run(&Sql::restore("record")).await;
    let server = start(&store).await.unwrap_or_else(|said| panic!("{said}"));
    let root = Api {
        address: server.address.clone(),
        ..root.clone()
    };
    assert_eq!(root.get("policies").await.0, 200, "what was put back is whole");
    matrix.finish(&format!("{on:?}"));
}

#[test]
fn a_flip_is_another_value() {
    use crate::sql::Type;
    assert_eq!(other(Type::Bytes, "00ff"), "00fe");
    assert_eq!(
        (other(Type::Int, "-1").as_str(), other(Type::Text, "ab0").as_str()),
        ("0", "ab1")
    );
    assert_eq!(other(Type::Text, "abx"), "ab0");
}

on_both_stores!(
    every_column_of_what_requests_use,
    every_column_of_what_a_start_uses,
    every_move,
);
