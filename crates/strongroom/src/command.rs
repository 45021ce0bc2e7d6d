//! The command line.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's own voice"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use strongroom_domain::SlotMethod;
use strongroom_ports::Clock as _;
use tokio::signal::unix::SignalKind;

use crate::client::output::Output;
use crate::client::{self, Common, Verb};
use crate::config::{Config, SecretSource, Sources, StoreChoice, UnlockSource};
use crate::reference::{self, Page};
use crate::serve::{StopSignals, caught, start};
use crate::system::SystemClock;
use crate::wiring::{open_broker, open_store};
use crate::{dev, logging, migrate, operator};

const NAME: &str = "strongroom";

#[derive(Debug, Parser)]
#[command(name = NAME, version, about = "Keeps secrets, and can prove who did what.", after_help = client::HELP)]
pub struct Command {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Top,
}

#[derive(Debug, Subcommand)]
enum Top {
    /// Serve from one directory, made at first start: for a first look, and for one machine.
    Dev(DevArgs),
    /// Serve as configured.
    Server(ConfigArgs),
    /// Change the database's schema.
    Migrate {
        #[command(subcommand)]
        step: MigrateStep,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// The configuration.
    Config {
        #[command(subcommand)]
        step: ConfigStep,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Work on the installation itself.
    Operator {
        #[command(subcommand)]
        step: operator::Step,
        #[command(flatten)]
        config: ConfigArgs,
    },
    #[command(flatten)]
    Client(Verb),
    /// Print a script that completes this program's verbs and options
    Completion { shell: Shell },
    /// Write the man pages, one a verb, into a folder
    Man { directory: PathBuf },
    /// Print a reference page from the program's own tables.
    #[command(hide = true)]
    Reference { page: Page },
}

#[derive(Debug, Args)]
struct DevArgs {
    /// Where everything is kept.
    #[arg(long, default_value = ".strongroom")]
    data_dir: PathBuf,
    /// Address to listen on.
    #[arg(long)]
    listen: Option<String>,
    /// Serve HTTPS, with a certificate from a CA that is made here for this.
    #[arg(long)]
    tls: bool,
    /// Serve plain HTTP beyond loopback.
    #[arg(long)]
    insecure_listen: bool,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file (TOML).
    #[arg(long, global = true, env = "STRONGROOM_CONFIG")]
    config: Option<PathBuf>,
    /// A setting, as NAME=VALUE; wins over file and environment. Not for secrets.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum MigrateStep {
    /// Apply what is missing.
    Up {
        /// Share a database that holds other tables.
        #[arg(long)]
        adopt: bool,
    },
    /// End an upgrade: older programs start no more, and rows are written in the newest format.
    Finish,
    /// Take back every migration above a number.
    Down {
        #[arg(long, default_value_t = 0)]
        to: i64,
        /// Lose what is stored.
        #[arg(long)]
        discard: bool,
    },
    /// Show what is applied.
    Status,
}

#[derive(Debug, Subcommand)]
enum ConfigStep {
    /// Check everything and tell all mistakes at once.
    Check,
}

impl Command {
    /// Exit codes: 0 ok, 1 usage, 2 server or network, 3 not found, 4 denied, 5 conflict, 6 a check failed.
    pub async fn run(self) -> ExitCode {
        let done = match self.verb {
            Top::Client(verb) => return client::run(verb, self.common).await,
            Top::Dev(args) => run_dev(args).await,
            Top::Server(args) => run_server(&args).await,
            Top::Migrate { step, config } => run_migrate(step, &config).await,
            Top::Config {
                step: ConfigStep::Check,
                config,
            } => check_config(&config),
            Top::Operator { .. } if self.common.show_curl => Err(mistakes(vec![
                "'operator' works on the installation itself: there is no request to show.".into(),
            ])),
            Top::Operator { step, config } => match read_config(&config, |sources| step.adjust(sources)) {
                Ok(config) => return step.run(&config, &Output::new(self.common.output)).await,
                Err(failure) => Err(failure),
            },
            Top::Completion { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), NAME, &mut script);
                print_bytes(&script)
            }
            Top::Man { directory } => clap_mangen::generate_to(Self::command(), &directory).map_err(|error| {
                format!("The man pages cannot be written to {}: {error}.", directory.display()).into()
            }),
            Top::Reference { page } => print_reference(page).await,
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                for line in &failure.lines {
                    eprintln!("error: {line}");
                }
                ExitCode::from(failure.code)
            }
        }
    }
}

struct Failure {
    lines: Vec<String>,
    code: u8,
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self {
            lines: vec![line],
            code: 2,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the configuration is read here, once")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn mistakes(lines: Vec<String>) -> Failure {
    Failure { lines, code: 1 }
}

fn read_config(args: &ConfigArgs, adjust: impl Fn(&mut Sources)) -> Result<Config, Failure> {
    let (mut sources, mut wrong) = (Sources::default(), Vec::new());
    if let Some(path) = &args.config {
        match std::fs::read_to_string(path) {
            Ok(text) => sources.read_file(&text, &mut wrong),
            Err(error) => wrong.push(format!(
                "The configuration file {} cannot be read: {error}.",
                path.display()
            )),
        }
    }
    sources.read_environment(environment);
    for pair in &args.set {
        let secret = |name: &str| {
            crate::config::SETTINGS
                .iter()
                .any(|setting| setting.secret && setting.name == name)
        };
        match pair.split_once('=') {
            Some((name, _)) if secret(name) => {
                wrong.push(format!("'{name}' is a secret: others can see a command line."));
            }
            Some((name, value)) => sources.known(name, value, &mut wrong),
            None => wrong.push(format!("'--set {pair}' is not NAME=VALUE.")),
        }
    }
    adjust(&mut sources);
    Config::check(&sources, wrong).map_err(mistakes)
}

async fn run_dev(args: DevArgs) -> Result<(), Failure> {
    let mut sources = Sources::default();
    sources.read_environment(environment);
    sources.set("data_dir", &args.data_dir.to_string_lossy());
    if let Some(listen) = &args.listen {
        sources.set("listen", listen);
    }
    if args.insecure_listen {
        sources.set("insecure_listen", "true");
    }
    // Two of them on one machine have addresses of their own.
    sources.set_unless("flags_listen", "127.0.0.1:8201", &["listen"]);
    // Its own key, in its own directory: that is what `dev` is.
    sources.forget_keys();
    let ca = args.tls.then(|| dev::certificates::name(&args.data_dir, &mut sources));
    let config = Config::check(&sources, Vec::new()).map_err(mistakes)?;
    logging::start(&config.log);
    dev::make_directory(&args.data_dir)?;
    if ca.is_some() {
        dev::certificates::make(&args.data_dir, config.listen.ip(), SystemClock::start().now())?;
    }
    let running = dev::run(&config, &args.data_dir, &config.store).await?;
    let mut stop = StopSignals::catch()?;
    println!("{}", dev::examples(&running.url(), &args.data_dir, ca.as_deref()));
    if let Some(flags) = running.flags_url() {
        println!("Flags are evaluated for browsers on {flags}.");
    }
    stop.wait().await;
    running.stop().await;
    Ok(())
}

async fn run_server(args: &ConfigArgs) -> Result<(), Failure> {
    let config = read_config(args, Sources::forbid_home)?;
    logging::start(&config.log);
    let unlock = config.unlock().map_err(|line| mistakes(vec![line]))?.read()?;
    let store = open_store(&config.store).await?;
    let running = start(&config, open_broker(&config, store, &unlock).await?).await?;
    drop(unlock);
    let mut stop = StopSignals::catch()?;
    let reload = caught(SignalKind::hangup())?;
    tracing::info!(address = %running.address, "serving");
    stop.wait_or_reload(reload, &running).await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

async fn run_migrate(step: MigrateStep, args: &ConfigArgs) -> Result<(), Failure> {
    let config = read_config(args, |_| {})?;
    match step {
        MigrateStep::Up { adopt } => migrate::up(&config.store, adopt).await?,
        MigrateStep::Down { to, discard } => migrate::down(&config.store, to, discard).await?,
        MigrateStep::Finish => match migrate::finish(&config.store).await? {
            Some(oldest) => println!(
                "Finished: the oldest program that may run is of level {oldest}. Restart every node: from then on it writes what only such programs read."
            ),
            None => println!("Nothing to finish: no program older than this one may run."),
        },
        MigrateStep::Status => {}
    }
    for (number, name, applied) in migrate::status(&config.store).await? {
        let name = name.as_deref().unwrap_or("of a newer program");
        println!("{number:04}  {}  {name}", if applied { "applied" } else { "missing" });
    }
    Ok(())
}

fn check_config(args: &ConfigArgs) -> Result<(), Failure> {
    let config = read_config(args, Sources::forbid_home)?;
    let mut wrong = Vec::new();
    match &config.unlock {
        Some(UnlockSource {
            method: SlotMethod::File,
            from: SecretSource::File(path),
        }) if !path.exists() => {
            println!(
                "The root key file {} is not there yet: 'operator init' makes it.",
                path.display()
            );
        }
        Some(source) => wrong.extend(source.read().err()),
        None => {}
    }
    wrong.extend(config.tls.as_ref().and_then(|tls| tls.load().err()));
    if !wrong.is_empty() {
        return Err(mistakes(wrong));
    }
    let store = match &config.store {
        StoreChoice::Sqlite(directory) => format!("the embedded store in {}", directory.display()),
        StoreChoice::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let how = config.tls.as_ref().map_or("", |_| " by HTTPS");
    println!(
        "The configuration is valid: {store}, listening on {}{how}.",
        config.listen
    );
    Ok(())
}

/// Who reads may stop before the end.
fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string().into()),
        _ => Ok(()),
    }
}

async fn print_reference(page: Page) -> Result<(), Failure> {
    print!("{}", reference::page(page, Command::command()).await?);
    Ok(())
}
