//! The suite every store passes, each behaviour on a database of its own; and what only sessions beside us can do.

#[cfg(test)]
mod given_up;
#[cfg(test)]
mod locks;

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use strongroom_ports::Store;
    use strongroom_store_postgres::{Migrations, PostgresStore};
    use strongroom_testkit::Database;

    async fn fresh() -> (Arc<dyn Store>, impl Sized) {
        let database = Database::fresh();
        Migrations::connect(database.url())
            .await
            .unwrap()
            .up(false)
            .await
            .unwrap();
        let store = PostgresStore::connect(database.url()).await.unwrap();
        (Arc::new(store), database)
    }

    strongroom_ports::conformance!(fresh);
}
