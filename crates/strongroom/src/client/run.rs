//! `strongroom run`

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::failure::Failure;
use super::flag::Flags;
use super::gather::Wanted;
use super::session::Session;
use super::{Common, child};

/// Our own failure, told apart from the child's.
const OWN_FAILURE: u8 = 125;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Run a command with secrets and flags as its environment
///
/// A text secret becomes a variable of its name (`api-key`: API_KEY), a JSON object one variable a field (`db` with
/// `user`: db_user). The command does not inherit Strongroom's own credentials. The exit code is the command's (128+N:
/// ended by signal N); 125: Strongroom failed; 126: the command cannot be run; 127: there is no such command.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    pub(super) wanted: Wanted,
    #[command(flatten)]
    flags: Flags,
    /// How long to try again while the server cannot be reached or is not ready
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) async fn run(self, common: &Common) -> Result<ExitCode, Failure> {
        let environment = self.gather_patiently(common).await;
        let environment = environment.map_err(|failure| failure.exiting(OWN_FAILURE))?;
        Ok(child::run(&self.command, environment).await)
    }

    /// A program often starts before its server does.
    async fn gather_patiently(&self, common: &Common) -> Result<Environment, Failure> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.gather(common).await {
                Err(failure) if failure.is_passing() => {
                    let left = Duration::from_secs(self.wait).saturating_sub(started.elapsed());
                    if left.is_zero() {
                        return Err(failure);
                    }
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                gathered => return gathered,
            }
        }
    }

    async fn gather(&self, common: &Common) -> Result<Environment, Failure> {
        let (wanted, flags) = (self.wanted.parse()?, self.flags.parse()?);
        let session = Session::open(common).await?;
        let mut environment = wanted.gather(&session).await?;
        if let Some(flags) = flags {
            environment.overlay(flags.gather(&session).await?);
        }
        Ok(environment)
    }
}
