//! Both stores take the same steps, each step can be taken back, and a step that others may have taken never changes.
//! The same goes for those of the program of tomorrow, in a folder of their own.

use crate::workspace::{Fallible, entries, git, root};
use std::collections::{BTreeMap, BTreeSet};

/// Per `NNNN_name`, the directions that have a file.
type Steps = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check() -> Fallible<Vec<String>> {
    let mut violations = Vec::new();
    for stores in [["postgres", "sqlite"], ["next/postgres", "next/sqlite"]] {
        compare(stores, &mut violations)?;
    }
    violations.extend(changed()?);
    Ok(violations)
}

fn compare([postgres, sqlite]: [&str; 2], violations: &mut Vec<String>) -> Fallible<()> {
    let (of_postgres, of_sqlite) = (steps(postgres, violations)?, steps(sqlite, violations)?);
    for (folder, mine, others) in [(postgres, &of_postgres, &of_sqlite), (sqlite, &of_sqlite, &of_postgres)] {
        for (step, directions) in mine {
            if !others.contains_key(step) {
                violations.push(format!("{step} exists in migrations/{folder} only"));
            }
            if directions.len() != 2 {
                violations.push(format!("migrations/{folder}/{step} needs both .up.sql and .down.sql"));
            }
        }
        for (first, second) in mine.keys().zip(mine.keys().skip(1)) {
            if number(first) == number(second) {
                violations.push(format!("migrations/{folder}: {first} and {second} have one number"));
            }
        }
    }
    Ok(())
}

fn steps(folder: &str, violations: &mut Vec<String>) -> Fallible<Steps> {
    let mut steps = Steps::new();
    for file in entries(&root().join("migrations").join(folder))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match parse(&name) {
            Some((step, direction)) => {
                steps.entry(step.to_owned()).or_default().insert(direction.to_owned());
            }
            None => violations.push(format!(
                "migrations/{folder}/{name} is not called NNNN_name.up.sql or NNNN_name.down.sql"
            )),
        }
    }
    Ok(steps)
}

/// `0001_secrets.up.sql` is `0001_secrets` and `up`.
fn parse(file: &str) -> Option<(&str, &str)> {
    let (step, direction) = file.strip_suffix(".sql")?.rsplit_once('.')?;
    let (number, name) = step.split_once('_')?;
    let numbered = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && !name.is_empty() && matches!(direction, "up" | "down")).then_some((step, direction))
}

fn number(step: &str) -> &str {
    step.split_once('_').map_or(step, |(number, _)| number)
}

/// Migrations that differ from what has landed. Landed is what `origin/main` had where this branch left it: somebody who
/// runs main may have applied that. On main itself that comparison sees nothing, so the newest tag, which is what people
/// run, is compared as well. A repository with neither has nothing landed.
fn changed() -> Fallible<Vec<String>> {
    let mut violations = BTreeSet::new();
    for base in landed()? {
        // From that commit to the files as they are now; `a` leaves out those that were only added.
        let arguments = [
            "diff",
            "--no-ext-diff",
            "--no-renames",
            "--name-only",
            "--diff-filter=a",
            &base,
            "--",
            "migrations",
        ];
        let changed = git(&arguments)?.ok_or_else(|| format!("git cannot compare with {base}"))?;
        violations.extend(
            changed
                .lines()
                .map(|file| format!("{file} has landed and must not change: add a new migration")),
        );
    }
    Ok(violations.into_iter().collect())
}

fn landed() -> Fallible<Vec<String>> {
    let mut bases = Vec::new();
    if git(&["rev-parse", "--verify", "--quiet", "origin/main"])?.is_some() {
        let base = git(&["merge-base", "HEAD", "origin/main"])?;
        bases.push(base.ok_or("HEAD and origin/main share no commit here; fetch the whole history")?);
    }
    bases.extend(git(&["describe", "--tags", "--abbrev=0"])?);
    Ok(bases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_strictly() {
        assert_eq!(parse("0001_first_step.up.sql"), Some(("0001_first_step", "up")));
        assert_eq!(parse("0012_x.down.sql"), Some(("0012_x", "down")));
        for name in [
            "1_x.up.sql",
            "0001_.up.sql",
            "0001_x.sql",
            "0001_x.left.sql",
            "0001x.up.sql",
            "0001_x.up.sql~",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
