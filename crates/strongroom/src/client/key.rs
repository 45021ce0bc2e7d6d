//! `strongroom key`

use super::failure::Failure;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Put a new key in the place of one: what is new is under it, what is old follows
    Rotate { key: Rotatable },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Rotatable {
    /// The key that values are sealed under
    Data,
}

impl Key {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Rotate { key: Rotatable::Data } => {
                let rotated = session.client.rotate_data_key().await?;
                session.output.show(&rotated, || {
                    format!("Values are sealed under data key {} now.", rotated.epoch)
                })
            }
        }
    }
}
