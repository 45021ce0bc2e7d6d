//! The query data that lets both stores build without a database, made anew from the migrations.

use crate::workspace::{Fallible, entries, root, run};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// File names and contents of one `.sqlx` folder.
type QueryData = BTreeMap<String, Vec<u8>>;

/// Whether everything is as it should be: always after `Write`, only without drift after `Check`.
pub(crate) fn regenerate(mode: Mode) -> Fallible<bool> {
    let scratch = tempfile::tempdir()?;
    let postgres = ScratchDatabase::create()?;
    let sqlite = scratch.path().join("scratch.db");
    let sqlite_url = format!("sqlite://{}", sqlite.display());
    let stores = [
        ("store-postgres", "STRONGROOM_SQLX_POSTGRES_URL", &postgres.url),
        ("store-sqlite", "STRONGROOM_SQLX_SQLITE_URL", &sqlite_url),
    ];
    for (store, ..) in stores {
        fs::create_dir(scratch.path().join(store))?;
    }
    // The program of tomorrow has queries of its own, on top of ours.
    for (next, features) in [("", ""), ("next/", "next-schema")] {
        postgres.migrate(&format!("migrations/{next}postgres"))?;
        migrate_sqlite(&format!("migrations/{next}sqlite"), &sqlite)?;
        for (store, variable, url) in stores {
            describe_queries(store, features, variable, url, &scratch.path().join(store))?;
        }
    }
    let mut clean = true;
    for (store, ..) in stores {
        let fresh = read(&scratch.path().join(store))?;
        let committed = root().join("crates").join(store).join(".sqlx");
        match mode {
            Mode::Write => replace(&committed, &fresh)?,
            Mode::Check => clean &= report_drift(store, &read(&committed)?, &fresh),
        }
    }
    if !clean {
        println!("run `cargo xtask sqlx` and commit what it changes");
    }
    Ok(clean)
}

fn migrate_sqlite(migrations: &str, file: &Path) -> Fallible<()> {
    run(Command::new("cargo")
        .args(["run", "--quiet", "-p", "xtask", "--example", "migrate_sqlite", "--"])
        .arg(root().join(migrations))
        .arg(file)
        .current_dir(root()))
}

/// Compiles a store against a live database; its query macros write what they learn into the folder.
fn describe_queries(store: &str, features: &str, variable: &str, url: &str, folder: &Path) -> Fallible<()> {
    // Only a crate that compiles runs its macros, and cargo compiles what looks changed.
    let lib = root().join("crates").join(store).join("src/lib.rs");
    File::options()
        .append(true)
        .open(lib)?
        .set_modified(SystemTime::now())?;
    run(Command::new("cargo")
        .args([
            "check",
            "--quiet",
            "--lib",
            "-p",
            &format!("strongroom-{store}"),
            "--features",
            features,
        ])
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", folder)
        .env(variable, url)
        .current_dir(root()))
}

fn read(folder: &Path) -> Fallible<QueryData> {
    let mut data = QueryData::new();
    for file in entries(folder)? {
        data.insert(
            file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            fs::read(&file)?,
        );
    }
    Ok(data)
}

fn replace(folder: &Path, data: &QueryData) -> Fallible<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir(folder)?;
    for (name, content) in data {
        fs::write(folder.join(name), content)?;
    }
    println!("{}: {} queries", folder.display(), data.len());
    Ok(())
}

fn report_drift(store: &str, committed: &QueryData, fresh: &QueryData) -> bool {
    let drift = drift(committed, fresh);
    for (name, what) in &drift {
        println!("crates/{store}/.sqlx/{name}: {what}");
    }
    drift.is_empty()
}

fn drift<'a>(committed: &'a QueryData, fresh: &'a QueryData) -> Vec<(&'a str, &'static str)> {
    let names: BTreeSet<&String> = committed.keys().chain(fresh.keys()).collect();
    let judge = |name: &'a String| match (committed.get(name), fresh.get(name)) {
        (None, _) => Some((name.as_str(), "missing")),
        (_, None) => Some((name.as_str(), "belongs to no query")),
        (committed, fresh) => (committed != fresh).then_some((name.as_str(), "differs")),
    };
    names.into_iter().filter_map(judge).collect()
}

/// A PostgreSQL database that exists as long as this value.
struct ScratchDatabase {
    maintenance_url: String,
    name: String,
    url: String,
}

impl ScratchDatabase {
    fn create() -> Fallible<Self> {
        let maintenance_url = std::env::var("STRONGROOM_TEST_POSTGRES_URL")
            .map_err(|_| "set STRONGROOM_TEST_POSTGRES_URL to a PostgreSQL where databases may be created")?;
        let name = format!("strongroom_sqlx_{}", std::process::id());
        let url = with_database(&maintenance_url, &name).ok_or("STRONGROOM_TEST_POSTGRES_URL is no postgres:// URL")?;
        run(psql(&maintenance_url)
            .arg("--command")
            .arg(format!("CREATE DATABASE {name} TEMPLATE template0")))?;
        Ok(Self {
            maintenance_url,
            name,
            url,
        })
    }

    fn migrate(&self, migrations: &str) -> Fallible<()> {
        for file in entries(&root().join(migrations))? {
            if file.to_string_lossy().ends_with(".up.sql") {
                run(psql(&self.url).arg("--file").arg(&file))?;
            }
        }
        Ok(())
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        if let Err(error) = run(psql(&self.maintenance_url).arg("--command").arg(statement)) {
            eprintln!("xtask: {} is left behind: {error}", self.name);
        }
    }
}

fn psql(url: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url]);
    command
}

/// The same URL with another database: `postgres://user@host:port/<name>?options`.
fn with_database(url: &str, name: &str) -> Option<String> {
    let (scheme, rest) = url
        .split_once("://")
        .filter(|(scheme, _)| scheme.starts_with("postgres"))?;
    let (place, options) = rest
        .split_once('?')
        .map_or((rest, None), |(place, options)| (place, Some(options)));
    let server = place.split('/').next()?;
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    Some(format!("{scheme}://{server}/{name}{options}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_exchanged() {
        for (url, expected) in [
            ("postgres://u@127.0.0.1:5/postgres", "postgres://u@127.0.0.1:5/x"),
            ("postgresql://u:p@h/a?sslmode=off", "postgresql://u:p@h/x?sslmode=off"),
            ("postgres://h", "postgres://h/x"),
        ] {
            assert_eq!(with_database(url, "x").as_deref(), Some(expected));
        }
        assert_eq!(with_database("sqlite:///a", "x"), None);
    }

    #[test]
    fn drift_names_each_file_that_is_not_equal() {
        let data = |files: &[(&str, &str)]| -> QueryData {
            files
                .iter()
                .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
                .collect()
        };
        let committed = data(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let fresh = data(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(
            drift(&committed, &fresh),
            [("b", "differs"), ("c", "belongs to no query"), ("d", "missing")]
        );
        assert!(drift(&fresh, &fresh).is_empty());
    }
}
