//! Checks that read text: the map of the house, the reasons beside dependencies, a variable that is never ours.

use crate::workspace::{Fallible, entries, files, has_extension, relative, root};
use std::fs;

pub(super) fn architecture() -> Fallible<Vec<String>> {
    let Ok(page) = fs::read_to_string(root().join("docs/ARCHITECTURE.md")) else {
        return Ok(vec!["docs/ARCHITECTURE.md cannot be read".to_owned()]);
    };
    let crates = entries(&root().join("crates"))?
        .into_iter()
        .filter(|entry| entry.is_dir());
    let names = crates.filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()));
    let unnamed = names.filter(|name| !names_crate(&page, name));
    Ok(unnamed
        .map(|name| format!("docs/ARCHITECTURE.md does not name crates/{name}"))
        .collect())
}

/// Whether the page writes `crates/<name>` or `<name>/`, and not only a longer name around it.
fn names_crate(page: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    page.match_indices(name).any(|(at, _)| {
        let (before, after) = (
            page.get(..at).unwrap_or_default(),
            page.get(at + name.len()..).unwrap_or_default(),
        );
        let whole = !before.ends_with(part_of_name) && !after.starts_with(part_of_name);
        whole && (before.ends_with("crates/") || after.starts_with('/'))
    })
}

pub(super) fn reasons() -> Fallible<Vec<String>> {
    let unreasoned = without_reason(&fs::read_to_string(root().join("Cargo.toml"))?);
    Ok(unreasoned
        .into_iter()
        .map(|line| format!("Cargo.toml: `{line}` lacks a `# reason` behind it"))
        .collect())
}

fn without_reason(manifest: &str) -> Vec<String> {
    let section = manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1);
    let lines = section
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let outside = lines.filter(|line| !line.contains("path ="));
    let unreasoned = outside.filter(|line| line.split_once(" #").is_none_or(|(_, reason)| reason.trim().is_empty()));
    unreasoned.map(str::to_owned).collect()
}

/// That variable without our prefix usually belongs to something else on the machine: reading it would put secrets there.
pub(super) fn database_url() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for file in files(&root().join("crates"))? {
        if !["rs", "toml", "md", "sql"]
            .iter()
            .any(|extension| has_extension(&file, extension))
        {
            continue;
        }
        for (at, line) in fs::read_to_string(&file)?.lines().enumerate() {
            if names_foreign_database(line) {
                violations.push(format!("{}:{}: {}", relative(&file), at + 1, line.trim()));
            }
        }
    }
    Ok(violations)
}

fn names_foreign_database(line: &str) -> bool {
    // Put together here, so that this file does not name it.
    let variable = concat!("DATABASE", "_URL");
    line.match_indices(variable)
        .any(|(at, _)| !line.get(..at).is_some_and(|before| before.ends_with("STRONGROOM_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_by_its_whole_name() {
        assert!(names_crate("see `crates/http`.", "http"));
        assert!(names_crate("  http/  the edge", "http"));
        assert!(!names_crate("crates/http-vault and http-vault/ and http://x", "http"));
        assert!(!names_crate("over http", "http"));
    }

    #[test]
    fn a_dependency_needs_a_reason_on_its_line() {
        let manifest = "[workspace.dependencies]\nours = { path = \"x\" }\n\n# All:\na = \"1\" # for a\nb = \"1\"\nc = \"1\" #\n[x]\nd = 1\n";
        assert_eq!(without_reason(manifest), ["b = \"1\"", "c = \"1\" #"]);
    }

    #[test]
    fn only_our_variable_may_be_named() {
        let ours = concat!("STRONGROOM_", "DATABASE", "_URL");
        let foreign = concat!("DATABASE", "_URL");
        assert!(!names_foreign_database(&format!("env({ours})")));
        assert!(names_foreign_database(&format!("env({ours}) or env({foreign})")));
    }
}
