//! The rules of the house that no compiler checks. Each check returns its violations as sentences; one that cannot run
//! has failed.

mod conformance;
mod failpoints;
mod imports;
mod migrations;
mod providers;
mod sizes;
mod words;

use crate::workspace::Fallible;

type Check = fn() -> Fallible<Vec<String>>;

const CHECKS: &[(&str, Check)] = &[
    ("imports point one way", imports::edges),
    ("outside crates stay in their rooms", imports::outside),
    ("every crate takes the workspace's lints", imports::lints),
    ("files and functions are short", sizes::check),
    ("every Store method has a conformance test", conformance::check),
    ("migrations match and do not change", migrations::check),
    ("every crate is in docs/ARCHITECTURE.md", words::architecture),
    ("every dependency has its reason", words::reasons),
    ("only the STRONGROOM_ variable names a database", words::database_url),
    ("one crypto provider", providers::check),
    ("no release has fail points", failpoints::check),
];

pub(crate) fn run() -> bool {
    let mut clean = true;
    for (name, check) in CHECKS {
        let violations = check().unwrap_or_else(|error| vec![format!("the check could not run: {error}")]);
        println!("{} {name}", if violations.is_empty() { "ok  " } else { "FAIL" });
        for violation in &violations {
            println!("       {violation}");
        }
        clean &= violations.is_empty();
    }
    clean
}
