//! The project's own checks and generators: `cargo xtask tidy`, `cargo xtask sqlx [--check]`,
//! `cargo xtask docs [--check]`, `cargo xtask bench`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks through its output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a tool reads its environment and touches files with the time it is"
)]

mod docs;
mod source;
mod sqlx;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <task>
  tidy            checks the rules of the house: imports, sizes, conformance, migrations, docs, dependencies
  sqlx            regenerates the .sqlx folders of both stores from throw-away databases
  sqlx --check    only compares, and fails where they are out of date
  docs            writes the reference pages in docs/ from the program's own tables
  docs --check    only compares, and fails where they are out of date
  bench [PART]…   prints the figures of docs/PERFORMANCE.md, or only decisions, flags, api, watch, rest or leases, on
                  both stores or only on postgres or sqlite; needs `wrk` and PostgreSQL's binaries

sqlx needs `psql` and STRONGROOM_TEST_POSTGRES_URL, a PostgreSQL where databases may be created.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => Ok(tidy::run()),
        ["sqlx"] => sqlx::regenerate(sqlx::Mode::Write),
        ["sqlx", "--check"] => sqlx::regenerate(sqlx::Mode::Check),
        ["docs"] => docs::regenerate(docs::Mode::Write),
        ["docs", "--check"] => docs::regenerate(docs::Mode::Check),
        ["bench", parts @ ..] => bench(parts),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(1);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A release build in a process of its own, beside a bare handler, `wrk` and a throw-away PostgreSQL.
fn bench(parts: &[&str]) -> Result<bool, Box<dyn std::error::Error>> {
    let status = std::process::Command::new("cargo")
        .args(["bench", "-p", "strongroom", "--bench", "figures", "--"])
        .args(parts)
        .status()?;
    Ok(status.success())
}
