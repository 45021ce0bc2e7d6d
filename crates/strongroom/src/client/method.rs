//! `strongroom method`

use std::path::PathBuf;

use strongroom_api::methods::{self, WriteMethod};
use strongroom_domain::Name;

use super::failure::Failure;
use super::output::table;
use super::session::{Session, all_pages};
use super::{input, password};

#[derive(Debug, clap::Subcommand)]
pub enum Method {
    /// Write a login method from a JSON file
    ///
    /// It looks like `{"type": "jwt", "preset": "github-actions", "audiences": ["https://strongroom.example"]}`.
    Put {
        name: String,
        /// The file; `-`: stdin
        file: PathBuf,
        /// The file of the secret that the method shows to the other side, if that is not in the JSON
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Show a login method
    Get { name: String },
    /// List the login methods
    List,
    /// Delete a login method
    Delete { name: String },
}

impl Method {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put {
                name,
                file,
                secret_file,
            } => {
                let mut body: WriteMethod = input::json(&file)?;
                if let Some(file) = secret_file {
                    body.secret = Some(password::of_file(&file)?);
                }
                let method = client.write_method(&Name::parse(&name)?, &body).await?;
                output.show(&method, || rows([&method]))
            }
            Self::Get { name } => {
                let method = client.method(&Name::parse(&name)?).await?;
                output.show(&method, || rows([&method]))
            }
            Self::List => {
                let page = all_pages(async |query| client.methods(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name } => {
                client.delete_method(&Name::parse(&name)?).await?;
                output.done(&format!("The method {name} is deleted."))
            }
        }
    }
}

fn rows<'a>(methods: impl IntoIterator<Item = &'a methods::Method>) -> String {
    let rows = methods.into_iter().map(|method| {
        [
            method.name.to_string(),
            method.config.of().to_string(),
            method.config.issuer().unwrap_or("-").to_owned(),
            method
                .updated_at
                .map_or_else(|| "built in".to_owned(), |at| at.to_string()),
        ]
    });
    table(["NAME", "TYPE", "ISSUER", "UPDATED"], rows)
}
