//! `strongroom target`

use std::path::PathBuf;

use strongroom_api::targets;
use strongroom_domain::Name;
use strongroom_domain::target::TargetConfig;

use super::failure::Failure;
use super::input;
use super::output::table;
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Target {
    /// Write a target from a JSON file
    ///
    /// It looks like `{"engine": "postgres", "address": "db.internal", "credential": "infra/db-admin"}`.
    Put {
        name: String,
        /// The file; `-`: stdin
        file: PathBuf,
    },
    /// Show a target
    Get { name: String },
    /// List the targets
    List,
    /// Delete a target
    Delete { name: String },
}

impl Target {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put { name, file } => {
                let config: TargetConfig = input::json(&file)?;
                let target = client.write_target(&Name::parse(&name)?, &config).await?;
                output.show(&target, || rows([&target]))
            }
            Self::Get { name } => {
                let target = client.target(&Name::parse(&name)?).await?;
                output.show(&target, || rows([&target]))
            }
            Self::List => {
                let page = all_pages(async |query| client.targets(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Delete { name } => {
                client.delete_target(&Name::parse(&name)?).await?;
                output.done(&format!("The target {name} is deleted."))
            }
        }
    }
}

fn rows<'a>(targets: impl IntoIterator<Item = &'a targets::Target>) -> String {
    let rows = targets.into_iter().map(|target| {
        [
            target.name.to_string(),
            target.config.engine.to_string(),
            target.config.address.clone(),
            target.config.credential.to_string(),
        ]
    });
    table(["NAME", "ENGINE", "ADDRESS", "CREDENTIAL"], rows)
}
