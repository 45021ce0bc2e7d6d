//! `strongroom get`

use strongroom_api::secrets::{ReadQuery, Secret};
use strongroom_domain::{Payload, PayloadKind, SecretPath};

use super::failure::Failure;
use super::field;
use super::output::{self, Format};
use super::session::Session;

/// Print a secret's value
///
/// Into a pipe or file goes the value byte for byte; on a terminal a newline follows it.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// Its path; `#key` behind it picks one field of a JSON object (a path with a `#` of its own ends in one more `#`)
    #[arg(value_name = "PATH[#KEY]")]
    path: String,
    /// This version instead of the current one
    #[arg(long, value_name = "N", conflicts_with = "label")]
    version: Option<i64>,
    /// The version under this label
    #[arg(long)]
    label: Option<String>,
}

impl Get {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (path, key) = field::split(&self.path);
        let query = ReadQuery {
            version: self.version,
            label: self.label,
            ..ReadQuery::default()
        };
        let secret = session.client.read(&SecretPath::parse(path)?, &query).await?;
        match key {
            Some(key) => show_field(session, &secret, path, key),
            None if session.output.format() == Format::Table => show_value(secret),
            None => session.output.show(&secret, String::new),
        }
    }
}

fn show_value(secret: Secret) -> Result<(), Failure> {
    let payload = Payload::try_from(secret.payload)?;
    if payload.kind == PayloadKind::Bytes && output::is_terminal() {
        return Err(Failure::usage("The value is binary, and stdout is a terminal.")
            .help("Send it into a file or a pipe, or use '-o json'."));
    }
    output::value(&payload.bytes)
}

fn show_field(session: &Session, secret: &Secret, path: &str, key: &str) -> Result<(), Failure> {
    let field = field::pick(secret.payload.data.as_ref().map(|data| data.as_str()), path, key)?;
    match session.output.format() {
        Format::Table => output::value(field::text(field).as_bytes()),
        Format::Json => output::value(field.get().as_bytes()),
        Format::Yaml => output::exact(output::yaml(field.get())?.as_bytes()),
    }
}
