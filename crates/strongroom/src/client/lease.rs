//! `strongroom lease` and `strongroom lease-role`

use std::path::PathBuf;

use strongroom_api::PageQuery;
use strongroom_api::leases::{self, EndQuery, For, LeasesQuery};
use strongroom_domain::Name;
use strongroom_domain::lease::{LeaseId, LeaseRoleConfig};
use strongroom_domain::period::Period;

use super::failure::Failure;
use super::input;
use super::output::{table, word};
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Lease {
    /// Make a credential on demand
    Create {
        /// The lease role
        role: String,
        /// For how long, such as 30m; usually as the role says
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
    },
    /// Show how a lease stands
    Get { id: String },
    /// List the leases there are
    List {
        /// Of this lease role alone
        #[arg(long, value_name = "NAME")]
        role: Option<String>,
    },
    /// Make a lease last longer
    Renew {
        id: String,
        /// From now on, such as 30m; usually as long as at first
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
    },
    /// End a lease: its user is removed
    ///
    /// Ends with 6 if the user is not gone within ten seconds; that is tried again.
    Revoke {
        id: String,
        /// Forget a lease whose user could not be removed, as of a server that is gone for good: the user stays where it is
        #[arg(long)]
        abandon: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
pub enum LeaseRole {
    /// Write a lease role from a JSON file
    ///
    /// It looks like `{"target": "warehouse", "template": "reporting", "ttl": "1h"}`.
    Put {
        name: String,
        /// The file; `-`: stdin
        file: PathBuf,
    },
    /// Show a lease role
    Get { name: String },
    /// List the lease roles
    List,
    /// Delete a lease role
    Delete { name: String },
}

fn lasting(ttl: Option<&str>) -> Result<For, Failure> {
    Ok(For {
        ttl: ttl.map(Period::parse).transpose()?,
    })
}

fn id(text: &str) -> Result<LeaseId, Failure> {
    LeaseId::parse(text).ok_or_else(|| Failure::usage("A lease's id is 'lease:' and 20 characters."))
}

impl Lease {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Create { role, ttl } => {
                let lease = client
                    .create_lease(&Name::parse(&role)?, &lasting(ttl.as_deref())?)
                    .await?;
                output.show(&lease, || {
                    let url = secrecy::ExposeSecret::expose_secret(&lease.url);
                    table(
                        ["LEASE", "EXPIRES", "URL"],
                        [[lease.lease_id.clone(), lease.expires_at.to_string(), url.to_owned()]],
                    )
                })
            }
            Self::Get { id: text } => {
                let lease = client.lease(&id(&text)?).await?;
                output.show(&lease, || leases([&lease]))
            }
            Self::List { role } => {
                let role = role.as_deref().map(Name::parse).transpose()?;
                let page = all_pages(async |PageQuery { cursor, limit }| {
                    let role = role.clone();
                    client.leases(&LeasesQuery { role, cursor, limit }).await
                })
                .await?;
                output.show(&page, || leases(&page.items))
            }
            Self::Renew { id: text, ttl } => {
                let lease = client.renew_lease(&id(&text)?, &lasting(ttl.as_deref())?).await?;
                output.show(&lease, || leases([&lease]))
            }
            Self::Revoke { id: text, abandon } => {
                let Some(lease) = client.revoke_lease(&id(&text)?, &EndQuery { abandon }).await? else {
                    let user = if abandon { "left where it is" } else { "gone" };
                    return output.done(&format!("The lease {text} is over, and its user is {user}."));
                };
                output.show(&lease, || still_there(&lease))?;
                Err(Failure::check_failed())
            }
        }
    }
}

impl LeaseRole {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put { name, file } => {
                let config: LeaseRoleConfig = input::json(&file)?;
                let role = client.write_lease_role(&Name::parse(&name)?, &config).await?;
                output.show(&role, || rows([&role]))
            }
            Self::Get { name } => {
                let role = client.lease_role(&Name::parse(&name)?).await?;
                output.show(&role, || rows([&role]))
            }
            Self::List => {
                let page = all_pages(async |query| client.lease_roles(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name } => {
                client.delete_lease_role(&Name::parse(&name)?).await?;
                output.done(&format!("The lease role {name} is deleted."))
            }
        }
    }
}

fn leases<'a>(leases: impl IntoIterator<Item = &'a leases::Lease>) -> String {
    let rows = leases.into_iter().map(|lease| {
        [
            lease.lease_id.clone(),
            lease.role.to_string(),
            lease.username.clone(),
            word(&lease.state),
            lease.expires_at.to_string(),
        ]
    });
    table(["LEASE", "ROLE", "USER", "STATE", "EXPIRES"], rows)
}

fn still_there(lease: &leases::Lease) -> String {
    let why = lease.failure.clone().unwrap_or_else(|| "not tried yet".into());
    let row = [lease.lease_id.clone(), lease.username.clone(), word(&lease.state), why];
    table(["LEASE", "USER", "STATE", "WHY"], [row])
}

fn rows<'a>(roles: impl IntoIterator<Item = &'a leases::LeaseRole>) -> String {
    let rows = roles.into_iter().map(|role| {
        [
            role.name.to_string(),
            role.config.target.to_string(),
            role.config.template.clone(),
            role.config.ttl.to_string(),
            role.config.max_leases.to_string(),
        ]
    });
    table(["NAME", "TARGET", "TEMPLATE", "TTL", "MOST"], rows)
}
