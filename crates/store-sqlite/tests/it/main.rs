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

/// Times that were used where a dump was made are not used again where it was filled in, whatever the machine's clock says.
#[cfg(test)]
#[tokio::test]
async fn a_filled_store_is_never_earlier_than_its_dump() {
    use strongroom_domain::{ObjectId, Revision, Schema, Time};
    use strongroom_ports::{Part, Snapshot, Store as _};
    use strongroom_store_sqlite::{Migrations, SqliteStore};

    let directory = tempfile::tempdir().unwrap();
    Migrations::open(directory.path()).await.unwrap().up().await.unwrap();
    let (now, later) = (Time(1_000_000), Time(9_000_000));
    let store = SqliteStore::open_to_fill(directory.path()).await.unwrap();
    let fill = ObjectId([1; 16]);
    store.begin_fill(now, fill).await.unwrap();
    let snapshot = Snapshot {
        revision: Revision(7),
        at: later,
        oldest_program: Schema::OWN.oldest_program,
    };
    let keys = Part::Keys {
        records: Vec::new(),
        snapshot,
    };
    store.fill(now, fill, keys).await.unwrap();
    drop(store);
    let store = SqliteStore::open(directory.path()).await.unwrap();
    let found = store.last_boot(now).await.unwrap();
    assert_eq!((found.db_now, found.revision), (later, Revision(7)));
}
