//! What a verb shows: a table or a sentence for a person, the whole answer as JSON or YAML for a program.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::yaml;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// The whole answer, for programs
    Json,
    /// The same as YAML, every string in quotes
    Yaml,
}

#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// That something is done which has no answer.
    pub(crate) fn done(&self, text: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table => line(text.as_bytes()),
            Format::Json | Format::Yaml => Ok(()),
        }
    }

    /// The whole answer, or else the text for a person.
    pub(crate) fn show(&self, answer: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Table => line(Zeroizing::new(text()).trim_end_matches('\n').as_bytes()),
            Format::Json => line(json(answer)?.as_bytes()),
            Format::Yaml => write(&[yaml(&json(answer)?)?.as_bytes()]),
        }
    }
}

pub(crate) fn json(answer: &impl Serialize) -> Result<Zeroizing<String>, Failure> {
    let json = serde_json::to_string_pretty(answer).map(Zeroizing::new);
    json.map_err(|_| Failure::usage("The answer cannot be shown as JSON."))
}

pub(crate) fn yaml(json: &str) -> Result<Zeroizing<String>, Failure> {
    yaml::of_json(json).ok_or_else(|| Failure::usage("The answer cannot be shown as YAML."))
}

/// Bytes as they are.
pub(crate) fn exact(bytes: &[u8]) -> Result<(), Failure> {
    write(&[bytes])
}

/// Bytes and a newline.
pub(crate) fn line(bytes: &[u8]) -> Result<(), Failure> {
    write(&[bytes, b"\n"])
}

/// A value: exactly its bytes into a pipe or file, with a newline on a terminal, where a prompt follows.
pub(crate) fn value(bytes: &[u8]) -> Result<(), Failure> {
    if is_terminal() { line(bytes) } else { write(&[bytes]) }
}

pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// To stderr, for a person.
pub(super) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

pub(crate) fn warn(text: &str) {
    drop(writeln!(io::stderr().lock(), "warning: {text}"));
}

fn write(parts: &[&[u8]]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = parts
        .iter()
        .try_for_each(|part| stdout.write_all(part))
        .and_then(|()| stdout.flush());
    match written {
        // `strongroom list | head`: who reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::local("Cannot write to stdout", &error)),
    }
}

/// Columns aligned by their widest cell, the last one as it is.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    // Nothing that a server says may steer the terminal.
    lines.extend(
        rows.into_iter()
            .map(|row| row.map(|cell| cell.replace(char::is_control, "?"))),
    );
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A word of the API as it stands there.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}

/// A cell for what may be absent.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["é\u{1b}cc".to_owned(), String::new()],
        ];
        assert_eq!(table(["NAME", "VERSION"], rows), "NAME  VERSION\na     1\né?cc\n");
    }
}
