//! `strongroom groups`

use strongroom_api::groups::{self, WriteGroup};
use strongroom_domain::Name;

use super::failure::Failure;
use super::operators::names;
use super::output::table;
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Groups {
    /// Write a group
    Put {
        name: String,
        /// A policy that its operators have; may be repeated
        #[arg(long = "policy", value_name = "POLICY", required = true)]
        policies: Vec<String>,
    },
    /// Show a group
    Get { name: String },
    /// List the groups
    List,
    /// Delete a group
    Delete { name: String },
}

impl Groups {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put { name, policies } => {
                let body = WriteGroup {
                    policies: names(&policies)?,
                };
                let group = client.write_group(&Name::parse(&name)?, &body).await?;
                output.show(&group, || rows([&group]))
            }
            Self::Get { name } => {
                let group = client.group(&Name::parse(&name)?).await?;
                output.show(&group, || rows([&group]))
            }
            Self::List => {
                let page = all_pages(async |query| client.groups(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name } => {
                client.delete_group(&Name::parse(&name)?).await?;
                output.done(&format!("The group {name} is deleted."))
            }
        }
    }
}

fn rows<'a>(groups: impl IntoIterator<Item = &'a groups::Group>) -> String {
    let rows = groups.into_iter().map(|group| {
        let policies: Vec<&str> = group.policies.iter().map(Name::as_str).collect();
        [group.name.to_string(), policies.join(" "), group.updated_at.to_string()]
    });
    table(["NAME", "POLICIES", "UPDATED"], rows)
}
