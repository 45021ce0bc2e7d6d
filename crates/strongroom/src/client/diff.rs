//! `strongroom diff`

use std::process::ExitCode;

use serde::Serialize;
use strongroom_api::batch::{BatchRead, Item};
use strongroom_domain::SecretPath;
use zeroize::Zeroizing;

use super::compare::{Change, Side, Value};
use super::failure::{CHECK_FAILED, Failure};
use super::output::{self, Format, table};
use super::session::Session;

/// Show what differs between two versions of a secret, without showing what it is
///
/// It tells fields of a JSON object or lines of a text, and how long they are. Exit code 6 says that they differ.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The secret's path
    path: String,
    /// A version's number or a label
    #[arg(value_name = "A", default_value = "previous")]
    old: String,
    /// Another one
    #[arg(value_name = "B", default_value = "current")]
    new: String,
    /// Show the values too
    #[arg(long)]
    show: bool,
}

#[derive(Serialize)]
struct Difference<'a> {
    path: &'a str,
    old: Version,
    new: Version,
    same: bool,
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Version {
    version: i64,
    kind: &'static str,
}

impl Diff {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let path = SecretPath::parse(&self.path)?;
        let reads = [&self.old, &self.new].map(|which| read(&path, which));
        let mut values = Vec::new();
        for item in session.client.batch_read(reads.into()).await?.items {
            let secret = Item::into_result(item)?;
            values.push((secret.fields.version, Value::new(secret.payload.try_into()?)));
        }
        let [(old_number, old), (new_number, new)] = values.as_slice() else {
            return Err(Failure::unexpected("The server's answer is not one of two versions."));
        };
        let version = |number: &i64, value: &Value| Version {
            version: *number,
            kind: value.kind(),
        };
        let difference = Difference {
            path: path.as_str(),
            old: version(old_number, old),
            new: version(new_number, new),
            same: old.is(new),
            changes: old.changes(new, self.show),
        };
        match session.output.format() {
            Format::Table if self.show => output::exact(contents(&difference).as_bytes())?,
            _ => session.output.show(&difference, || summary(&difference))?,
        }
        Ok(if difference.same {
            ExitCode::SUCCESS
        } else {
            CHECK_FAILED.into()
        })
    }
}

fn read(path: &SecretPath, which: &str) -> BatchRead {
    let version = which.parse().ok();
    BatchRead {
        path: path.to_string(),
        label: version.is_none().then(|| which.to_owned()),
        version,
    }
}

fn summary(difference: &Difference<'_>) -> String {
    let (old, new) = (difference.old.version, difference.new.version);
    if difference.same {
        return format!("Versions {old} and {new} of {} are the same.", difference.path);
    }
    if difference.changes.is_empty() {
        return format!(
            "Versions {old} and {new} of {} say the same, and are not written the same way.",
            difference.path
        );
    }
    let length = |side: &Option<Side<'_>>| match side {
        Some(Side { bytes, .. }) => format!("{bytes} bytes"),
        None => "-".to_owned(),
    };
    let rows = difference
        .changes
        .iter()
        .map(|change| [place(change), length(&change.old), length(&change.new)]);
    table(["WHERE", &format!("VERSION {old}"), &format!("VERSION {new}")], rows)
}

fn place(change: &Change<'_>) -> String {
    let line = |side: &Option<Side<'_>>| side.as_ref().and_then(|side| side.line);
    match (change.field, line(&change.old), line(&change.new)) {
        (Some(field), ..) => field.to_owned(),
        (None, Some(old), Some(new)) if old != new => format!("line {old}, now {new}"),
        (None, Some(old), _) => format!("line {old}"),
        (None, None, Some(new)) => format!("new line {new}"),
        (None, None, None) => "all".to_owned(),
    }
}

/// The values, `-` before what was and `+` before what is.
fn contents(difference: &Difference<'_>) -> Zeroizing<String> {
    if difference.changes.is_empty() {
        return Zeroizing::new(summary(difference) + "\n");
    }
    let sides = |change: &Change<'_>| [&change.old, &change.new].map(|side| side.as_ref().map_or(0, |side| side.bytes));
    // Room for all of it, so that it never grows and leaves a copy behind: each byte may be a line of its own.
    let room = difference
        .changes
        .iter()
        .map(|change| place(change).len() + 4 * sides(change).iter().sum::<usize>() + 64);
    let mut text = Zeroizing::new(String::with_capacity(room.sum()));
    for change in &difference.changes {
        text.extend([&place(change), ":\n"]);
        for (sign, side) in [("- ", &change.old), ("+ ", &change.new)] {
            match side {
                Some(Side { value: Some(value), .. }) => push_lines(&mut text, sign, value),
                Some(Side { bytes, .. }) => text.extend([sign, &format!("({bytes} bytes that are no text)\n")]),
                None => {}
            }
        }
    }
    text
}

fn push_lines(text: &mut String, sign: &str, value: &str) {
    for line in value.strip_suffix('\n').unwrap_or(value).split('\n') {
        text.push_str(sign);
        // No value may steer the terminal.
        text.extend(line.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }));
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use strongroom_domain::Payload;

    use super::*;

    #[test]
    fn contents_have_signs_and_cannot_steer_a_terminal() {
        let values = ["a\nb\nx", "a\nb\u{1b}c\n\td\n"].map(|text| Value::new(Payload::text(text.into())));
        let version = || Version {
            version: 1,
            kind: "text",
        };
        let difference = Difference {
            path: "p",
            old: version(),
            new: version(),
            same: false,
            changes: values[0].changes(&values[1], true),
        };
        let wanted = "line 2:\n- b\n+ b?c\nline 3:\n- x\n+ \td\n";
        let shown = contents(&difference);
        assert_eq!(*shown, wanted);
        assert!(shown.capacity() >= shown.len());
    }
}
