//! `strongroom export`

use std::collections::BTreeMap;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::dotenv;
use super::environment::Environment;
use super::failure::Failure;
use super::gather::Wanted;
use super::output::{self, Format, is_terminal};
use super::session::Session;
use crate::files;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// `NAME='value'`, which 'import' reads back
    Dotenv,
    /// One object of strings
    Json,
    /// The same as YAML
    Yaml,
}

/// Write secrets as a .env file, as JSON or as YAML
///
/// It holds the variables that 'run' would give to a command.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    pub(super) wanted: Wanted,
    /// How; without it as '--output' says, and dotenv if that says nothing
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Write to this new file (mode 0600) instead of stdout
    #[arg(long)]
    file: Option<PathBuf>,
    /// Show the values even if stdout is a terminal
    #[arg(long)]
    show: bool,
}

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        if self.file.is_none() && !self.show && is_terminal() && session.client.sends() {
            return Err(Failure::usage("The values would be shown on this terminal.")
                .help("Use '--file FILE' or a pipe, or '--show' if they may be seen."));
        }
        let environment = self.wanted.parse()?.gather(session).await?;
        let form = self.format.unwrap_or(match session.output.format() {
            Format::Table => Form::Dotenv,
            Format::Json => Form::Json,
            Format::Yaml => Form::Yaml,
        });
        let text = written(&environment, form)?;
        let Some(file) = self.file else {
            return output::line(text.as_bytes());
        };
        let doing = format!("Cannot create {}", file.display());
        files::write_new(&file, &text).map_err(|error| Failure::local(&doing, &error))?;
        let count = environment.iter().count();
        session
            .output
            .done(&format!("Variables in {}: {count}.", file.display()))
    }
}

/// Without the newline at its end.
fn written(environment: &Environment, form: Form) -> Result<Zeroizing<String>, Failure> {
    if form == Form::Dotenv {
        return Ok(dotenv::write(environment.iter()));
    }
    let json = output::json(&environment.iter().collect::<BTreeMap<_, _>>())?;
    match form {
        Form::Json | Form::Dotenv => Ok(json),
        Form::Yaml => Ok(Zeroizing::new(output::yaml(&json)?.trim_end_matches('\n').to_owned())),
    }
}
