//! The suite every store passes, each behaviour in a directory of its own.

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use strongroom_ports::Store;
    use strongroom_store_sqlite::{Migrations, SqliteStore};

    async fn fresh() -> (Arc<dyn Store>, impl Sized) {
        let directory = tempfile::tempdir().unwrap();
        Migrations::open(directory.path()).await.unwrap().up().await.unwrap();
        let store = SqliteStore::open(directory.path()).await.unwrap();
        (Arc::new(store), directory)
    }

    strongroom_ports::conformance!(fresh);
}
