//! `strongroom import`

use std::path::PathBuf;

use serde::Serialize;
use strongroom_api::With;
use strongroom_api::batch::{BatchWrite, BatchWriteOptions, BatchWritten, MAX_ITEMS};
use strongroom_domain::{Payload, Prefix};

use super::dotenv::{self, Variable};
use super::failure::Failure;
use super::input;
use super::session::{Session, write_all};

/// Write each variable of a .env file as a secret of its name, all or none
///
/// A second run writes nothing: values that are there already stay at their version.
///
/// Understood are lines `KEY=VALUE`, with `export ` before them or not, and `#` comments (a `#` within a value counts
/// only after a space). 'Single quotes' keep all as it is; "double quotes" know \n \r \t \" \\ and \$; both may span
/// lines. `$NAME` is never replaced, since a secret may hold a `$`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Import {
    /// The file; `-`: stdin
    #[arg(value_name = "FILE.env")]
    file: PathBuf,
    /// The folder to write them to
    #[arg(long)]
    prefix: String,
}

#[derive(Serialize)]
struct Imported {
    written: usize,
    unchanged: usize,
    items: Vec<BatchWritten>,
}

impl Import {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let prefix = Prefix::parse(&self.prefix)?;
        let name = self.file.display();
        let bytes = input::file_or_stdin(&self.file)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("{name} is not UTF-8 text.")))?;
        let variables = dotenv::parse(text)
            .map_err(|mistake| Failure::usage(format!("{name}, line {}: {}", mistake.line, mistake.what)))?;
        if variables.len() > MAX_ITEMS {
            let count = variables.len();
            return Err(Failure::usage(format!(
                "{name} has {count} variables; at most {MAX_ITEMS} are written at once."
            ))
            .help("Split the file."));
        }
        let writes = variables
            .into_iter()
            .map(|variable| write(&prefix, variable))
            .collect::<Result<Vec<_>, _>>()?;
        let items = match writes.as_slice() {
            [] => Vec::new(),
            _ => write_all(session, writes, true).await?,
        };
        let unchanged = items.iter().filter(|item| item.unchanged).count();
        let imported = Imported {
            written: items.len() - unchanged,
            unchanged,
            items,
        };
        session.output.show(&imported, || {
            format!("{} written, {} unchanged", imported.written, imported.unchanged)
        })
    }
}

fn write(prefix: &Prefix, Variable { name, mut value, line }: Variable) -> Result<BatchWrite, Failure> {
    let path = prefix
        .join(&name)
        .map_err(|error| Failure::from(error).at(&format!("line {line}")))?;
    let options = BatchWriteOptions {
        path: path.to_string(),
        unless_same: true,
        ..BatchWriteOptions::default()
    };
    Ok(With::new(Payload::text(std::mem::take(&mut *value)), options)?)
}
