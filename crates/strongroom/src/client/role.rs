//! `strongroom role`

use strongroom_api::roles::{self, WriteRole};
use strongroom_domain::Name;

use super::failure::Failure;
use super::operators::names;
use super::output::table;
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Role {
    /// Write a role
    Put {
        name: String,
        /// A policy that its tokens carry; may be repeated
        #[arg(long = "policy", value_name = "POLICY", required = true)]
        policies: Vec<String>,
        /// How long its access tokens live
        #[arg(long, value_name = "SECONDS")]
        access_token_ttl: Option<u32>,
    },
    /// Show a role
    Get { name: String },
    /// List the roles
    List,
    /// Delete a role
    Delete { name: String },
}

impl Role {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put {
                name,
                policies,
                access_token_ttl,
            } => {
                let body = WriteRole {
                    policies: names(&policies)?,
                    access_token_ttl,
                };
                let role = client.write_role(&Name::parse(&name)?, &body).await?;
                output.show(&role, || rows([&role]))
            }
            Self::Get { name } => {
                let role = client.role(&Name::parse(&name)?).await?;
                output.show(&role, || rows([&role]))
            }
            Self::List => {
                let page = all_pages(async |query| client.roles(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name } => {
                client.delete_role(&Name::parse(&name)?).await?;
                output.done(&format!("The role {name} is deleted."))
            }
        }
    }
}

fn rows<'a>(roles: impl IntoIterator<Item = &'a roles::Role>) -> String {
    let rows = roles.into_iter().map(|role| {
        let policies: Vec<&str> = role.policies.iter().map(Name::as_str).collect();
        let ttl = format!("{} s", role.access_token_ttl);
        [
            role.name.to_string(),
            policies.join(" "),
            ttl,
            role.updated_at.to_string(),
        ]
    });
    table(["NAME", "POLICIES", "ACCESS TOKEN", "UPDATED"], rows)
}
