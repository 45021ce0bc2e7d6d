//! Fail points are for tests: no manifest has them by default, and nothing that builds what is shipped names them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::workspace::{Fallible, entries, files, has_extension, packages, relative, root};

/// Put together here, so that this file does not name it.
const FEATURE: &str = concat!("fail", "points");
/// The program that has them.
const PROGRAM: &str = "strongroom-faults";
/// Those who build it, for tests.
const BUILDERS: [&str; 2] = ["scripts/test.sh", ".ci/run"];
/// What is shipped is built by these, and by what lies at the root.
const FOLDERS: [&str; 6] = [".cargo", ".ci", ".github", "deploy", "docker", "scripts"];

pub(super) fn check() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages()? {
        if reaches(&package.features, "default") {
            violations.push(format!("{} has '{FEATURE}' by default", package.name));
        }
    }
    let of_root = entries(&root())?.into_iter();
    let mut builders: Vec<PathBuf> = of_root
        .filter(|entry| entry.is_file() && !has_extension(entry, "md"))
        .collect();
    for folder in FOLDERS {
        builders.extend(files(&root().join(folder))?);
    }
    for file in builders {
        let name = relative(&file);
        let text = fs::read(&file)?;
        if !BUILDERS.contains(&name.as_str()) && names(&String::from_utf8_lossy(&text)) {
            violations.push(format!("{name} names '{FEATURE}', which no release has"));
        }
    }
    Ok(violations)
}

type Features = BTreeMap<String, Vec<String>>;

/// Whether a feature switches them on, by way of others too.
fn reaches(features: &Features, from: &str) -> bool {
    let (mut waiting, mut seen) = (vec![from], Vec::new());
    while let Some(name) = waiting.pop() {
        if seen.contains(&name) {
            continue;
        }
        if name.rsplit('/').next() == Some(FEATURE) {
            return true;
        }
        seen.push(name);
        waiting.extend(features.get(name).into_iter().flatten().map(String::as_str));
    }
    false
}

fn names(text: &str) -> bool {
    text.contains(FEATURE) || text.contains(PROGRAM) || text.contains("--all-features")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_by_default_is_found_on_its_way() {
        let features = |default: &str| {
            let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let own: Features = [
                ("default", list(&[default])),
                ("tests", list(&[&format!("broker/{FEATURE}")])),
            ]
            .map(|(name, list)| (name.to_owned(), list))
            .into();
            own
        };
        assert!(reaches(&features("tests"), "default"));
        assert!(reaches(&features(FEATURE), "default"));
        assert!(!reaches(&features("others"), "default"));
        assert!(!reaches(&Features::new(), "default"));
    }

    #[test]
    fn a_build_with_everything_has_them_too() {
        assert!(names(&format!("cargo build --features {FEATURE}")));
        assert!(names("cargo build --release --all-features"));
        assert!(!names("cargo build --release -p strongroom"));
    }
}
