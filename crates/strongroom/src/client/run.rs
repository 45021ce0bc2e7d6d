//! `strongroom run`

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use strongroom_api::batch::{BatchRead, Failed, MAX_ITEMS};
use strongroom_domain::{Code, Payload, Prefix, SecretPath};

use super::environment::Environment;
use super::failure::Failure;
use super::output::warn;
use super::session::Session;
use super::{Common, child, list};

/// Our own failure, told apart from the child's.
const OWN_FAILURE: u8 = 125;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Run a command with the secrets of one or more folders as its environment
///
/// A text secret becomes a variable of its name (`api-key`: API_KEY), a JSON object one variable a field (`db` with
/// `user`: db_user). The command does not inherit Strongroom's own credentials. The exit code is the command's (128+N:
/// ended by signal N); 125: Strongroom failed; 126: the command cannot be run; 127: there is no such command.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// A folder whose secrets are given, without its subfolders; may be repeated, later ones win
    #[arg(long = "prefix", value_name = "PREFIX", required = true)]
    prefixes: Vec<String>,
    /// How long to try again while the server cannot be reached or is not ready
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) async fn run(self, common: &Common) -> ExitCode {
        match self.gather_patiently(common).await {
            Ok(environment) => child::run(&self.command, environment).await,
            Err(failure) => {
                failure.report();
                OWN_FAILURE.into()
            }
        }
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
        let prefixes = self
            .prefixes
            .iter()
            .map(|text| Prefix::parse(text))
            .collect::<Result<Vec<_>, _>>()?;
        let session = Session::open(common).await?;
        let mut environment = Environment::default();
        for prefix in &prefixes {
            let secrets = read_folder(&session, prefix).await?;
            if secrets.is_empty() {
                // Most likely a misspelt folder or a missing policy: better seen now than by the program.
                return Err(Failure::usage(format!(
                    "There is no secret that you may see in '{}'.",
                    prefix.as_str()
                )));
            }
            let folder = Environment::of_folder(secrets).map_err(|refused| Failure::usage(refused.to_string()))?;
            environment.overlay(folder);
        }
        for path in &environment.skipped {
            warn(&format!("{path} is binary and becomes no variable."));
        }
        Ok(environment)
    }
}

async fn read_folder(session: &Session, prefix: &Prefix) -> Result<Vec<(SecretPath, Payload)>, Failure> {
    let listing = list::all(session, prefix, false).await?;
    let paths: Vec<String> = listing
        .items
        .into_iter()
        .filter(|item| !item.folder)
        .map(|item| item.path)
        .collect();
    let mut secrets = Vec::with_capacity(paths.len());
    for chunk in paths.chunks(MAX_ITEMS) {
        let reads = chunk
            .iter()
            .map(|path| BatchRead {
                path: path.clone(),
                ..BatchRead::default()
            })
            .collect();
        for item in session.client.batch_read(reads).await?.items {
            match item.into_result() {
                Ok(secret) => secrets.push((SecretPath::parse(&secret.fields.path)?, secret.payload.try_into()?)),
                Err(Failed { path, error }) if is_gone(&error.code) => warn(&format!("{path}: {error}")),
                Err(Failed { path, error }) => {
                    return Err(Failure::from(strongroom_api::client::Error::Problem(error)).at(&path));
                }
            }
        }
    }
    Ok(secrets)
}

/// Deleted on purpose, or without a value yet. A secret that may not be read is another matter: that one is missing.
fn is_gone(code: &str) -> bool {
    [Code::NotFound, Code::Deleted, Code::Destroyed]
        .iter()
        .any(|gone| gone.name() == code)
}
