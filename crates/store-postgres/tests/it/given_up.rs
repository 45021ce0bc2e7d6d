//! Calls that nobody waits for any more.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};
use strongroom_domain::{Kind, Revision, Time};
use strongroom_ports::Store as _;
use strongroom_store_postgres::{Migrations, PostgresStore};
use strongroom_testkit::{Database, Proxy};

/// As many as the pool has connections, and more.
const CALLS: usize = 16;
const NOW: Time = Time(1_000_000);

/// The top revision, by as many connections as are asked at once.
async fn tops(store: &PostgresStore) -> Vec<Revision> {
    let asked = (0..CALLS).map(|_| store.touches(NOW, Revision(0), 10));
    let found = join_all(asked).await;
    found.into_iter().map(|found| found.unwrap().revision).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_given_up_is_in_nobodys_way() {
    let database = Database::fresh();
    let mut migrations = Migrations::connect(database.url()).await.unwrap();
    migrations.up(false).await.unwrap();
    let (server, name) = database.url().rsplit_once('/').unwrap();
    let (user, address) = server.rsplit_once('@').unwrap();
    let proxy = Proxy::start(address.parse().unwrap());
    let url = format!("{user}@{}/{name}", proxy.addr());
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    tops(&store).await;
    for round in 0..5 {
        proxy.hang();
        // Given up at every point between the first byte and the last.
        let given_up = (0..CALLS).map(|at| {
            let read = store.of_kind(NOW, Kind::Secret);
            tokio::time::timeout(Duration::from_millis(20 + at as u64), read)
        });
        let given_up = join_all(given_up).await;
        assert!(given_up.iter().all(Result::is_err), "nobody was answered");
        proxy.heal();
        let before = tops(&store).await;
        session
            .execute("UPDATE strongroom.revision SET value = value + 1")
            .await
            .unwrap();
        let after = tops(&store).await;
        let next = before.iter().max().unwrap().0 + 1;
        assert!(after.iter().all(|top| top.0 == next), "{round}: {before:?} {after:?}");
    }
}
