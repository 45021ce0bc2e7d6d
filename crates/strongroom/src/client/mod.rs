//! The verbs that talk to a server, one file each. They know the native API and nothing else of Strongroom: no store, no
//! key, no broker.

mod audit;
mod child;
mod clients;
mod delete;
mod dotenv;
mod environment;
mod failure;
mod field;
mod get;
mod history;
mod import;
mod input;
mod list;
mod output;
mod policy;
mod prompt;
mod put;
mod role;
mod run;
mod session;
mod undelete;
mod yaml;

use std::process::ExitCode;

pub use output::Format;

use failure::Failure;
use session::Session;

/// Where the verbs find what proves who asks; the program shows it below its help.
pub const HELP: &str = "The token comes from STRONGROOM_TOKEN or the file STRONGROOM_TOKEN_FILE. Without one, a client logs in with \
    STRONGROOM_CLIENT_ID and STRONGROOM_CLIENT_SECRET, or the file STRONGROOM_CLIENT_SECRET_FILE.";

// What every verb takes. No doc comment here and below: clap would show it as the program's own description.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Address of the server
    #[arg(
        long,
        env = "STRONGROOM_ADDR",
        default_value = "http://127.0.0.1:8200",
        value_name = "URL",
        global = true
    )]
    pub addr: String,
    /// How the answer is shown
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub output: Format,
}

// One variant a verb.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Get(get::Get),
    Put(put::Put),
    List(list::List),
    History(history::History),
    Delete(delete::Delete),
    Undelete(undelete::Undelete),
    Import(import::Import),
    Run(run::Run),
    /// Policies: which capabilities on which paths
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Roles: what a login yields
    #[command(subcommand)]
    Role(role::Role),
    /// Clients: workloads that log in with an id and a secret
    #[command(subcommand)]
    Client(clients::Clients),
    Audit(audit::Audit),
}

/// Does what was asked, tells stderr what went wrong, and says both in the exit code.
pub async fn run(verb: Verb, common: Common) -> ExitCode {
    let done = match verb {
        // Its exit codes are the child's, so it keeps its own.
        Verb::Run(run) => return run.run(&common).await,
        verb => ask(verb, &common).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

async fn ask(verb: Verb, common: &Common) -> Result<(), Failure> {
    let session = Session::open(common).await?;
    match verb {
        Verb::Get(get) => get.run(&session).await,
        Verb::Put(put) => put.run(&session).await,
        Verb::List(list) => list.run(&session).await,
        Verb::History(history) => history.run(&session).await,
        Verb::Delete(delete) => delete.run(&session).await,
        Verb::Undelete(undelete) => undelete.run(&session).await,
        Verb::Import(import) => import.run(&session).await,
        Verb::Policy(policy) => policy.run(&session).await,
        Verb::Role(role) => role.run(&session).await,
        Verb::Client(clients) => clients.run(&session).await,
        Verb::Audit(audit) => audit.run(&session).await,
        Verb::Run(_) => Err(Failure::usage("'run' is not asked for here")),
    }
}
