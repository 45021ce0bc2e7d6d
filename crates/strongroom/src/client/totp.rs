//! `strongroom totp`

use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use strongroom_api::auth::{BeginTotp, ConfirmTotp};
use strongroom_domain::Name;

use super::failure::Failure;
use super::password;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Totp {
    /// Get a secret for your authenticator; it is shown this once. Confirm a code of it next
    Begin {
        /// The file that holds the current password; `-`: stdin; none: a prompt
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
    },
    /// Confirm the new secret by a first code: from then on a login needs one
    Confirm { code: String },
    /// Let an operator log in without codes, who lost what makes them
    Remove { name: String },
}

impl Totp {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Begin { current_file } => {
                let current_password = match &current_file {
                    _ if !client.sends() => "".into(),
                    Some(file) => password::of_file(file)?,
                    None => password::ask("Current password (not shown): ")?,
                };
                let new = client.begin_totp(&BeginTotp { current_password }).await?;
                output.show(&new, || {
                    format!("{}\n{}", new.secret.expose_secret(), new.uri.expose_secret())
                })
            }
            Self::Confirm { code } => {
                client.confirm_totp(&ConfirmTotp { code }).await?;
                output.done("From now on a login needs a code: 'login --totp CODE'.")
            }
            Self::Remove { name } => {
                client.remove_totp(&Name::parse(&name)?).await?;
                output.done(&format!("{name} logs in by its password alone."))
            }
        }
    }
}
