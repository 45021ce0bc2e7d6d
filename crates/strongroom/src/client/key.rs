//! `strongroom key`

use strongroom_api::keys::RotateSigningKey;

use super::failure::Failure;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Put a new key in the place of one: what is new is under it, what is old follows
    Rotate {
        key: Rotatable,
        /// Of the key that tokens are signed with: end every access token now, since the key leaked
        #[arg(long)]
        end_all: bool,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Rotatable {
    /// The key that values are sealed under
    Data,
    /// The key that access tokens are signed with
    Signing,
}

impl Key {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Rotate {
                key: Rotatable::Data,
                end_all: true,
            } => Err(Failure::usage(
                "'--end-all' is for the key that tokens are signed with.",
            )),
            Self::Rotate {
                key: Rotatable::Signing,
                end_all,
            } => {
                session.client.rotate_signing_key(&RotateSigningKey { end_all }).await?;
                session.output.done(if end_all {
                    "Every access token has ended; new ones are signed with a new key."
                } else {
                    "The new key is published. It signs in ten minutes; the old one goes an hour later."
                })
            }
            Self::Rotate {
                key: Rotatable::Data,
                end_all: false,
            } => {
                let rotated = session.client.rotate_data_key().await?;
                session.output.show(&rotated, || {
                    format!("Values are sealed under data key {} now.", rotated.epoch)
                })
            }
        }
    }
}
