//! One crypto provider in the shipped program: a second one means two sets of flaws to follow, and rustls panics at start
//! when it finds two and is told of neither.

use crate::workspace::{Fallible, cargo, text};

const UNWANTED: &[&str] = &["ring", "rsa", "openssl-sys"];

pub(super) fn check() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for package in UNWANTED {
        // Normal edges only: what tests bring along does not ship.
        let output = cargo(&["tree", "--workspace", "--edges", "normal", "--invert", package])?;
        let stderr = text(&output.stderr);
        if !output.status.success() && !stderr.contains("did not match any packages") {
            return Err(format!("cargo tree: {stderr}").into());
        }
        // A package that the lock file knows only for features that are off prints nothing.
        let tree = text(&output.stdout);
        if !tree.trim().is_empty() {
            violations.push(format!(
                "{package} is in the graph: {}",
                tree.lines().take(3).collect::<Vec<_>>().join(" ")
            ));
        }
    }
    Ok(violations)
}
