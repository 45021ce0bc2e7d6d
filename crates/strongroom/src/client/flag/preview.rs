//! What an edit would change, for whom, before it is written.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use strongroom_api::client::Error;
use strongroom_api::flags::BUCKETING;
use strongroom_domain::Code;
use strongroom_domain::flag::{FlagPath, FlagSetName};
use strongroom_flags::{Bucketing, Context, Evaluation, Evaluators, FailureCode, Set};

use super::definition::Definition;
use super::edit::{Edit, roll_out, stored, weights};
use crate::client::failure::Failure;
use crate::client::input;
use crate::client::output::table;
use crate::client::session::Session;
use crate::system;

/// Of those that an edit moves, so many are named.
const NAMED: usize = 5;

/// Show what an edit would change, and for whom, before it is written
///
/// Takes the edit as `flag set` does, or the weights of `flag rollout`, and tells how many of the contexts would be given another
/// value. Writes nothing. Needs `read`.
#[derive(Debug, clap::Args)]
pub struct Preview {
    #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
    path: String,
    #[command(flatten)]
    edit: Edit,
    /// A weight as 'flag rollout' takes it; may be repeated
    #[arg(
        long = "weight",
        value_name = "VARIANT=WEIGHT",
        conflicts_with_all = ["source", "definition", "value", "variants", "default", "state"]
    )]
    weights: Vec<String>,
    /// For whom: a file of JSON objects, a line each or in one list; `-`: stdin
    #[arg(long, value_name = "FILE")]
    contexts: Option<String>,
    /// For so many targeting keys: user-1, user-2 and so on
    #[arg(
        long,
        value_name = "N",
        default_value = "1000",
        conflicts_with = "contexts",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    sample: u32,
}

/// Somebody, and by what a person finds it again.
struct Whom {
    name: String,
    context: Context,
}

/// What is given.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Given {
    /// None: programs use their own default.
    Variant {
        variant: Option<String>,
        value: Option<Value>,
    },
    Failure {
        error_code: &'static str,
        /// Of the first.
        error_details: String,
    },
}

/// Of one definition, what is given alike.
type Alike = Result<Option<Arc<str>>, FailureCode>;

fn alike(evaluation: Option<&Evaluation>) -> Alike {
    match evaluation.map(|evaluation| &evaluation.outcome) {
        None => Ok(None),
        Some(Ok(evaluated)) => Ok(evaluated.variant.clone()),
        Some(Err(failure)) => Err(failure.code),
    }
}

impl Given {
    /// A flag that is not there gives what one without a value does.
    fn of(evaluation: Option<&Evaluation>) -> Self {
        match evaluation.map(|evaluation| &evaluation.outcome) {
            None => Self::Variant {
                variant: None,
                value: None,
            },
            Some(Ok(evaluated)) => Self::Variant {
                variant: evaluated.variant.as_deref().map(str::to_owned),
                value: evaluated.value.as_deref().cloned(),
            },
            Some(Err(failure)) => Self::Failure {
                error_code: failure.code.name(),
                error_details: failure.details.clone(),
            },
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Variant { variant, .. } => variant.as_deref().unwrap_or("-"),
            Self::Failure { error_code, .. } => error_code,
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variant { value: Some(value), .. } => write!(f, "{} ({value})", self.name()),
            Self::Variant { value: None, .. } => f.write_str(self.name()),
            Self::Failure { error_details, .. } => write!(f, "{}: {error_details}", self.name()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Previewed {
    contexts: usize,
    moved: usize,
    /// Those that move come first, the largest group at the top.
    groups: Vec<Group>,
}

/// Those that are given the same before, and the same after.
#[derive(Debug, Serialize)]
struct Group {
    before: Given,
    after: Given,
    contexts: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first: Vec<String>,
}

impl Group {
    fn moves(&self) -> bool {
        match (&self.before, &self.after) {
            (Given::Failure { error_code: before, .. }, Given::Failure { error_code: after, .. }) => before != after,
            (before, after) => before != after,
        }
    }

    /// By the variants' names, and more only where those do not say what moves.
    fn row(&self) -> [String; 4] {
        let say = |given: &Given| match (self.moves() && self.before.name() == self.after.name(), given) {
            (false, Given::Variant { .. }) => given.name().to_owned(),
            _ => given.to_string(),
        };
        [
            say(&self.before),
            say(&self.after),
            self.contexts.to_string(),
            self.first.join(", "),
        ]
    }
}

impl Previewed {
    fn of(before: &Set, after: &Set, key: &str, sample: &[Whom], now: i64) -> Self {
        let mut found: BTreeMap<(Alike, Alike), Group> = BTreeMap::new();
        for Whom { name, context } in sample {
            let before = before.evaluate(key, context, now);
            let after = after.evaluate(key, context, now);
            let sides = (alike(before.as_ref()), alike(after.as_ref()));
            let group = found.entry(sides).or_insert_with(|| Group {
                before: Given::of(before.as_ref()),
                after: Given::of(after.as_ref()),
                contexts: 0,
                first: Vec::new(),
            });
            group.contexts += 1;
            if group.moves() && group.first.len() < NAMED {
                group.first.push(name.clone());
            }
        }
        let mut groups: Vec<Group> = found.into_values().collect();
        groups.sort_by_key(|group| (!group.moves(), Reverse(group.contexts)));
        let moving = groups.iter().filter(|group| group.moves());
        Self {
            contexts: sample.len(),
            moved: moving.map(|group| group.contexts).sum(),
            groups,
        }
    }

    fn lines(&self) -> String {
        let rows = table(
            ["BEFORE", "AFTER", "CONTEXTS", "FIRST"],
            self.groups.iter().map(Group::row),
        );
        format!(
            "{rows}{} of {} would be given something else.",
            self.moved, self.contexts
        )
    }
}

impl Preview {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = FlagPath::parse(&self.path)?;
        if self.edit.is_from("-") && self.contexts.as_deref() == Some("-") {
            return Err(Failure::usage(
                "Stdin is one of both: give the definition or the contexts as a file.",
            ));
        }
        let (whole, weights) = (self.edit.whole()?, weights(&self.weights)?);
        let sample = match &self.contexts {
            Some(file) => read(file)?,
            None => (1..=self.sample).map(user).collect::<Result<_, _>>()?,
        };
        let old = stored(session, &path).await?;
        let mut new = self.edit.definition(whole, old.as_ref().map(|old| &old.definition))?;
        if !weights.is_empty() {
            roll_out(&mut new, &weights, true)?;
        }
        let evaluators = evaluators(session, &path.set).await?;
        let bucketing = Bucketing::from_number(old.as_ref().map_or(BUCKETING, |old| old.bucketing_version));
        let bucketing =
            bucketing.ok_or_else(|| Failure::usage("The flag buckets in a way that this program does not know."))?;
        let key = path.key.as_str();
        let set = |definition: Option<Definition>| {
            let parsed = definition.map(|json| strongroom_flags::Definition::parse(&Value::Object(json), &evaluators));
            let parsed = parsed
                .transpose()
                .map_err(|mistake| Failure::usage(mistake.to_string()))?;
            let flag = parsed.map(|definition| (key.to_owned(), definition, bucketing));
            Ok::<_, Failure>(Set::compile(flag, &evaluators, serde_json::Map::new()))
        };
        let before = set(old.map(|old| old.definition)).map_err(|failure| failure.at("as it is"))?;
        let now = system::now().0.div_euclid(1_000_000);
        let previewed = Previewed::of(&before, &set(Some(new))?, key, &sample, now);
        session.output.show(&previewed, || previewed.lines())
    }
}

/// Those that the flags of the set share.
async fn evaluators(session: &Session, set: &FlagSetName) -> Result<Evaluators, Failure> {
    // Whoever may read one flag is shown them with it.
    let rules = match session.client.flagd_document(set).await {
        Ok(document) => document.evaluators.unwrap_or_default(),
        Err(Error::Problem(problem)) if problem.code == Code::NotFound.name() => serde_json::Map::new(),
        Err(error) => return Err(error.into()),
    };
    let parsed = Evaluators::parse(&rules.into());
    parsed.map_err(|mistake| Failure::unexpected(format!("What the flags of {set} share cannot be read: {mistake}")))
}

fn user(number: u32) -> Result<Whom, Failure> {
    let name = format!("user-{number}");
    whom(json!({ "targetingKey": name }), String::new())
}

/// Called by its targeting key, or else by where it stands.
fn whom(context: Value, place: String) -> Result<Whom, Failure> {
    let context = Context::parse(context).map_err(|mistake| Failure::usage(mistake.to_string()).at(&place))?;
    let name = context.targeting_key().map_or(place, str::to_owned);
    Ok(Whom { name, context })
}

fn read(file: &str) -> Result<Vec<Whom>, Failure> {
    let text = input::text(file)?;
    let parse = |text: &str, place: &str| {
        strongroom_api::parse::<Value>(text.as_bytes()).map_err(|error| Failure::from(error).at(place))
    };
    let sample: Vec<Whom> = if text.trim_start().starts_with('[') {
        let Value::Array(items) = parse(&text, file)? else {
            return Err(Failure::usage(format!("{file} is no list.")));
        };
        let items = (1..).zip(items);
        items
            .map(|(at, item)| whom(item, format!("item {at}")))
            .collect::<Result<_, _>>()
    } else {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let lines = lines.map(|(at, line)| (format!("line {at}"), line));
        lines
            .map(|(place, line)| whom(parse(line, &place)?, place))
            .collect::<Result<_, _>>()
    }
    .map_err(|failure: Failure| failure.at(file))?;
    if sample.is_empty() {
        return Err(Failure::usage(format!("{file} has no context.")));
    }
    Ok(sample)
}
