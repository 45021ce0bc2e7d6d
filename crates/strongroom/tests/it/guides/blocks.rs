//! What is fenced in a page, its links and its headings.

use std::collections::BTreeSet;

/// Fences that show something and are not commands.
const SHOWN: &[&str] = &[
    "", "text", "json", "toml", "dotenv", "yaml", "ini", "js", "jsx", "python",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commands,
    Sql,
    /// What the commands before it print.
    Output,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// Where its fence stands, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) no_run: Option<String>,
    pub(super) exit: Option<i32>,
}

struct Fence {
    line: usize,
    indent: usize,
    info: String,
    text: String,
}

/// The fenced blocks of a page, all of them.
fn fences(page: &str) -> Result<Vec<Fence>, String> {
    let mut all = Vec::new();
    let mut open: Option<Fence> = None;
    for (number, line) in page.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                open = Some(Fence {
                    line: number + 1,
                    indent,
                    info: info.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some("")) => all.extend(open.take()),
            (Some(fence), _) => {
                // A block in a list stands further right.
                fence
                    .text
                    .push_str(line.get(fence.indent.min(indent)..).unwrap_or_default());
                fence.text.push('\n');
            }
            (None, None) => {}
        }
    }
    match open {
        Some(fence) => Err(format!("line {}: the block never ends", fence.line)),
        None => Ok(all),
    }
}

/// The blocks that run, or are compared.
pub(super) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut all = Vec::new();
    for fence in fences(page)? {
        let (language, rest) = fence.info.split_once(' ').unwrap_or((&fence.info, ""));
        let kind = match (language, rest) {
            ("text", "output") => Kind::Output,
            ("sh" | "bash" | "console", _) => Kind::Commands,
            ("sql", _) => Kind::Sql,
            (shown, "") if SHOWN.contains(&shown) => continue,
            _ => return Err(format!("line {}: nothing is known of '{}'", fence.line, fence.info)),
        };
        let mut block = Block {
            kind,
            line: fence.line,
            text: fence.text,
            no_run: None,
            exit: None,
        };
        if language == "console" {
            block.text = block
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("$ "))
                .map(|line| line.to_owned() + "\n")
                .collect();
        }
        if kind != Kind::Output && !rest.is_empty() {
            let (option, value) = rest.split_once(':').unwrap_or((rest, ""));
            match (option, value.trim()) {
                ("no-run", reason) if !reason.is_empty() => block.no_run = Some(reason.to_owned()),
                ("exit", code) if code.parse::<i32>().is_ok() => block.exit = code.parse().ok(),
                _ => {
                    return Err(format!(
                        "line {}: '{rest}' is neither 'no-run: REASON' nor 'exit: N'",
                        block.line
                    ));
                }
            }
        }
        all.push(block);
    }
    Ok(all)
}

/// The page without its fenced blocks.
fn prose(page: &str) -> Vec<&str> {
    let mut inside = false;
    page.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
        .collect()
}

/// Where its links lead, those to other sites left out.
pub(super) fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if !target.contains("://") {
                found.push(target.to_owned());
            }
        }
    }
    found
}

/// What its headings are called in links: lower case, without punctuation, `-` for a space.
pub(super) fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page)
        .into_iter()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase());
    headings
        .map(|heading| {
            let kept = heading
                .chars()
                .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
            kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
        })
        .collect()
}
