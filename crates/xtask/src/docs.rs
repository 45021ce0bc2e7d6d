//! The reference pages: what the program prints of its own tables, committed in `docs/`.

use crate::workspace::{Fallible, relative, root, text};
use std::fs;
use std::process::Command;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// The word behind `strongroom reference`, and the page's file.
const PAGES: &[(&str, &str)] = &[
    ("configuration", "CONFIGURATION.md"),
    ("cli", "CLI.md"),
    ("errors", "ERRORS.md"),
    ("actions", "ACTIONS.md"),
    ("metrics", "METRICS.md"),
    ("openapi", "openapi.json"),
];

/// Whether every page is as it should be: always after `Write`, only without drift after `Check`.
pub(crate) fn regenerate(mode: Mode) -> Fallible<bool> {
    let mut clean = true;
    for (page, file) in PAGES {
        let fresh = print(page)?;
        let path = root().join("docs").join(file);
        if fs::read_to_string(&path).is_ok_and(|committed| committed == fresh) {
            continue;
        }
        match mode {
            Mode::Write => {
                fs::write(&path, fresh)?;
                println!("{}: written", relative(&path));
            }
            Mode::Check => {
                println!("{}: out of date", relative(&path));
                clean = false;
            }
        }
    }
    if !clean {
        println!("run `cargo xtask docs` and commit what it changes");
    }
    Ok(clean)
}

fn print(page: &str) -> Fallible<String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "-p", "strongroom", "--", "reference", page])
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        return Err(format!("`strongroom reference {page}`: {}", text(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
