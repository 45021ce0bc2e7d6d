//! Another session that holds what a store is about to take.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use strongroom_domain::{ObjectId, Time};
use strongroom_ports::{Store as _, StoreError};
use strongroom_store_postgres::{Migrations, PostgresStore};
use strongroom_testkit::Database;

async fn number(session: &mut PgConnection, sql: &'static str) -> i64 {
    session.fetch_one(sql).await.unwrap().get(0)
}

/// The session commits rows while the restore waits for it.
#[tokio::test]
async fn a_store_that_is_initialised_meanwhile_is_not_filled() {
    let database = Database::fresh();
    let mut migrations = Migrations::connect(database.url()).await.unwrap();
    migrations.up(false).await.unwrap();
    let store = Arc::new(PostgresStore::connect_to_fill(database.url()).await.unwrap());
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    let mut look = PgConnection::connect(database.url()).await.unwrap();
    session
        .execute(
            "SET idle_in_transaction_session_timeout = 0; BEGIN; \
             INSERT INTO strongroom.record VALUES ('n', 1, 'i', 'name', 1, NULL, 1, 'body', 'mac')",
        )
        .await
        .unwrap();
    let filling = tokio::spawn(async move { store.begin_fill(Time(0), ObjectId([1; 16])).await });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'strongroom.record'::regclass";
    while number(&mut look, waits).await == 0 {
        assert!(!filling.is_finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.execute("COMMIT").await.unwrap();
    let done = filling.await.unwrap();
    assert!(matches!(done, Err(StoreError::NotEmpty)), "{done:?}");
    assert_eq!(number(&mut look, "SELECT count(*) FROM strongroom.record").await, 1);
}
