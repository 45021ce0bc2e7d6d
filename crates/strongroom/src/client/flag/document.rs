//! Files of many flags.

use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_api::client::{Client, Error};
use strongroom_api::flags::FlagdDocument;
use strongroom_domain::Code;
use strongroom_domain::flag::FlagSetName;
use strongroom_flags::parse_flagd;

use super::definition::{self, Definition};
use super::evaluate::AskedFlags;
use super::variables;
use crate::client::dotenv;
use crate::client::failure::Failure;
use crate::client::findings::Findings;
use crate::client::input;
use crate::client::output::{self, Format, Output};
use crate::client::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Import {
    /// Write the flags of flagd's document
    ///
    /// Flags that it does not name stay as they are.
    Flagd {
        /// The file, JSON or YAML; `-`: stdin
        #[arg(value_name = "FILE")]
        file: String,
        #[arg(value_name = "PROJECT/ENVIRONMENT")]
        set: String,
    },
    Dotenv(Dotenv),
}

/// Write each variable of a .env file as a flag
///
/// `FEATURE_NEW_CHECKOUT=true` becomes the flag `new-checkout`. True and false make the variants `on` and `off`; what is a number
/// gives one, and the rest is text. 'run --flags' gives the same variables again.
#[derive(Debug, clap::Args)]
pub struct Dotenv {
    /// The file; `-`: stdin
    #[arg(value_name = "FILE.env")]
    file: String,
    #[arg(value_name = "PROJECT/ENVIRONMENT")]
    pub(super) set: String,
    /// What the variables' names start with; others are left out
    #[arg(long, value_name = "PREFIX", default_value = "", value_parser = variables::prefix)]
    strip: String,
    /// Take the rules of flags away that are there already
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// flagd's document
    Flagd,
    /// `NAME='value'`, what 'run --flags' would give to a command
    Dotenv,
}

/// Write the flags of a project's environment as flagd's document or as a .env file
#[derive(Debug, clap::Args)]
pub struct Export {
    #[arg(value_name = "PROJECT/ENVIRONMENT")]
    set: String,
    #[arg(long, value_enum, default_value = "flagd")]
    format: Form,
    /// What variables' names start with
    #[arg(long, value_name = "PREFIX", default_value = "FEATURE_", value_parser = variables::prefix)]
    flag_prefix: String,
    /// Whom variables are evaluated for: a JSON object, `@FILE` or NAME=VALUE; may be repeated, later ones win
    #[arg(long = "flag-context", value_name = "CONTEXT")]
    contexts: Vec<String>,
}

#[derive(Serialize)]
struct Imported {
    changed: Vec<String>,
    unchanged: usize,
}

impl Imported {
    async fn write(session: &Session, set: &FlagSetName, document: &FlagdDocument) -> Result<(), Failure> {
        let written = session.client.import_flags(set, document).await?;
        let all = match &document.flags {
            Value::Array(flags) => flags.len(),
            flags => flags.as_object().map_or(0, Map::len),
        };
        let imported = Self {
            unchanged: all.saturating_sub(written.changed.len()),
            changed: written.changed,
        };
        session.output.show(&imported, || {
            format!("{} written, {} unchanged", imported.changed.len(), imported.unchanged)
        })
    }
}

impl Import {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Flagd { file, set } => {
                let document = read(&file).map_err(|failure| failure.at(&file))?;
                Imported::write(session, &FlagSetName::parse(&set)?, &document).await
            }
            Self::Dotenv(dotenv) => dotenv.run(session).await,
        }
    }
}

/// What no flag is part of is looked at here: a server would not see a member that is none of the document's. Flags may need
/// evaluators that only the server has.
fn read(file: &str) -> Result<FlagdDocument, Failure> {
    let document = input::document(file)?;
    let mut shared = document.clone();
    if let Some(flags) = shared.get_mut("flags") {
        *flags = Value::Object(Map::new());
    }
    parse_flagd(&shared).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::usage(told.join("\n"))
    })?;
    serde_json::from_value(document).map_err(|_| Failure::usage("It is no document of flags."))
}

impl Dotenv {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let set = FlagSetName::parse(&self.set)?;
        let values = self.values()?;
        let stored = stored(&session.client, &set).await?;
        let mut flags = Map::new();
        for (key, value) in values {
            let old = stored.get(&key).and_then(Value::as_object);
            let definition = self.definition(&value, old).map_err(|failure| failure.at(&key))?;
            flags.insert(key, Value::Object(definition));
        }
        let document = FlagdDocument {
            flags: Value::Object(flags),
            evaluators: None,
            metadata: None,
            schema: None,
        };
        Imported::write(session, &set, &document).await
    }

    /// By key.
    fn values(&self) -> Result<Map<String, Value>, Failure> {
        let name = &self.file;
        let text = input::text(name)?;
        let variables = dotenv::parse(&text)
            .map_err(|mistake| Failure::usage(format!("{name}, line {}: {}", mistake.line, mistake.what)))?;
        let mut values = Map::new();
        for variable in variables {
            let Some(key) = variables::key(&self.strip, &variable.name) else {
                continue;
            };
            let at = format!("{name}, line {}", variable.line);
            let key = key.map_err(|failure| failure.at(&at))?.to_string();
            let value = definition::of_variable(&variable.value);
            if values.insert(key.clone(), value).is_some() {
                return Err(Failure::usage(format!("Another line makes the flag '{key}', too.")).at(&at));
            }
        }
        if values.is_empty() {
            return Err(Failure::usage(format!(
                "{name} has no variable whose name starts with '{}'.",
                self.strip
            )));
        }
        Ok(values)
    }

    /// A flag that can give the value stays what it is otherwise.
    fn definition(&self, value: &Value, old: Option<&Definition>) -> Result<Definition, Failure> {
        let Some(old) = old else {
            return Ok(definition::of_value(value));
        };
        let mut definition = old.clone();
        definition::clear_rule(&mut definition, self.replace)?;
        if !definition::choose(&mut definition, value) {
            definition.extend(definition::of_value(value));
        }
        Ok(definition)
    }
}

/// The flags that are there, by key.
async fn stored(client: &Client, set: &FlagSetName) -> Result<Map<String, Value>, Failure> {
    match client.flagd_document(set).await {
        Ok(document) => Ok(document.flags.as_object().cloned().unwrap_or_default()),
        Err(Error::Problem(problem)) if problem.code == Code::NotFound.name() => Ok(Map::new()),
        Err(error) => Err(error.into()),
    }
}

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let set = FlagSetName::parse(&self.set)?;
        if self.format == Form::Dotenv {
            let flags = AskedFlags::new(set, self.flag_prefix, &self.contexts)?;
            let environment = flags.gather(session).await?;
            return output::line(dotenv::write(environment.iter()).as_bytes());
        }
        let document = session.client.flagd_document(&set).await?;
        match session.output.format() {
            Format::Table => output::line(output::json(&document)?.as_bytes()),
            _ => session.output.show(&document, String::new),
        }
    }
}

pub(super) fn lint(files: &[String], output: &Output) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for file in files {
        let mistakes = parse_flagd(&input::document(file)?).err().unwrap_or_default();
        findings.extend(mistakes.iter().map(|mistake| format!("{file}: {mistake}")));
    }
    Findings { findings }.told(output, "There is nothing to say.")
}
