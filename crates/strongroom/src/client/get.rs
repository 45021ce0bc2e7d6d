//! `strongroom get`

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use strongroom_api::secrets::{ReadQuery, Secret};
use strongroom_domain::{Payload, PayloadKind, SecretPath};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output;
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
        let (path, key) = split(&self.path);
        let query = ReadQuery {
            version: self.version,
            label: self.label,
        };
        let secret = session.client.read(&SecretPath::parse(path)?, &query).await?;
        match key {
            Some(key) => show_field(session, secret, path, key),
            None if session.output.is_json() => session.output.show(&secret, String::new),
            None => show_value(secret),
        }
    }
}

/// What stands behind the last `#` is the key; an empty one is none.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('#') {
        Some((path, "")) => (path, None),
        Some((path, key)) => (path, Some(key)),
        None => (text, None),
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

fn show_field(session: &Session, secret: Secret, path: &str, key: &str) -> Result<(), Failure> {
    let Some(object) = secret.payload.data else {
        return Err(Failure::usage(format!(
            "The value of {path} is no JSON object, so it has no field to pick."
        )));
    };
    let raw = field(&object, key).ok_or_else(|| Failure::not_found(format!("{path} has no field '{key}'.")))?;
    match serde_json::from_str::<String>(raw).map(Zeroizing::new) {
        Ok(text) if !session.output.is_json() => output::value(text.as_bytes()),
        _ => output::value(raw.as_bytes()),
    }
}

/// A field's exact JSON text.
fn field<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(object).ok()?;
    fields.get(key).map(|raw| raw.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_fields() {
        assert_eq!(split("a/b"), ("a/b", None));
        assert_eq!(split("a/b#c"), ("a/b", Some("c")));
        assert_eq!(split("a#b#c"), ("a#b", Some("c")));
        assert_eq!(split("a#b#"), ("a#b", None));
        assert_eq!(field(r#"{"a":{ "n": 1.0 },"b":"x"}"#, "a"), Some(r#"{ "n": 1.0 }"#));
        assert_eq!(field("{}", "a"), None);
    }
}
