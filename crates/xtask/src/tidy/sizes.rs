//! Files and functions that a person can hold in mind, and a list of exceptions that only shrinks.

use crate::source::{functions, mask, without_tests};
use crate::workspace::{Fallible, files, has_extension, relative, root};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    files: BTreeMap<String, Exception>,
    functions: BTreeMap<String, Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    lines: usize,
    reason: String,
}

type Lengths = BTreeMap<String, usize>;

pub(super) fn check() -> Fallible<Vec<String>> {
    let exceptions: Exceptions = toml::from_str(&fs::read_to_string(root().join("crates/xtask/exceptions.toml"))?)?;
    let (file_lengths, function_lengths) = measure()?;
    let mut violations = compare(&file_lengths, FILE_LINES, &exceptions.files);
    violations.extend(compare(&function_lengths, FUNCTION_LINES, &exceptions.functions));
    Ok(violations)
}

/// The lengths of all files, and of all functions as `file::function`, tests aside.
fn measure() -> Fallible<(Lengths, Lengths)> {
    let mut file_lengths = Lengths::new();
    let mut function_lengths = Lengths::new();
    let sources = files(&root().join("crates"))?
        .into_iter()
        .filter(|file| has_extension(file, "rs"));
    for file in sources.filter(|file| !is_test(file)) {
        let masked = mask(&fs::read_to_string(&file)?);
        let lines = without_tests(&masked);
        let name = relative(&file);
        for function in functions(&lines) {
            // Two methods of one name in one file share a key, and the longer one counts.
            let longest = function_lengths
                .entry(format!("{name}::{}", function.name))
                .or_default();
            *longest = function.lines.max(*longest);
        }
        file_lengths.insert(name, lines.len());
    }
    Ok((file_lengths, function_lengths))
}

fn is_test(file: &Path) -> bool {
    file.components().any(|folder| folder.as_os_str() == "tests")
}

fn compare(lengths: &Lengths, limit: usize, exceptions: &BTreeMap<String, Exception>) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, &lines) in lengths {
        let allowed = exceptions.get(name).map_or(limit, |exception| exception.lines);
        if lines > limit && lines > allowed {
            violations.push(format!("{name}: {lines} lines, {allowed} allowed"));
        }
    }
    for (name, exception) in exceptions {
        let lines = lengths.get(name).copied().unwrap_or_default();
        if lines <= limit {
            violations.push(format!(
                "{name}: needs its exception no more; delete it from exceptions.toml"
            ));
        } else if exception.lines > lines {
            violations.push(format!(
                "{name}: its exception can shrink from {} to {lines} lines",
                exception.lines
            ));
        }
        if exception.reason.trim().is_empty() {
            violations.push(format!("{name}: its exception gives no reason"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(lines: usize, exception: Option<usize>) -> Vec<String> {
        let lengths = Lengths::from([("a".to_owned(), lines)]);
        let exceptions = exception.map(|lines| {
            (
                "a".to_owned(),
                Exception {
                    lines,
                    reason: "because".to_owned(),
                },
            )
        });
        compare(&lengths, 70, &exceptions.into_iter().collect())
    }

    #[test]
    fn the_limit_holds_without_an_exception() {
        assert!(violations(70, None).is_empty());
        assert_eq!(violations(71, None), ["a: 71 lines, 70 allowed"]);
    }

    #[test]
    fn an_exception_allows_exactly_what_is_needed() {
        assert!(violations(80, Some(80)).is_empty());
        assert_eq!(violations(81, Some(80)), ["a: 81 lines, 80 allowed"]);
        assert_eq!(
            violations(79, Some(80)),
            ["a: its exception can shrink from 80 to 79 lines"]
        );
    }

    #[test]
    fn an_exception_that_is_not_needed_has_to_go() {
        assert_eq!(violations(70, Some(80)).len(), 1);
        let gone = BTreeMap::from([(
            "b".to_owned(),
            Exception {
                lines: 80,
                reason: "because".to_owned(),
            },
        )]);
        assert_eq!(compare(&Lengths::new(), 70, &gone).len(), 1);
    }

    #[test]
    fn an_exception_without_a_reason_is_refused() {
        let exceptions = BTreeMap::from([(
            "a".to_owned(),
            Exception {
                lines: 80,
                reason: " ".to_owned(),
            },
        )]);
        assert_eq!(
            compare(&Lengths::from([("a".to_owned(), 80)]), 70, &exceptions),
            ["a: its exception gives no reason"]
        );
    }
}
