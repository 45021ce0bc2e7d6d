//! Makes a SQLite file, or goes on with one, and applies all migrations of a folder, for `cargo xtask sqlx` to check queries against.
//! It lives here and not in the store, which does not compile while its query data is out of date.

use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use std::error::Error;
use std::path::Path;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(migrations), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: migrate_sqlite MIGRATIONS FILE".into());
    };
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .connect()
        .await?;
    let mut migrator = Migrator::new(Path::new(&migrations)).await?;
    migrator.set_ignore_missing(true).run(&mut connection).await?;
    Ok(())
}
