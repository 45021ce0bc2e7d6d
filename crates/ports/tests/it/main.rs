//! The model passes its own suite; the random sequences then only show that they repeat themselves.

use std::sync::Arc;

use strongroom_ports::Store;
use strongroom_ports::memory::MemoryStore;

async fn fresh() -> (Arc<dyn Store>, impl Sized) {
    (Arc::new(MemoryStore::new()), ())
}

strongroom_ports::conformance!(fresh);
