//! What is said of one flag.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_api::client::Error;
use strongroom_api::flags::{BUCKETING, Flag, WriteFlag};
use strongroom_domain::flag::{FlagAbout, FlagPath};
use strongroom_domain::period::Period;
use strongroom_domain::{Code, Time};

use super::definition::{self, Definition};
use super::rows;
use crate::client::failure::Failure;
use crate::client::input;
use crate::client::session::Session;
use crate::system;

/// Write a flag, or change what is named of one
///
/// What is not named stays as it is. The definition is flagd's; for a simple flag `--value` is enough: `--value false` makes the
/// variants `on` and `off`. Needs `read` besides `create` or `update`.
#[derive(Debug, clap::Args)]
pub struct Set {
    #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
    pub(super) path: String,
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
    #[command(flatten)]
    about: About,
    /// Write only if this is the current version (0: none)
    #[arg(long, value_name = "N")]
    cas: Option<i64>,
}

// No doc comment: clap would show it as the verb's own description.
#[derive(Debug, clap::Args)]
struct About {
    /// What it is; empty: nothing is said
    #[arg(long)]
    description: Option<String>,
    /// Whom to ask; empty: nobody
    #[arg(long)]
    owner: Option<String>,
    /// What it is for, which says how long it is expected to live
    #[arg(long, value_parser = ["release", "experiment", "operational", "kill_switch", "permission"])]
    kind: Option<String>,
    /// When it is to be gone: such as 2027-01-31T00:00:00Z, or 30d from now; empty: nothing is said
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// It is meant to stay; `--permanent=false`: it is not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    permanent: Option<bool>,
    /// A tag; may be repeated; an empty value takes it away
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<String>,
}

/// Which flag is turned.
#[derive(Debug, clap::Args)]
pub struct Turn {
    #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
    pub(super) path: String,
    /// Take its rule away
    #[arg(long)]
    replace: bool,
    /// Write only if this is the current version
    #[arg(long, value_name = "N")]
    cas: Option<i64>,
}

/// Give variants by weight: everybody is in one bucket, and stays there while the weights stay
///
/// Bucketed is by the context's `targetingKey`; without one, the default variant holds. Put first what is to grow. Another rule is
/// not taken away without `--replace`.
#[derive(Debug, clap::Args)]
pub struct Rollout {
    #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
    pub(super) path: String,
    #[arg(required = true, value_name = "VARIANT=WEIGHT")]
    weights: Vec<String>,
    /// Take another rule away
    #[arg(long)]
    replace: bool,
    /// Write only if this is the current version
    #[arg(long, value_name = "N")]
    cas: Option<i64>,
}

fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.ok_or_else(|| Failure::usage(format!("'{text}' is not {option}.")))
}

/// An empty text empties.
fn given(to: &mut Option<String>, text: Option<&String>) {
    if let Some(text) = text {
        *to = Some(text.clone()).filter(|text| !text.is_empty());
    }
}

impl About {
    fn apply(&self, about: &mut FlagAbout) -> Result<(), Failure> {
        given(&mut about.description, self.description.as_ref());
        given(&mut about.owner, self.owner.as_ref());
        if let Some(kind) = &self.kind {
            let kind = serde_json::from_value(kind.as_str().into());
            about.kind = kind.map_err(|_| Failure::usage("There is no such kind of flag."))?;
        }
        if let Some(expires) = &self.expires {
            about.expires_at = time(expires)?;
        }
        about.permanent = self.permanent.unwrap_or(about.permanent);
        for tag in &self.tags {
            let (name, value) = pair("NAME=VALUE", tag)?;
            if value.is_empty() {
                about.tags.remove(name);
            } else {
                about.tags.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

fn time(text: &str) -> Result<Option<Time>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let from_now = || Some(system::now() + Period::parse(text).ok()?.into());
    let time = Time::parse(text).or_else(from_now);
    time.map(Some)
        .ok_or_else(|| Failure::usage("'--expires' is a time such as 2027-01-31T00:00:00Z, or 30d from now."))
}

impl Set {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = FlagPath::parse(&self.path)?;
        let whole = self.whole()?;
        let old = match session.client.flag(&path).await {
            Ok(flag) => Some(flag),
            Err(Error::Problem(problem)) if problem.code == Code::NotFound.name() => None,
            Err(error) => return Err(error.into()),
        };
        let definition = self.definition(whole, old.as_ref().map(|old| &old.definition))?;
        let mut about = old.as_ref().map(|old| old.about.clone()).unwrap_or_default();
        self.about.apply(&mut about)?;
        let bucketing = old.as_ref().map_or(BUCKETING, |old| old.bucketing_version);
        let cas = self.cas.unwrap_or(old.map_or(0, |old| old.version));
        write(session, &path, definition, bucketing, about, cas).await
    }

    fn whole(&self) -> Result<Option<Definition>, Failure> {
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

    fn definition(&self, whole: Option<Definition>, old: Option<&Definition>) -> Result<Definition, Failure> {
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

impl Turn {
    pub(super) async fn run(self, session: &Session, on: bool) -> Result<(), Failure> {
        let path = FlagPath::parse(&self.path)?;
        let flag = session.client.flag(&path).await?;
        let mut definition = flag.definition.clone();
        if definition::is_boolean(&definition) {
            definition::clear_rule(&mut definition, self.replace)?;
            if !definition::choose(&mut definition, &Value::Bool(on)) {
                return Err(Failure::usage(format!("{path} has no variant that is {on}.")));
            }
        } else {
            let state = if on { "ENABLED" } else { "DISABLED" };
            definition.insert("state".into(), state.into());
        }
        rewrite(session, &path, flag, definition, self.cas).await
    }
}

impl Rollout {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = FlagPath::parse(&self.path)?;
        let mut weights = Vec::new();
        for text in &self.weights {
            let (variant, weight) = pair("VARIANT=WEIGHT", text)?;
            let weight: u32 = weight
                .parse()
                .map_err(|_| Failure::usage(format!("The weight in '{text}' is no whole number.")))?;
            weights.push((variant.to_owned(), weight));
        }
        let flag = session.client.flag(&path).await?;
        let mut definition = flag.definition.clone();
        let is_there = |name: &str| definition::variants(&definition).any(|(variant, _)| variant == name);
        if let Some((name, _)) = weights.iter().find(|(name, _)| !is_there(name)) {
            return Err(Failure::usage(format!("{path} has no variant '{name}'.")));
        }
        definition::clear_rule(&mut definition, self.replace)?;
        definition.insert("targeting".into(), definition::rollout(&weights));
        definition::enable(&mut definition);
        rewrite(session, &path, flag, definition, self.cas).await
    }
}

async fn rewrite(
    session: &Session,
    path: &FlagPath,
    old: Flag,
    definition: Definition,
    cas: Option<i64>,
) -> Result<(), Failure> {
    let cas = cas.unwrap_or(old.version);
    write(session, path, definition, old.bucketing_version, old.about, cas).await
}

async fn write(
    session: &Session,
    path: &FlagPath,
    definition: Definition,
    bucketing_version: u8,
    about: FlagAbout,
    cas: i64,
) -> Result<(), Failure> {
    let body = WriteFlag {
        definition,
        bucketing_version,
        description: about.description,
        owner: about.owner,
        kind: about.kind,
        expires_at: about.expires_at,
        permanent: about.permanent,
        tags: about.tags,
        cas: Some(cas),
    };
    let flag = session.client.write_flag(path, &body).await?;
    session.output.show(&flag, || rows([&flag]))
}
