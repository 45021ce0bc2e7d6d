//! From configuration to a running broker.

use std::sync::Arc;

use secrecy::ExposeSecret;
use strongroom_broker::Broker;
use strongroom_crypto::RootKey;
use strongroom_domain::{Code, Error};
use strongroom_ports::{Store, StoreError};
use strongroom_store_postgres::PostgresStore;
use strongroom_store_sqlite::SqliteStore;

use crate::config::{Config, StoreChoice};
use crate::system::{SystemClock, SystemEntropy};

/// A sentence for the operator.
pub(crate) fn explain(error: &StoreError) -> String {
    match error {
        StoreError::Unfit(text) => text.clone(),
        other => format!("The store cannot be opened: {other:?}."),
    }
}

pub async fn open_store(choice: &StoreChoice) -> Result<Arc<dyn Store>, String> {
    match choice {
        StoreChoice::Sqlite(directory) => match SqliteStore::open(directory).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(explain(&error)),
        },
        StoreChoice::Postgres(url) => match PostgresStore::connect(url.expose_secret()).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(explain(&error)),
        },
    }
}

pub async fn open_broker(config: &Config, store: Arc<dyn Store>, root_key: &RootKey) -> Result<Broker, String> {
    let (clock, entropy) = (Arc::new(SystemClock::start()), Arc::new(SystemEntropy));
    Broker::open(store, clock, entropy, root_key, config.settings.clone())
        .await
        .map_err(|error: Error| match error.code {
            Code::Uninitialised => format!("{}. {}", error.detail, error.code.help()),
            _ => error.detail,
        })
}
