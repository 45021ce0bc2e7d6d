//! What a flag's definition is to become.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_api::client::Error;
use strongroom_api::flags::Flag;
use strongroom_domain::Code;
use strongroom_domain::flag::FlagPath;

use super::definition::{self, Definition};
use crate::client::failure::Failure;
use crate::client::input;
use crate::client::session::Session;

// No doc comment: clap would show it as the verb's own description.
#[derive(Debug, clap::Args)]
pub(super) struct Edit {
    /// The definition, JSON or YAML: `-` (stdin) or `@FILE`
    #[arg(value_name = "SOURCE", conflicts_with_all = ["definition", "value", "variants", "default"])]
    source: Option<String>,
    /// The same, as it is
    #[arg(long, value_name = "JSON", conflicts_with_all = ["value", "variants", "default"])]
    definition: Option<String>,
    /// What the flag gives to everybody: JSON, or a text
    #[arg(long, conflicts_with_all = ["variants", "default"])]
    value: Option<String>,
    /// A variant, its value JSON or a text; may be repeated; they replace those that there are
    #[arg(long = "variant", value_name = "NAME=VALUE")]
    variants: Vec<String>,
    /// The variant where no rule says otherwise; empty: none
    #[arg(long, value_name = "VARIANT")]
    default: Option<String>,
    #[arg(long, value_parser = ["enabled", "disabled"])]
    state: Option<String>,
    /// `--value` takes a rule away
    #[arg(long, requires = "value")]
    replace: bool,
}

impl Edit {
    /// Whether the definition comes from there.
    pub(super) fn is_from(&self, source: &str) -> bool {
        self.source.as_deref() == Some(source)
    }

    /// All of it, where it is given.
    pub(super) fn whole(&self) -> Result<Option<Definition>, Failure> {
        let found = match (&self.source, &self.definition) {
            (Some(source), _) if source == "-" || source.starts_with('@') => input::document(source)?,
            (Some(_), _) => return Err(Failure::usage("The definition comes from '-' (stdin) or '@FILE'.")),
            (None, Some(text)) => input::value(text).map_err(|failure| failure.at("--definition"))?,
            (None, None) => return Ok(None),
        };
        match found {
            Value::Object(definition) => Ok(Some(definition)),
            _ => Err(Failure::usage("A flag's definition is an object.")),
        }
    }

    /// What is not named stays as it is.
    pub(super) fn definition(
        &self,
        whole: Option<Definition>,
        old: Option<&Definition>,
    ) -> Result<Definition, Failure> {
        let named = self.value.is_some() || !self.variants.is_empty();
        let mut definition = match (whole, old) {
            (Some(whole), _) => whole,
            (None, Some(old)) => old.clone(),
            (None, None) if named => definition::of_value(&Value::Bool(false)),
            (None, None) => {
                return Err(
                    Failure::usage("There is no such flag yet, and nothing says what it gives.")
                        .help("Give '--value', or '--variant' and '--default', or a definition."),
                );
            }
        };
        if let Some(value) = self.value.as_deref().map(definition::json_or_text) {
            definition::clear_rule(&mut definition, self.replace)?;
            if !definition::choose(&mut definition, &value) {
                definition.extend(definition::of_value(&value));
            }
        }
        if !self.variants.is_empty() {
            let mut variants = BTreeMap::new();
            for variant in &self.variants {
                let (name, value) = pair("NAME=VALUE", variant)?;
                variants.insert(name.to_owned(), definition::json_or_text(value));
            }
            definition.insert("variants".into(), Value::Object(variants.into_iter().collect()));
            if old.is_none() {
                definition.remove("defaultVariant");
            }
        }
        match self.default.as_deref() {
            Some("") => drop(definition.remove("defaultVariant")),
            Some(default) => drop(definition.insert("defaultVariant".into(), default.into())),
            None => {}
        }
        if let Some(state) = &self.state {
            definition.insert("state".into(), state.to_uppercase().into());
        }
        Ok(definition)
    }
}

pub(super) fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.ok_or_else(|| Failure::usage(format!("'{text}' is not {option}.")))
}

pub(super) fn weights(texts: &[String]) -> Result<Vec<(String, u32)>, Failure> {
    let weight = |text: &String| {
        let (variant, weight) = pair("VARIANT=WEIGHT", text)?;
        let weight = weight.parse();
        let weight = weight.map_err(|_| Failure::usage(format!("The weight in '{text}' is no whole number.")))?;
        Ok((variant.to_owned(), weight))
    };
    texts.iter().map(weight).collect()
}

/// Gives the variants by weight.
pub(super) fn roll_out(definition: &mut Definition, weights: &[(String, u32)], replace: bool) -> Result<(), Failure> {
    let is_there = |name: &str| definition::variants(definition).any(|(variant, _)| variant == name);
    if let Some((name, _)) = weights.iter().find(|(name, _)| !is_there(name)) {
        return Err(Failure::usage(format!("The flag has no variant '{name}'.")));
    }
    definition::clear_rule(definition, replace)?;
    definition.insert("targeting".into(), definition::rollout(weights));
    definition::enable(definition);
    Ok(())
}

/// None: there is no such flag.
pub(super) async fn stored(session: &Session, path: &FlagPath) -> Result<Option<Flag>, Failure> {
    match session.client.flag(path).await {
        Ok(flag) => Ok(Some(flag)),
        Err(Error::Problem(problem)) if problem.code == Code::NotFound.name() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
