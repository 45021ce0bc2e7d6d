//! Which crate may depend on which. A new edge is a decision, so it starts with a line here.

use crate::workspace::{Fallible, packages, relative};
use std::fs;
use std::path::Path;

type Table = &'static [(&'static str, &'static [&'static str])];

/// What each crate may import from this workspace, in all it is built from. A crate is called by its folder.
const IMPORTS: Table = &[
    ("domain", &[]),
    ("flags", &["domain"]),
    ("crypto", &["domain"]),
    ("ports", &["domain"]),
    ("store-postgres", &["domain", "ports"]),
    ("store-sqlite", &["domain", "ports"]),
    ("connectors", &["domain", "ports"]),
    ("broker", &["domain", "crypto", "ports", "flags"]),
    ("api", &["domain"]),
    ("http", &["domain", "broker", "api", "flags"]),
    ("http-vault", &["domain", "broker", "api", "http", "flags"]),
    ("strongroom", EVERYTHING_THAT_SHIPS),
    ("testkit", &["domain", "ports"]),
    ("xtask", &[]),
];

#[rustfmt::skip] // one line reads better than one name a line
const EVERYTHING_THAT_SHIPS: &[&str] = &[
    "domain", "flags", "crypto", "ports", "store-postgres", "store-sqlite", "connectors", "broker", "api", "http", "http-vault",
];

/// What a crate's tests may import besides.
const IN_TESTS: Table = &[
    ("store-postgres", &["testkit"]),
    ("store-sqlite", &["testkit"]),
    ("connectors", &["crypto", "testkit"]),
    ("broker", &["testkit"]),
    ("strongroom", &["testkit"]),
];

/// Outside crates that would let in what a crate keeps out.
const NEVER: Table = &[
    ("domain", &["tokio", "axum", "sqlx", "reqwest", "getrandom", "rand"]),
    ("broker", &["axum", "sqlx", "http"]),
    ("http", &["sqlx"]),
    ("http-vault", &["sqlx"]),
];

/// Ciphers, key derivation, signatures and password hashes are used where key bytes are, and nowhere else.
const ONLY_IN_CRYPTO: &[&str] = &["aes-gcm", "argon2", "hkdf", "hmac", "jsonwebtoken"];

pub(super) fn edges() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages()? {
        let name = short_name(&package.name);
        let folder = package.manifest_path.parent().and_then(Path::file_name);
        let Some(imports) = row(IMPORTS, name).filter(|_| folder == Some(name.as_ref())) else {
            violations.push(format!(
                "{}: the package in {} needs the name strongroom-<folder> and a line in crates/xtask/src/tidy/imports.rs",
                package.name,
                relative(&package.manifest_path)
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.is_ours()) {
            let other = short_name(&dependency.name);
            // A crate may import itself in tests: that is how it switches one of its features on for them.
            let in_tests = dependency.is_dev() && (other == name || listed(IN_TESTS, name, other));
            if !imports.contains(&other) && !in_tests {
                let who = if dependency.is_dev() {
                    "its tests may not import"
                } else {
                    "may not import"
                };
                violations.push(format!("{name}: {who} {other}"));
            }
        }
    }
    Ok(violations)
}

pub(super) fn outside() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages()? {
        let name = short_name(&package.name);
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.is_ours()) {
            let other = dependency.name.as_str();
            if listed(NEVER, name, other) {
                violations.push(format!("{name} must not depend on {other}"));
            }
            if ONLY_IN_CRYPTO.contains(&other) && name != "crypto" && !dependency.is_dev() {
                violations.push(format!("{name} must not depend on {other}: only crypto does"));
            }
        }
    }
    Ok(violations)
}

pub(super) fn lints() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages()? {
        let manifest: toml::Table = fs::read_to_string(&package.manifest_path)?.parse()?;
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            violations.push(format!(
                "{} lacks `[lints] workspace = true`",
                relative(&package.manifest_path)
            ));
        }
    }
    Ok(violations)
}

fn row(table: Table, name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(row, _)| *row == name).map(|(_, names)| *names)
}

fn listed(table: Table, name: &str, other: &str) -> bool {
    row(table, name).is_some_and(|names| names.contains(&other))
}

fn short_name(package: &str) -> &str {
    package.strip_prefix("strongroom-").unwrap_or(package)
}
