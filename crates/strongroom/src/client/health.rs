//! `strongroom health`

use std::time::Duration;

use strongroom_api::client::{Client, Error};

use super::Common;
use super::failure::Failure;
use super::output::Output;

/// A check of a container or a proxy waits about as long.
const LIMIT: Duration = Duration::from_secs(3);

/// Ask whether a node can serve: exit code 0, or 2 and why not. Needs no token
#[derive(Debug, clap::Args)]
pub struct Health {
    /// Only whether the process answers: what a container is restarted for
    #[arg(long)]
    alive: bool,
}

impl Health {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client(None)?;
        let asked = tokio::time::timeout(LIMIT, self.ask(&client, Output::new(common.output)));
        let late = |_| Error::Network(format!("No answer from {} in {} s.", common.addr, LIMIT.as_secs()));
        asked.await.map_err(late)?
    }

    async fn ask(&self, client: &Client, output: Output) -> Result<(), Failure> {
        if self.alive {
            let alive = client.alive().await?;
            return output.show(&alive, || "The node is alive.".to_owned());
        }
        let readiness = client.ready().await?;
        if !readiness.ready {
            let why = readiness.problems.join(" ");
            return Err(Failure::unexpected(format!("The node is not ready. {why}")));
        }
        output.show(&readiness, || {
            let says = ["The node is ready."].into_iter();
            says.chain(readiness.warnings.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join("\n")
        })
    }
}
