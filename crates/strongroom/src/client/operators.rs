//! `strongroom operators`

use std::collections::BTreeMap;
use std::path::PathBuf;

use strongroom_api::operators::{self, ResetPassword, WriteOperator};
use strongroom_domain::Name;

use super::failure::Failure;
use super::output::{or_dash, table};
use super::password;
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Operators {
    /// Write what an operator may do; a new one has no password yet
    Put {
        name: String,
        /// A policy that it has; may be repeated
        #[arg(long = "policy", value_name = "POLICY")]
        policies: Vec<String>,
        /// A group whose policies it has too; may be repeated
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// What policies may name it by, as `{{principal.metadata.KEY}}`; may be repeated
        #[arg(long = "metadata", value_name = "KEY=VALUE")]
        metadata: Vec<String>,
    },
    /// Show an operator
    Get { name: String },
    /// List the operators
    List,
    /// Delete an operator
    Delete { name: String },
    /// Give an operator another password without the old one
    Password {
        name: String,
        /// The file that holds it; `-`: stdin; none: a prompt
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

impl Operators {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put {
                name,
                policies,
                groups,
                metadata,
            } => {
                let body = WriteOperator {
                    policies: names(&policies)?,
                    groups: names(&groups)?,
                    metadata: written(&metadata)?,
                };
                let operator = client.write_operator(&Name::parse(&name)?, &body).await?;
                output.show(&operator, || rows([&operator]))
            }
            Self::Get { name } => {
                let operator = client.operator(&Name::parse(&name)?).await?;
                output.show(&operator, || rows([&operator]))
            }
            Self::List => {
                let page = all_pages(async |query| client.operators(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name } => {
                client.delete_operator(&Name::parse(&name)?).await?;
                output.done(&format!("The operator {name} is deleted."))
            }
            Self::Password { name, password_file } => {
                let name = Name::parse(&name)?;
                let password = password::new(password_file.as_deref(), client.sends())?;
                client.reset_password(&name, &ResetPassword { password }).await?;
                output.done(&format!("{name} logs in with the new password from now on."))
            }
        }
    }
}

/// Each `KEY=VALUE` of `--metadata`.
pub(super) fn written(metadata: &[String]) -> Result<BTreeMap<Name, String>, Failure> {
    let pair = |text: &String| {
        let (key, value) = pair(text)?;
        Ok((Name::parse(&key)?, value))
    };
    metadata.iter().map(pair).collect()
}

pub(super) fn pair(text: &str) -> Result<(String, String), Failure> {
    let pair = text.split_once('=');
    let pair = pair.ok_or_else(|| Failure::usage(format!("'--metadata {text}' is not KEY=VALUE.")))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

pub(super) fn names(names: &[String]) -> Result<Vec<Name>, Failure> {
    Ok(names.iter().map(|name| Name::parse(name)).collect::<Result<_, _>>()?)
}

fn rows<'a>(operators: impl IntoIterator<Item = &'a operators::Operator>) -> String {
    let joined = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(" ");
    let rows = operators.into_iter().map(|operator| {
        [
            operator.name.to_string(),
            joined(&operator.policies),
            joined(&operator.groups),
            or_dash(operator.password_set_at),
            operator.updated_at.to_string(),
            operator.principal.to_string(),
        ]
    });
    table(
        ["NAME", "POLICIES", "GROUPS", "PASSWORD SET", "UPDATED", "PRINCIPAL"],
        rows,
    )
}
