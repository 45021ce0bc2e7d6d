//! What is said of one flag.

use serde_json::Value;
use strongroom_api::flags::{BUCKETING, Flag, WriteFlag};
use strongroom_domain::Time;
use strongroom_domain::flag::{FlagAbout, FlagPath};
use strongroom_domain::period::Period;

use super::definition::{self, Definition};
use super::edit::{Edit, pair, roll_out, stored, weights};
use super::rows;
use crate::client::failure::Failure;
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
    #[command(flatten)]
    edit: Edit,
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
        let whole = self.edit.whole()?;
        let old = stored(session, &path).await?;
        let definition = self.edit.definition(whole, old.as_ref().map(|old| &old.definition))?;
        let mut about = old.as_ref().map(|old| old.about.clone()).unwrap_or_default();
        self.about.apply(&mut about)?;
        let bucketing = old.as_ref().map_or(BUCKETING, |old| old.bucketing_version);
        let cas = self.cas.unwrap_or(old.map_or(0, |old| old.version));
        write(session, &path, definition, bucketing, about, cas).await
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
        let weights = weights(&self.weights)?;
        let flag = session.client.flag(&path).await?;
        let mut definition = flag.definition.clone();
        roll_out(&mut definition, &weights, self.replace).map_err(|failure| failure.at(&self.path))?;
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
