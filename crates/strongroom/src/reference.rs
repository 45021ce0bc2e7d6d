//! `strongroom reference …`: the pages that are made from the program's own tables, as Markdown, and the API's
//! description as JSON. `cargo xtask docs` writes them into `docs/`, and a test compares.

mod actions;
mod cli;
mod configuration;
mod errors;
mod metrics;

use std::fmt::Write as _;

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Page {
    Configuration,
    Cli,
    Errors,
    Actions,
    Metrics,
    Openapi,
}

/// The page's text, as its file in `docs/` holds it.
pub(crate) async fn page(page: Page, command: clap::Command) -> Result<String, String> {
    let text = match page {
        Page::Configuration => configuration::page(),
        Page::Cli => cli::page(command),
        Page::Errors => errors::page(),
        Page::Actions => actions::page(),
        Page::Metrics => metrics::page().await?,
        Page::Openapi => strongroom_http::api_text(),
    };
    Ok(text.trim_end().to_owned() + "\n")
}

/// A page's beginning: its title, and where it comes from.
fn begin(title: &str, source: &str) -> String {
    format!("# {title}\n\n<!-- `cargo xtask docs` makes this page from {source}. Do not edit it. -->\n\n")
}

/// One row of a table.
fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace('\n', " "))
        .collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// The first two rows of a table.
fn head(text: &mut String, names: &[&str]) {
    row(text, names);
    let _ = writeln!(text, "|{}", "---|".repeat(names.len()));
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
