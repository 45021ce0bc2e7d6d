//! Every block of commands in the README and in `docs/` runs as it stands there, against the real program.
//!
//! The blocks of one page run in order, in one shell (bash, `set -eo pipefail`), in a folder and a home of their own. A block
//! is what is fenced as `sh`, `bash` or `console` (of a console, the lines behind `$ `), and `sql`, which goes to `psql` as
//! the cluster's superuser. Behind the language may stand:
//!
//! - `no-run: REASON`: the block does not run. The tests print these.
//! - `exit: N`: the block's last command ends with N. Without it, everything in a block has to succeed.
//!
//! A block fenced as `text output` is compared with what the commands before it printed: its lines are there in this order,
//! and `…` stands for anything.
//!
//! Only this is put in the place of what a reader has:
//!
//! - `strongroom` on the path is the program of this test build, and so is `cargo run --`; `strongroom-next` is the program
//!   of tomorrow, with the feature `next-schema`.
//! - `127.0.0.1:PORT` is a free port, the same one for the same number throughout a page, so that pages run side by side;
//!   the defaults (8200) of `--addr`, `dev` and `server` go the same way. Port 5432 is a throw-away PostgreSQL.
//! - A server in the foreground gets an `&`: a reader has another terminal for it. There is one such terminal; starting
//!   another server there stops the one before. After each block, its servers are waited for until they are ready.
//! - curl fails where it is refused (`--fail-with-body`, exit code 22), which a reader sees by the answer.

mod blocks;
mod shell;

use std::path::PathBuf;

use crate::reference::workspace;
use blocks::blocks;

fn text(page: &str) -> String {
    std::fs::read_to_string(workspace().join(page)).unwrap()
}

/// Pages whose blocks run, each in a test of its own.
macro_rules! pages {
    ($($test:ident: $page:literal),* $(,)?) => {
        const PAGES: &[&str] = &[$($page),*];

        $(#[test]
        fn $test() {
            match shell::run($page, &text($page)) {
                Ok(report) => println!("{report}"),
                Err(failure) => panic!("{failure}"),
            }
        })*
    };
}

pages! {
    readme: "README.md",
    first_days: "docs/FIRST_DAYS.md",
    guide: "docs/GUIDE.md",
    administration: "docs/ADMINISTRATION.md",
    install: "docs/INSTALL.md",
    runbook: "docs/RUNBOOK.md",
    performance: "docs/PERFORMANCE.md",
    reliability: "docs/RELIABILITY.md",
    targets: "docs/TARGETS.md",
    flags: "docs/FLAGS.md",
}

/// The pages of the repository: at its top and in `docs`.
fn all_pages() -> Vec<String> {
    let mut pages = Vec::new();
    for (folder, prefix) in [(workspace(), ""), (workspace().join("docs"), "docs/")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap()));
            }
        }
    }
    pages.sort();
    pages
}

#[test]
fn every_page_with_commands_runs() {
    let mut skipped = 0;
    for page in all_pages() {
        let blocks = blocks(&text(&page)).unwrap_or_else(|mistake| panic!("{page}: {mistake}"));
        for block in &blocks {
            if let Some(reason) = &block.no_run {
                println!("not run: {page}, line {}: {reason}", block.line);
                skipped += 1;
            }
        }
        assert!(
            blocks.is_empty() || PAGES.contains(&page.as_str()),
            "{page} has commands and no test in guides.rs"
        );
    }
    println!("{skipped} blocks do not run");
}

/// Relative links, and the headings that they name.
#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in all_pages() {
        let file = workspace().join(&page);
        for target in blocks::links(&text(&page)) {
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let to = if path.is_empty() {
                file.clone()
            } else {
                file.parent().unwrap().join(path)
            };
            let there = to.exists()
                && (heading.is_empty() || blocks::anchors(&std::fs::read_to_string(&to).unwrap()).contains(heading));
            if !there {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn outcome(page: &str) -> String {
    match shell::run("a page", page) {
        Ok(report) => report,
        Err(failure) => failure,
    }
}

#[test]
fn a_block_that_fails_is_told() {
    for (page, says) in [
        ("```sh\ntrue\nfalse\ntrue\n```\n", "line 1"),
        ("```sh\ntrue\n```\n\n```bash\nstrongroom nothing\n```\n", "line 5"),
        ("```sh\nfalse | cat\n```\n", "line 1"),
        ("```sh exit: 4\nfalse\n```\n", "ended with 1, not with 4"),
        ("```sh exit: 1\ntrue\n```\n", "ended with 0, not with 1"),
        ("```sh\necho one\n```\n```text output\ntwo\n```\n", "'two' is not"),
        ("```sh\nstrongroom dev\ntrue\n```\n", "is never reached"),
        ("```shell\ntrue\n```\n", "'shell'"),
        ("```sh no-run\ntrue\n```\n", "no-run: REASON"),
        ("```sh no-run: \ntrue\n```\n", "no-run: REASON"),
        ("```sh\ntrue\n", "never ends"),
        ("```sh\ncargo build\n```\n", "line 1"),
    ] {
        let found = outcome(page);
        assert!(found.contains(says), "{page}: '{says}' is not in: {found}");
    }
}

#[test]
fn a_block_that_works_is_told() {
    let page = "```sh\nHERE=$PWD\n```\n```console\n$ echo \"$HERE\" two\nanything\n```\n```text output\n/… two\n```\n\
                ```sh exit: 3\nexit_code() { return 3; }\nexit_code\n```\n```sh no-run: it is not here\nfalse\n```\n\
                ```sh\ncargo run -- --version | grep -q strongroom\n```\n";
    let found = outcome(page);
    assert!(found.contains("4 blocks ran"), "{found}");
    assert!(found.contains("it is not here"), "{found}");
}
