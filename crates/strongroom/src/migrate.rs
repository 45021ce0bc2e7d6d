//! `migrate up|finish|down|status`.

use std::path::Path;

use secrecy::ExposeSecret;
use strongroom_store_postgres as postgres;
use strongroom_store_sqlite as sqlite;

use crate::config::StoreChoice;
use crate::files;
use crate::wiring::explain;

async fn open_sqlite(directory: &Path) -> Result<sqlite::Migrations, String> {
    files::make_directory(directory)
        .map_err(|error| format!("The data directory {} cannot be made: {error}.", directory.display()))?;
    sqlite::Migrations::open(directory)
        .await
        .map_err(|error| explain(&error))
}

pub(crate) async fn up(store: &StoreChoice, adopt: bool) -> Result<(), String> {
    let done = match store {
        StoreChoice::Sqlite(directory) => open_sqlite(directory).await?.up().await,
        StoreChoice::Postgres(url) => match postgres::Migrations::connect(url.expose_secret()).await {
            Ok(mut migrations) => migrations.up(adopt).await,
            Err(error) => Err(error),
        },
    };
    done.map_err(|error| explain(&error))
}

/// The oldest program that may run from now on, or `None` where there was nothing to finish.
pub(crate) async fn finish(store: &StoreChoice) -> Result<Option<i64>, String> {
    let done = match store {
        StoreChoice::Sqlite(directory) => open_sqlite(directory).await?.finish().await,
        StoreChoice::Postgres(url) => match postgres::Migrations::connect(url.expose_secret()).await {
            Ok(mut migrations) => migrations.finish().await,
            Err(error) => Err(error),
        },
    };
    done.map_err(|error| explain(&error))
}

pub(crate) async fn down(store: &StoreChoice, target: i64, discard: bool) -> Result<(), String> {
    let done = match store {
        StoreChoice::Sqlite(directory) => open_sqlite(directory).await?.down(target, discard).await,
        StoreChoice::Postgres(url) => match postgres::Migrations::connect(url.expose_secret()).await {
            Ok(mut migrations) => migrations.down(target, discard).await,
            Err(error) => Err(error),
        },
    };
    done.map_err(|error| explain(&error))
}

/// Each migration's number, its name if this program knows it, and whether it is applied.
pub(crate) async fn status(store: &StoreChoice) -> Result<Vec<(i64, Option<String>, bool)>, String> {
    match store {
        StoreChoice::Sqlite(directory) => {
            let found = open_sqlite(directory)
                .await?
                .status()
                .await
                .map_err(|error| explain(&error))?;
            Ok(found
                .into_iter()
                .map(|one| (one.number, one.name, one.applied))
                .collect())
        }
        StoreChoice::Postgres(url) => {
            let mut migrations = postgres::Migrations::connect(url.expose_secret())
                .await
                .map_err(|error| explain(&error))?;
            let found = migrations.status().await.map_err(|error| explain(&error))?;
            Ok(found
                .into_iter()
                .map(|one| (one.number, one.name, one.applied))
                .collect())
        }
    }
}
