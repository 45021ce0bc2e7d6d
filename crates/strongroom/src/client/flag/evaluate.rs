//! What flags give, to be shown and as variables of the environment.

use serde_json::{Map, Value};
use strongroom_api::ofrep::{Evaluate, Evaluated, Refused};
use strongroom_domain::flag::{FlagPath, FlagSetName};
use zeroize::Zeroizing;

use super::{definition, variables};
use crate::client::environment::Environment;
use crate::client::failure::{CHECK_FAILED, Failure};
use crate::client::input;
use crate::client::output::{self, Format, warn};
use crate::client::session::Session;

/// The text by which somebody is in a bucket.
const TARGETING_KEY: &str = "targetingKey";

/// Show what a flag gives; exit code 6: it cannot be evaluated
///
/// Nothing is shown where it gives no value: programs use their own default then. `-o json` says why, and which variant it is.
#[derive(Debug, clap::Args)]
pub struct Eval {
    #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
    path: String,
    /// Whom it is evaluated for: a JSON object, `@FILE`, `-` (stdin) or NAME=VALUE; may be repeated, later ones win
    #[arg(long = "context", value_name = "CONTEXT")]
    contexts: Vec<String>,
}

// No doc comment: clap would show it as the verb's own description.
#[derive(Debug, clap::Args)]
pub(in crate::client) struct Flags {
    /// A project's environment whose flags are taken, each as a variable of its key; they win over secrets
    #[arg(long = "flags", value_name = "PROJECT/ENVIRONMENT", group = "Wanted")]
    set: Option<String>,
    /// What the names of their variables start with
    #[arg(long = "flag-prefix", value_name = "PREFIX", default_value = "FEATURE_", value_parser = variables::prefix)]
    prefix: String,
    /// Whom they are evaluated for: a JSON object, `@FILE` or NAME=VALUE; may be repeated, later ones win
    #[arg(long = "flag-context", value_name = "CONTEXT", requires = "set")]
    contexts: Vec<String>,
}

/// The same, known to be well formed.
pub(in crate::client) struct AskedFlags {
    set: FlagSetName,
    prefix: String,
    whom: Evaluate,
}

impl Flags {
    pub(in crate::client) fn parse(&self) -> Result<Option<AskedFlags>, Failure> {
        let Some(set) = &self.set else { return Ok(None) };
        if self.contexts.iter().any(|context| context == "-") {
            return Err(Failure::usage("Stdin is the command's: give the context as '@FILE'."));
        }
        Ok(Some(AskedFlags {
            set: FlagSetName::parse(set)?,
            prefix: self.prefix.clone(),
            whom: whom(&self.contexts)?,
        }))
    }
}

impl AskedFlags {
    pub(super) fn new(set: FlagSetName, prefix: String, contexts: &[String]) -> Result<Self, Failure> {
        let whom = whom(contexts)?;
        Ok(Self { set, prefix, whom })
    }

    /// A flag without a value is no variable: the program uses its own default, as it does where flags fail.
    pub(in crate::client) async fn gather(&self, session: &Session) -> Result<Environment, Failure> {
        let found = session.client.evaluate_all(&self.set, &self.whom).await?;
        let found = found.map_err(|refused| failed(&refused))?;
        if found.flags.is_empty() {
            // Most likely misspelt, or a missing policy: better seen now than by the program.
            return Err(Failure::usage(format!(
                "There is no flag that you may read in '{}'.",
                self.set
            )));
        }
        let mut environment = Environment::default();
        for flag in found.flags {
            match serde_json::from_value(flag.clone()) {
                Ok(evaluated) => self.add(&mut environment, evaluated)?,
                Err(_) => {
                    let refused = serde_json::from_value(flag);
                    let refused = refused.map_err(|_| Failure::unexpected("The server's answer is no evaluation."))?;
                    warn(&told(&refused));
                }
            }
        }
        Ok(environment)
    }

    fn add(&self, environment: &mut Environment, evaluated: Evaluated) -> Result<(), Failure> {
        let Some(value) = evaluated.value else { return Ok(()) };
        let name = variables::variable(&self.prefix, &evaluated.key);
        let source = format!("{}/{}", self.set, evaluated.key);
        Ok(environment.add(&name, Zeroizing::new(text(value)), source)?)
    }
}

/// A text as it is, everything else as JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn whom(contexts: &[String]) -> Result<Evaluate, Failure> {
    let mut members = Map::new();
    for context in contexts {
        match context.split_once('=') {
            _ if context == "-" || context.starts_with(['@', '{']) => {
                let found = if context.starts_with('{') {
                    input::value(context)?
                } else {
                    input::document(context)?
                };
                match found {
                    Value::Object(found) => members.extend(found),
                    _ => return Err(Failure::usage("The context is an object.")),
                }
            }
            Some((name, value)) if name == TARGETING_KEY => drop(members.insert(name.to_owned(), value.into())),
            Some((name, value)) => drop(members.insert(name.to_owned(), definition::json_or_text(value))),
            None => {
                return Err(Failure::usage(format!(
                    "'{context}' is no context: it is a JSON object, '@FILE' or NAME=VALUE."
                )));
            }
        }
    }
    Ok(Evaluate {
        context: Some(Value::Object(members)),
    })
}

fn told(refused: &Refused) -> String {
    let key = refused.key.as_deref().unwrap_or("flags");
    let text = format!("{key}: {} ({})", refused.error_details, refused.error_code);
    text.replace(char::is_control, "?")
}

fn failed(refused: &Refused) -> Failure {
    let told = told(refused);
    match refused.error_code.as_str() {
        "FLAG_NOT_FOUND" => Failure::not_found(told),
        "INVALID_CONTEXT" => Failure::usage(told),
        _ => Failure::usage(told).exiting(CHECK_FAILED),
    }
}

impl Eval {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = FlagPath::parse(&self.path)?;
        let found = session.client.evaluate(&path, &whom(&self.contexts)?).await?;
        let evaluated = found.map_err(|refused| failed(&refused))?;
        match (session.output.format(), evaluated.value) {
            (Format::Table, Some(value)) => output::line(text(value).as_bytes()),
            (Format::Table, None) => {
                let reason = evaluated.reason.replace(char::is_control, "?");
                output::note(&format!(
                    "{path} gives no value ({reason}): programs use their own default."
                ));
                Ok(())
            }
            (_, value) => session.output.show(&Evaluated { value, ..evaluated }, String::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_context_is_put_together() {
        let of = |contexts: &[&str]| {
            let contexts: Vec<String> = contexts.iter().map(|text| (*text).to_owned()).collect();
            whom(&contexts).map(|whom| whom.context.unwrap())
        };
        assert_eq!(of(&[]).unwrap(), json!({}));
        let found = of(&[
            "targetingKey=1",
            "age=5",
            "plan=pro=x",
            r#"{"plan":"free","user":{"a=b":1}}"#,
        ])
        .unwrap();
        assert_eq!(
            found,
            json!({ "targetingKey": "1", "age": 5, "plan": "free", "user": { "a=b": 1 } })
        );
        assert!(of(&["plan"]).is_err() && of(&["{\"a\""]).is_err());
    }
}
