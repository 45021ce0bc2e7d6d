//! From configuration to a running broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use strongroom_broker::Broker;
use strongroom_connectors::{Outbound, Targets};
use strongroom_crypto::Unlock;
use strongroom_domain::Code;
use strongroom_ports::{Connectors, Store, StoreError};
use strongroom_store_postgres::PostgresStore;
use strongroom_store_sqlite::SqliteStore;

use crate::config::{Config, StoreChoice};
use crate::system::{SystemClock, SystemEntropy};

/// How long a database that was reached, and now restarts or is busy, is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

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

/// A store to restore into: one that is empty, or that a restore has begun to fill.
pub(crate) async fn open_store_to_fill(choice: &StoreChoice) -> Result<Arc<dyn Store>, String> {
    match choice {
        StoreChoice::Sqlite(directory) => match SqliteStore::open_to_fill(directory).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(explain(&error)),
        },
        StoreChoice::Postgres(url) => match PostgresStore::connect_to_fill(url.expose_secret()).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(explain(&error)),
        },
    }
}

pub async fn open_broker(config: &Config, store: Arc<dyn Store>, unlock: &Unlock) -> Result<Broker, String> {
    let began = Instant::now();
    loop {
        let servers = Arc::new(Targets::new(config.outbound.clone(), true));
        let connectors = Connectors {
            fetch: Arc::new(Outbound::new(config.outbound.clone(), true)),
            rotator: servers.clone(),
            issuer: servers,
        };
        let (clock, entropy) = (Arc::new(SystemClock::start()), Arc::new(SystemEntropy));
        match Broker::open(
            store.clone(),
            clock,
            entropy,
            connectors,
            unlock,
            config.settings.clone(),
        )
        .await
        {
            Ok(broker) => return Ok(broker),
            Err(error) if error.code == Code::StoreUnavailable && began.elapsed() < PATIENCE => {
                tracing::warn!(?error, "the database does not answer yet");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) if error.code == Code::Uninitialised => {
                return Err(format!("{}. {}", error.detail, error.code.help()));
            }
            Err(error) => return Err(error.detail),
        }
    }
}
