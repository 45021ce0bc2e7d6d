//! `operator accept-restore`

use clap::Args;
use strongroom_api::control::AcceptRestore as Wanted;

use super::Opening;
use super::console::Console;
use crate::client::failure::Failure;
use crate::client::output::Output;
use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct AcceptRestore {
    /// Why what grants access is to stand as it was put back; the audit log keeps it.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    pub(super) opening: Opening,
}

impl AcceptRestore {
    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        let console = Console::open(config).await?;
        let accepted = console.client.accept_restore(&Wanted { reason: self.reason }).await;
        console.close().await;
        let accepted = accepted?;
        output.show(&accepted, || {
            let broken = match accepted.broken {
                0 => String::new(),
                broken => format!(" {broken} more fail their check and are not used."),
            };
            format!(
                "The {} rows that grant access stand as they are now.{broken} Every token is void, and nodes serve again. Nothing is \
                 done at systems outside until 'strongroom operator lift-hold'.\n\
                 Next: strongroom operator recover-admin, which issues a root token for 15 minutes; then look at what roles, \
                 clients and operators may do.",
                accepted.rows
            )
        })
    }
}
