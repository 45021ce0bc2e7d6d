//! `strongroom flag`

mod counts;
mod definition;
mod document;
mod edit;
mod evaluate;
mod keys;
mod preview;
mod stale;
mod variables;
mod versions;
mod write;

use strongroom_api::client::reqwest::Method;
use strongroom_api::flags::{self, ChangeFlag, FlagSetRef};
use strongroom_domain::flag::{FlagKey, FlagPath, FlagSetName};

use super::failure::Failure;
use super::output::{Output, or_dash, table, word};
use super::session::{Session, all_pages};
use definition::Definition;
pub(super) use evaluate::Flags;

#[derive(Debug, clap::Subcommand)]
pub enum Flag {
    /// List the flags of a project's environment; without one, those that have flags
    Ls {
        #[arg(value_name = "PROJECT/ENVIRONMENT")]
        set: Option<String>,
    },
    /// Show a flag
    Get {
        #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
        path: String,
    },
    Set(Box<write::Set>),
    /// Turn a flag on
    ///
    /// A boolean flag gives true to everybody: its default variant is the one that is true. Another one is ENABLED. A rollout ends
    /// by it; another rule is not taken away without `--replace`.
    On(write::Turn),
    /// Turn a flag off
    ///
    /// A boolean flag gives false to everybody: its default variant is the one that is false. Another one is DISABLED, so that
    /// programs use their own default. A rollout ends by it; another rule is not taken away without `--replace`.
    Off(write::Turn),
    Rollout(write::Rollout),
    Preview(Box<preview::Preview>),
    Eval(evaluate::Eval),
    Stale(stale::Stale),
    Counts(counts::Counts),
    /// Write flags from a file, all or none
    #[command(subcommand)]
    Import(document::Import),
    Export(document::Export),
    /// Tell the mistakes of flagd's documents, each with its place; exit code 6: there are some
    ///
    /// Needs no server.
    Lint {
        /// The files, JSON or YAML; `-`: stdin
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// List a flag's versions that are kept
    History {
        #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
        path: String,
    },
    /// Show what differs between two versions of a flag
    Diff {
        #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
        path: String,
        /// A version's number; none: the one before the newest
        old: Option<i64>,
        /// Another one; none: the newest
        new: Option<i64>,
    },
    /// Write what an earlier version said as a new one
    Rollback {
        #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
        path: String,
        /// The version that comes back
        #[arg(long, visible_alias = "version", value_name = "N")]
        to: i64,
    },
    /// Delete a flag and its versions; programs use their own default from then on
    Delete {
        #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
        path: String,
    },
    /// Copy flags of one project's environment to another, all or none
    Copy {
        #[arg(value_name = "FROM_PROJECT/ENVIRONMENT")]
        from: String,
        #[arg(value_name = "TO_PROJECT/ENVIRONMENT")]
        to: String,
        /// A flag; may be repeated; none: all that one may read
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// Write also those that are there already
        #[arg(long)]
        overwrite: bool,
    },
    /// Browser keys: what pages evaluate flags with
    #[command(subcommand, alias = "keys")]
    Key(keys::Key),
}

impl Flag {
    /// What needs no server.
    pub(super) fn offline(&self, output: &Output) -> Option<Result<(), Failure>> {
        match self {
            Self::Lint { files } => Some(document::lint(files, output)),
            _ => None,
        }
    }

    /// What is written with the answer to the first request in hand.
    pub(super) fn following(&self) -> Option<(Method, String)> {
        let path = match self {
            Self::Set(set) => format!("flags/{}", set.path),
            Self::On(turn) | Self::Off(turn) => format!("flags/{}", turn.path),
            Self::Rollout(rollout) => format!("flags/{}", rollout.path),
            Self::Import(document::Import::Dotenv(dotenv)) => format!("flag-sets/{}/flagd.json", dotenv.set),
            _ => return None,
        };
        Some((Method::PUT, path))
    }

    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Ls { set: Some(set) } => list(session, &FlagSetName::parse(&set)?).await,
            Self::Ls { set: None } => list_sets(session).await,
            Self::Get { path } => {
                let flag = client.flag(&FlagPath::parse(&path)?).await?;
                output.show(&flag, || whole(&flag))
            }
            Self::Set(set) => set.run(session).await,
            Self::On(turn) => turn.run(session, true).await,
            Self::Off(turn) => turn.run(session, false).await,
            Self::Rollout(rollout) => rollout.run(session).await,
            Self::Preview(preview) => preview.run(session).await,
            Self::Eval(eval) => eval.run(session).await,
            Self::Stale(stale) => stale.run(session).await,
            Self::Counts(counts) => counts.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Export(export) => export.run(session).await,
            Self::History { path } => versions::history(session, &FlagPath::parse(&path)?).await,
            Self::Diff { path, old, new } => versions::diff(session, &FlagPath::parse(&path)?, old, new).await,
            Self::Rollback { path, to } => {
                let body = ChangeFlag::Rollback { version: to };
                let flag = client.change_flag(&FlagPath::parse(&path)?, &body).await?;
                output.show(&flag, || {
                    format!(
                        "{path} is at version {} now, and says what version {to} says.",
                        flag.version
                    )
                })
            }
            Self::Delete { path } => {
                client.delete_flag(&FlagPath::parse(&path)?).await?;
                output.done(&format!("The flag {path} is deleted."))
            }
            Self::Copy {
                from,
                to,
                keys,
                overwrite,
            } => copy(session, &from, &to, &keys, overwrite).await,
            Self::Key(key) => key.run(session).await,
            Self::Lint { .. } => Err(Failure::usage("This verb asks no server.")),
        }
    }
}

async fn list(session: &Session, set: &FlagSetName) -> Result<(), Failure> {
    let page = all_pages(async |query| session.client.flags(set, &query).await).await?;
    session.output.show(&page, || rows(&page.items))
}

async fn list_sets(session: &Session) -> Result<(), Failure> {
    let page = all_pages(async |query| session.client.flag_sets(&query).await).await?;
    session.output.show(&page, || {
        let rows = page.items.iter().map(|set| {
            let name = format!("{}/{}", set.project, set.environment);
            [name, set.created_at.to_string()]
        });
        table(["PROJECT/ENVIRONMENT", "CREATED"], rows)
    })
}

async fn copy(session: &Session, from: &str, to: &str, keys: &[String], overwrite: bool) -> Result<(), Failure> {
    let FlagSetName { project, environment } = FlagSetName::parse(from)?;
    let keys = keys.iter().map(|key| FlagKey::parse(key));
    let keys: Vec<FlagKey> = keys.collect::<Result<_, _>>()?;
    let body = flags::CopyFlags {
        from: FlagSetRef { project, environment },
        keys: (!keys.is_empty()).then_some(keys),
        overwrite,
    };
    let written = session.client.copy_flags(&FlagSetName::parse(to)?, &body).await?;
    session
        .output
        .show(&written, || format!("{} written", written.changed.len()))
}

fn rows<'a>(flags: impl IntoIterator<Item = &'a flags::Flag>) -> String {
    let rows = flags.into_iter().map(|flag| {
        let text = |member: &str| flag.definition.get(member).and_then(serde_json::Value::as_str);
        let rule = match definition::rule(&flag.definition) {
            Some(rule) if definition::is_rollout(rule) => "rollout",
            Some(_) => "rule",
            None => "-",
        };
        [
            flag.key.to_string(),
            or_dash(text("state")),
            or_dash(text("defaultVariant")),
            rule.to_owned(),
            word(&flag.about.kind),
            or_dash(flag.about.owner.as_deref()),
            flag.version.to_string(),
            flag.updated_at.to_string(),
        ]
    });
    table(
        ["KEY", "STATE", "DEFAULT", "RULE", "KIND", "OWNER", "VERSION", "UPDATED"],
        rows,
    )
}

fn whole(flag: &flags::Flag) -> String {
    let mut text = rows([flag]);
    text.extend(flag.about.description.iter().map(|said| format!("{said}\n")));
    text.push_str(&pretty(&flag.definition));
    text.replace(|c: char| c.is_control() && c != '\n', "?")
}

fn pretty(definition: &Definition) -> String {
    format!("{:#}", serde_json::Value::Object(definition.clone()))
}
