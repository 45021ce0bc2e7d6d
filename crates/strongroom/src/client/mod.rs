//! The verbs that talk to a server, one file each. They know the native API and nothing else of Strongroom: no store, no
//! key, no broker.

mod audit;
mod browser;
mod can_i;
mod child;
mod clients;
mod compare;
mod curl;
mod dead_letter;
mod delete;
mod destroy;
mod device;
mod diff;
mod dotenv;
mod edit;
mod environment;
mod explain;
mod export;
pub(crate) mod failure;
mod field;
mod findings;
mod flag;
mod gather;
mod get;
mod groups;
mod health;
mod history;
mod import;
mod input;
mod key;
mod label;
mod lease;
mod list;
mod login;
mod login_file;
mod metadata;
mod method;
mod namespaces;
mod operators;
pub(crate) mod output;
pub(crate) mod password;
mod policy;
mod prompt;
mod put;
mod restore;
mod role;
mod rollback;
mod rotate;
mod run;
mod scratch;
mod search;
mod session;
mod target;
mod tokens;
mod totp;
mod undelete;
mod vouched;
mod watch;
mod who_can;
mod whoami;
mod yaml;

use std::path::PathBuf;
use std::process::ExitCode;

pub use output::Format;

use failure::Failure;
use secrecy::{SecretSlice, SecretString};
use session::Session;
use strongroom_api::client::{Client, Tls};
use strongroom_domain::NamespaceName;

/// Where the verbs find what proves who asks; the program shows it below its help.
pub const HELP: &str = "The token comes from STRONGROOM_TOKEN or the file STRONGROOM_TOKEN_FILE. Without one, a client logs in with \
    STRONGROOM_CLIENT_ID and STRONGROOM_CLIENT_SECRET, or the file STRONGROOM_CLIENT_SECRET_FILE. Without these, and with \
    STRONGROOM_ROLE, a job of GitHub Actions or a pod of Kubernetes logs in with what it has (STRONGROOM_METHOD names the \
    login method). Without all of them, it is the one that 'login' keeps.";

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
    /// The CAs by which an HTTPS server is believed, in PEM, instead of those that this machine trusts
    #[arg(long, env = "STRONGROOM_CACERT", value_name = "FILE", global = true)]
    pub ca_cert: Option<PathBuf>,
    /// A certificate to show to the server, in PEM
    #[arg(
        long,
        env = "STRONGROOM_CLIENT_CERT_FILE",
        value_name = "FILE",
        requires = "client_key",
        global = true
    )]
    pub client_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(
        long,
        env = "STRONGROOM_CLIENT_KEY_FILE",
        value_name = "FILE",
        requires = "client_cert",
        global = true
    )]
    pub client_key: Option<PathBuf>,
    /// The namespace to work in, for a login; a token has one of its own, and works in no other
    #[arg(long, env = "STRONGROOM_NAMESPACE", value_name = "NAME", global = true)]
    pub namespace: Option<String>,
    /// How the answer is shown
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub output: Format,
    /// Say on stderr by what one is logged in
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Show requests as curl commands instead of sending them, with $STRONGROOM_TOKEN for the token and no value
    #[arg(long, global = true)]
    pub show_curl: bool,
}

// One variant a verb.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Get(get::Get),
    Put(put::Put),
    Edit(edit::Edit),
    List(list::List),
    Search(search::Search),
    Watch(watch::Watch),
    History(history::History),
    Diff(diff::Diff),
    Rollback(rollback::Rollback),
    Label(label::Label),
    Metadata(metadata::Describing),
    Delete(delete::Delete),
    Undelete(undelete::Undelete),
    Restore(restore::Restore),
    Destroy(destroy::Destroy),
    Import(import::Import),
    Export(export::Export),
    Run(run::Run),
    Health(health::Health),
    /// Rotation: new values on a schedule, or now
    #[command(subcommand)]
    Rotate(rotate::Rotate),
    /// Targets: the servers and webhooks where secrets are used
    #[command(subcommand, alias = "targets")]
    Target(target::Target),
    /// Lease roles: what a credential made on demand gives
    #[command(subcommand, name = "lease-role", alias = "lease-roles")]
    LeaseRole(lease::LeaseRole),
    /// Dead letters: notices that no webhook took
    #[command(subcommand, name = "dead-letter", alias = "dead-letters")]
    DeadLetter(dead_letter::DeadLetter),
    /// Leases: credentials made on demand
    #[command(subcommand, alias = "leases")]
    Lease(lease::Lease),
    /// Feature flags: what programs do differently without being deployed anew
    #[command(subcommand, alias = "flags")]
    Flag(flag::Flag),
    /// Policies: which capabilities on which paths
    #[command(subcommand, alias = "policies")]
    Policy(policy::Policy),
    /// Roles: what a login yields
    #[command(subcommand, alias = "roles")]
    Role(role::Role),
    /// Login methods: whom the server believes about others
    #[command(subcommand, alias = "methods")]
    Method(method::Method),
    /// Clients: workloads that log in with an id and a secret
    #[command(subcommand, alias = "clients")]
    Client(clients::Clients),
    /// Operators: people who log in with a password
    #[command(subcommand)]
    Operators(operators::Operators),
    /// Groups: policies under one name, for operators
    #[command(subcommand, alias = "group")]
    Groups(groups::Groups),
    /// Service tokens
    #[command(subcommand, alias = "tokens")]
    Token(tokens::Tokens),
    /// Namespaces: tenants with secrets, policies and keys of their own
    #[command(subcommand, alias = "namespaces")]
    Namespace(namespaces::Namespaces),
    /// One-time codes beside a password
    #[command(subcommand)]
    Totp(totp::Totp),
    /// The keys of the installation
    #[command(subcommand)]
    Key(key::Key),
    Audit(audit::Audit),
    #[command(name = "can-i")]
    CanI(can_i::CanI),
    #[command(name = "who-can")]
    WhoCan(who_can::WhoCanDo),
    Explain(explain::ExplainDenial),
    Login(login::Login),
    /// End the token that `login` keeps, and remove it
    Logout,
    Password(password::Password),
    #[command(name = "whoami")]
    WhoAmI(whoami::WhoAmI),
}

impl Common {
    /// How one is logged in, for who asks.
    fn tell(&self, how: &str) {
        if self.verbose {
            output::note(&format!("Logged in {how}."));
        }
    }

    /// The server, with or without a token to show there; one that sends nothing for `--show-curl`.
    fn client(&self, token: Option<SecretString>) -> Result<Client, Failure> {
        let namespace = self.namespace.as_deref().map(NamespaceName::parse).transpose()?;
        let mut tls = Tls::default();
        if let Some(ca) = &self.ca_cert {
            tls = tls.trusting(&input::file(ca)?)?;
        }
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            let key = SecretSlice::from(input::file(key)?.to_vec());
            tls = tls.showing(&input::file(certificate)?, &key)?;
        }
        let client = Client::with(&self.addr, token, &tls)?.within(namespace);
        Ok(if self.show_curl { client.unsending() } else { client })
    }
}

/// Does what was asked, tells stderr what went wrong, and says both in the exit code.
pub async fn run(verb: Verb, common: Common) -> ExitCode {
    let following = curl::following(&verb, &common);
    let failure = match ask(verb, &common).await {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    let Some(request) = failure.unsent() else {
        failure.report();
        return failure.exit_code();
    };
    let commands = [Some(curl::command(&common, request)), following];
    let commands: Vec<String> = commands.into_iter().flatten().collect();
    match output::line(commands.join("\n").as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

async fn ask(verb: Verb, common: &Common) -> Result<ExitCode, Failure> {
    let verb = match verb {
        // It opens sessions of its own, as often as it tries.
        Verb::Run(run) => return run.run(common).await,
        Verb::Health(health) => return health.run(common).await.map(|()| ExitCode::SUCCESS),
        Verb::Watch(watch) => return watch.run(common).await.map(|()| ExitCode::SUCCESS),
        Verb::Login(login) => return login.run(common).await.map(|()| ExitCode::SUCCESS),
        Verb::Logout if common.show_curl => return Err(Failure::usage("'logout' sends nothing.")),
        Verb::Logout => return login::logout(common).await.map(|()| ExitCode::SUCCESS),
        verb => verb,
    };
    let output = output::Output::new(common.output);
    let offline = match &verb {
        Verb::Policy(policy) => policy.offline(&output),
        Verb::Flag(flag) => flag.offline(&output),
        _ => None,
    };
    if let Some(done) = offline {
        return done.map(|()| ExitCode::SUCCESS);
    }
    let session = Session::open(common).await?;
    match verb {
        Verb::Diff(diff) => return diff.run(&session).await,
        Verb::Get(get) => get.run(&session).await,
        Verb::Put(put) => put.run(&session).await,
        Verb::Edit(edit) => edit.run(&session).await,
        Verb::List(list) => list.run(&session).await,
        Verb::Search(search) => search.run(&session).await,
        Verb::History(history) => history.run(&session).await,
        Verb::Rollback(rollback) => rollback.run(&session).await,
        Verb::Label(label) => label.run(&session).await,
        Verb::Metadata(describing) => describing.run(&session).await,
        Verb::Delete(delete) => delete.run(&session).await,
        Verb::Undelete(undelete) => undelete.run(&session).await,
        Verb::Restore(restore) => restore.run(&session).await,
        Verb::Destroy(destroy) => destroy.run(&session).await,
        Verb::Import(import) => import.run(&session).await,
        Verb::Export(export) => export.run(&session).await,
        Verb::Rotate(rotate) => rotate.run(&session).await,
        Verb::Target(target) => target.run(&session).await,
        Verb::LeaseRole(role) => role.run(&session).await,
        Verb::Lease(lease) => lease.run(&session).await,
        Verb::DeadLetter(letter) => letter.run(&session).await,
        Verb::Flag(flag) => flag.run(&session).await,
        Verb::Policy(policy) => policy.run(&session).await,
        Verb::Role(role) => role.run(&session).await,
        Verb::Method(method) => method.run(&session).await,
        Verb::Client(clients) => clients.run(&session).await,
        Verb::Operators(operators) => operators.run(&session).await,
        Verb::Groups(groups) => groups.run(&session).await,
        Verb::Token(tokens) => tokens.run(&session).await,
        Verb::Namespace(namespaces) => namespaces.run(&session).await,
        Verb::Totp(totp) => totp.run(&session).await,
        Verb::Key(key) => key.run(&session).await,
        Verb::Audit(audit) => audit.run(&session).await,
        Verb::CanI(can_i) => can_i.run(&session).await,
        Verb::WhoCan(who_can) => who_can.run(&session).await,
        Verb::Explain(explain) => explain.run(&session).await,
        Verb::Password(password) => password.run(&session).await,
        Verb::WhoAmI(whoami) => whoami.run(&session).await,
        Verb::Run(_) | Verb::Watch(_) | Verb::Health(_) | Verb::Login(_) | Verb::Logout => {
            Err(Failure::usage("This verb opens no session."))
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
