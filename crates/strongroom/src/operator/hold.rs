//! `operator lift-hold`

use clap::Args;
use strongroom_api::control::LiftHold as Wanted;

use super::Opening;
use super::console::Console;
use crate::client::failure::Failure;
use crate::client::output::Output;
use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct LiftHold {
    /// Why this installation is the one that goes on; the audit log keeps it.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    pub(super) opening: Opening,
}

impl LiftHold {
    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        let console = Console::open(config).await?;
        let lifted = console.client.lift_hold(&Wanted { reason: self.reason }).await;
        console.close().await;
        lifted?;
        output.done("Rotations, ends of leases and webhooks go on, beginning with what is overdue.")
    }
}
