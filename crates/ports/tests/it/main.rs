//! The model passes its own suite; the random sequences then only show that they repeat themselves.

use std::future::{Future, ready};
use std::sync::Arc;

use strongroom_ports::Store;
use strongroom_ports::memory::MemoryStore;

fn fresh() -> impl Future<Output = (Arc<dyn Store>, ())> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    ready((store, ()))
}

strongroom_ports::conformance!(fresh);
