//! `operator slots` and `operator rotate-key`

use std::io::{IsTerminal as _, stdout};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use strongroom_api::keys::{NewSlot, Slot, SlotAdded};
use strongroom_domain::{Name, SlotMethod};

use super::Opening;
use super::console::Console;
use crate::client::failure::Failure;
use crate::client::output::{Output, line, table, warn};
use crate::client::password;
use crate::config::Config;
use crate::files;

#[derive(Debug, Subcommand)]
pub(crate) enum Slots {
    /// Show what opens the installation, by name
    List {
        #[command(flatten)]
        opening: Opening,
    },
    /// Let another key open it
    Add(Add),
    /// Take a slot away: what opens it starts no server any more
    Remove {
        name: String,
        #[command(flatten)]
        opening: Opening,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    name: String,
    /// What opens it: a root key in a file, a recovery key for a safe, or a passphrase
    #[arg(long, value_enum, value_name = "METHOD")]
    method: Method,
    /// Where to write the new key; without it, a recovery key is shown on the terminal
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The file with the new passphrase; without it, it is asked for
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Method {
    File,
    Recovery,
    Passphrase,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RotateKey {
    /// Make a new root key: both open the installation until the old one's slot is removed
    Root {
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        new_key_file: PathBuf,
        /// What its slot is called
        #[arg(long, default_value = "file-2")]
        name: String,
        #[command(flatten)]
        opening: Opening,
    },
    /// Make a new data key: what is stored is sealed anew under it in the background
    Data {
        #[command(flatten)]
        opening: Opening,
    },
}

impl Slots {
    pub(super) fn opening(&self) -> &Opening {
        match self {
            Self::List { opening } | Self::Remove { opening, .. } => opening,
            Self::Add(add) => &add.opening,
        }
    }

    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List { .. } => {
                let console = Console::open(config).await?;
                let slots = console.client.slots().await;
                console.close().await;
                let slots = slots?;
                output.show(&slots, || rows(&slots.items))
            }
            Self::Add(add) => add.run(config, output).await,
            Self::Remove { name, .. } => {
                let name = Name::parse(&name)?;
                let console = Console::open(config).await?;
                let removed = console.client.remove_slot(&name).await;
                console.close().await;
                removed?;
                output.done(&format!(
                    "The slot {name} is removed: what opened it starts no server any more."
                ))
            }
        }
    }
}

fn rows(slots: &[Slot]) -> String {
    let row = |slot: &Slot| {
        [
            slot.name.to_string(),
            slot.method.name().to_owned(),
            slot.created_at.to_string(),
        ]
    };
    table(["NAME", "METHOD", "CREATED"], slots.iter().map(row))
}

impl Add {
    async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        let (method, passphrase) = match self.method {
            Method::File if self.key_file.is_none() => {
                return Err(Failure::usage(
                    "A root key is written to a file: name it with --key-file.",
                ));
            }
            Method::File => (SlotMethod::File, None),
            Method::Recovery if self.key_file.is_none() && !stdout().is_terminal() => {
                return Err(Failure::usage(
                    "The recovery key is shown on a terminal or written with --key-file; this is neither.",
                ));
            }
            Method::Recovery => (SlotMethod::Recovery, None),
            Method::Passphrase => (
                SlotMethod::Passphrase,
                Some(passphrase(self.new_passphrase_file.as_deref())?),
            ),
        };
        let name = Name::parse(&self.name)?;
        let added = add(
            config,
            NewSlot {
                name,
                method,
                passphrase,
            },
            self.key_file.as_deref(),
        )
        .await?;
        match (&added.key, &self.key_file) {
            (Some(key), None) => {
                warn("this recovery key is shown this once; write it down and lock it away");
                line(key.expose_secret().as_bytes())
            }
            (_, Some(path)) => output.done(&format!(
                "The slot {} is added; its key is in {}.",
                added.name,
                path.display()
            )),
            (None, None) => output.done(&format!("The slot {} is added.", added.name)),
        }
    }
}

/// Adds the slot, and writes its key where that is to be.
async fn add(config: &Config, slot: NewSlot, key_file: Option<&Path>) -> Result<SlotAdded, Failure> {
    let unmade = |error: std::io::Error| Failure::local("The key file cannot be made", &error);
    if let Some(path) = key_file {
        files::check_new(path).map_err(unmade)?;
    }
    let console = Console::open(config).await?;
    let added = console.client.add_slot(&slot).await;
    console.close().await;
    let added = added?;
    if let (Some(path), Some(key)) = (key_file, &added.key) {
        files::write_new(path, key.expose_secret()).map_err(|error| {
            unmade(error).help(format!(
                "Nobody has the key of the slot {0} now: run 'operator slots remove {0}' and add it again.",
                added.name
            ))
        })?;
    }
    Ok(added)
}

fn passphrase(file: Option<&Path>) -> Result<SecretString, Failure> {
    let Some(path) = file else {
        return password::twice("New passphrase (not shown): ");
    };
    let text = files::read_secret(path);
    let text = text.map_err(|error| Failure::local("The passphrase file cannot be read", &error))?;
    Ok(SecretString::from(text.as_str()))
}

impl RotateKey {
    pub(super) fn opening(&self) -> &Opening {
        match self {
            Self::Root { opening, .. } | Self::Data { opening } => opening,
        }
    }

    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Root { new_key_file, name, .. } => {
                let slot = NewSlot {
                    name: Name::parse(&name)?,
                    method: SlotMethod::File,
                    passphrase: None,
                };
                add(config, slot, Some(&new_key_file)).await?;
                output.done(&format!(
                    "The new root key is in {}, its slot is {name}. Give it to each node in the old one's place and restart \
                     them one by one; then run 'strongroom operator slots list', and 'slots remove' with the old one's name.",
                    new_key_file.display()
                ))
            }
            Self::Data { .. } => {
                let console = Console::open(config).await?;
                let rotated = console.client.rotate_data_key().await;
                console.close().await;
                let rotated = rotated?;
                output.show(&rotated, || {
                    format!(
                        "Data key {} seals from now on. Running nodes seal the rest anew; the old key is destroyed after a day.",
                        rotated.epoch
                    )
                })
            }
        }
    }
}
