//! `strongroom policy`

use std::path::PathBuf;

use strongroom_api::policies::{self, WritePolicy};
use strongroom_domain::Name;

use super::failure::Failure;
use super::input;
use super::output::table;
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Policy {
    /// Write a policy from a JSON file
    ///
    /// It looks like `{"rules": [{"path": "secret/app/*", "capabilities": ["read"]}]}`.
    Put {
        name: String,
        /// The file; `-`: stdin
        file: PathBuf,
    },
    /// Show a policy's rules
    Get { name: String },
    /// List the policies
    List,
    /// Delete a policy
    Delete { name: String },
}

impl Policy {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put { name, file } => {
                let body: WritePolicy = strongroom_api::parse(&input::file_or_stdin(&file)?)
                    .map_err(|error| Failure::from(error).at(&file.display().to_string()))?;
                let policy = client.write_policy(&Name::parse(&name)?, &body).await?;
                output.show(&policy, || rules(&policy))
            }
            Self::Get { name } => {
                let policy = client.policy(&Name::parse(&name)?).await?;
                output.show(&policy, || rules(&policy))
            }
            Self::List => {
                let page = all_pages(async |query| client.policies(&query).await).await?;
                output.show(&page, || {
                    let rows = page.items.iter().map(|policy| {
                        [
                            policy.name.to_string(),
                            policy.rules.len().to_string(),
                            policy
                                .updated_at
                                .map_or_else(|| "built in".to_owned(), |at| at.to_string()),
                        ]
                    });
                    table(["NAME", "RULES", "UPDATED"], rows)
                })
            }
            Self::Delete { name } => {
                client.delete_policy(&Name::parse(&name)?).await?;
                output.done(&format!("The policy {name} is deleted."))
            }
        }
    }
}

fn rules(policy: &policies::Policy) -> String {
    let rows = policy.rules.iter().map(|rule| {
        let capabilities: Vec<&str> = rule.capabilities.iter().map(|capability| capability.name()).collect();
        [rule.path.clone(), capabilities.join(" ")]
    });
    table(["PATH", "CAPABILITIES"], rows)
}
