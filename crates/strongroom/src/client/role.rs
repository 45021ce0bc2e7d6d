//! `strongroom role`

use std::path::{Path, PathBuf};

use strongroom_api::roles::{self, WriteRole};
use strongroom_domain::Name;
use strongroom_domain::method::Bounds;

use super::failure::Failure;
use super::input;
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
        /// A JSON file that says who may have it by which login method; `-`: stdin. Without it the role is for clients
        ///
        /// It looks like `{"method": "github", "claims": {"repository_id": "1", "ref": "refs/heads/main"}}`.
        #[arg(long, value_name = "FILE")]
        bounds: Option<PathBuf>,
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
                bounds,
            } => {
                let bounds = bounds.map(|file| read_bounds(&file)).transpose()?;
                let body = WriteRole {
                    policies: names(&policies)?,
                    access_token_ttl,
                    bounds,
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

fn read_bounds(file: &Path) -> Result<Bounds, Failure> {
    input::json(file)
}

fn rows<'a>(roles: impl IntoIterator<Item = &'a roles::Role>) -> String {
    let rows = roles.into_iter().map(|role| {
        let policies: Vec<&str> = role.policies.iter().map(Name::as_str).collect();
        let ttl = format!("{} s", role.access_token_ttl);
        let method = role.bounds.as_ref().map_or("client", |bounds| bounds.method.as_str());
        [
            role.name.to_string(),
            policies.join(" "),
            ttl,
            method.to_owned(),
            role.updated_at.to_string(),
        ]
    });
    table(["NAME", "POLICIES", "ACCESS TOKEN", "LOGIN METHOD", "UPDATED"], rows)
}
