//! `operator recover-admin`

use std::io::{IsTerminal as _, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use strongroom_domain::Time;

use super::Opening;
use super::console::Console;
use crate::client::failure::Failure;
use crate::client::output::{Output, line};
use crate::config::Config;
use crate::files;

#[derive(Debug, Args)]
pub(crate) struct RecoverAdmin {
    /// Where to write the token; without it, it is shown on the terminal.
    #[arg(long)]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) opening: Opening,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    token_file: &'a Path,
    expires_at: Time,
}

impl RecoverAdmin {
    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        if self.token_file.is_none() && !stdout().is_terminal() {
            return Err(Failure::usage(
                "The token is shown on a terminal or written with --token-file; this is neither.",
            ));
        }
        if let Some(path) = &self.token_file {
            files::check_new(path).map_err(|error| Failure::local("The token file cannot be made", &error))?;
        }
        let console = Console::open(config).await?;
        let recovered = console.client.recover_admin().await;
        console.close().await;
        let recovered = recovered?;
        match &self.token_file {
            None => line(recovered.token.expose_secret().as_bytes()),
            Some(path) => {
                files::write_new(path, recovered.token.expose_secret())
                    .map_err(|error| Failure::local("The token file cannot be made", &error))?;
                let told = Told {
                    token_file: path,
                    expires_at: recovered.expires_at,
                };
                output.show(&told, || {
                    format!(
                        "A root token is in {}. It ends at {}: make an operator with it ('strongroom operators put NAME --policy \
                         admin').",
                        path.display(),
                        recovered.expires_at
                    )
                })
            }
        }
    }
}
