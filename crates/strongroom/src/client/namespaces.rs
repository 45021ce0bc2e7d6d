//! `strongroom namespace`

use secrecy::ExposeSecret as _;
use strongroom_api::namespaces::{DeleteQuery, Namespace};
use strongroom_domain::NamespaceName;

use super::failure::Failure;
use super::output::{or_dash, table};
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Namespaces {
    /// Make a namespace
    Create { name: String },
    /// Show a namespace
    Get { name: String },
    /// List the namespaces
    List,
    /// Show nothing of a namespace any more, and remove what is in it
    Delete {
        name: String,
        /// Forget those of its leases whose users could not be removed, as of a server that is gone for good: these stay where they are
        #[arg(long)]
        abandon: bool,
    },
    /// Get a token that may do everything within a namespace, for an hour; it is shown this once
    Token { name: String },
}

impl Namespaces {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Create { name } => {
                let namespace = client.create_namespace(&NamespaceName::parse(&name)?).await?;
                output.show(&namespace, || rows([&namespace]))
            }
            Self::Get { name } => {
                let namespace = client.namespace(&NamespaceName::parse(&name)?).await?;
                output.show(&namespace, || rows([&namespace]))
            }
            Self::List => {
                let page = all_pages(async |query| client.namespaces(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name, abandon } => {
                let named = NamespaceName::parse(&name)?;
                client.delete_namespace(&named, &DeleteQuery { abandon }).await?;
                output.done(&format!(
                    "The namespace {name} is deleted; what was in it is being removed."
                ))
            }
            Self::Token { name } => {
                let made = client.namespace_token(&NamespaceName::parse(&name)?).await?;
                output.show(&made, || made.token.expose_secret().to_owned())
            }
        }
    }
}

fn rows<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> String {
    let rows = namespaces.into_iter().map(|namespace| {
        [
            namespace.name.to_string(),
            namespace.id.to_string(),
            namespace.created_at.to_string(),
            or_dash(namespace.deleted_at),
        ]
    });
    table(["NAME", "ID", "CREATED", "DELETED"], rows)
}
