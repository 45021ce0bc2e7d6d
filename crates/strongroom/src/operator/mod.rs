//! `strongroom operator`: work on the installation itself, for whoever may read its key and its store.

mod accept;
mod backup;
mod console;
mod doctor;
mod hold;
pub(crate) mod init;
mod recover;
mod restore;
mod slots;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use strongroom_crypto::Unlock;
use strongroom_domain::{Code, Error, SlotMethod};

use crate::client::failure::{CHECK_FAILED, CONFLICT, Failure, SERVER, USAGE};
use crate::client::output::Output;
use crate::config::{Config, SecretSource, Sources, StoreChoice, UnlockSource};
use crate::dev;

#[derive(Debug, Subcommand)]
pub(crate) enum Step {
    /// Make keys and root token, unless that was done before.
    Init(init::Init),

    /// Check the installation, and tell what to run next; also while no server runs.
    Doctor(doctor::Doctor),
    /// What opens the installation.
    #[command(subcommand)]
    Slots(slots::Slots),
    /// Put a new key in the place of one.
    #[command(subcommand)]
    RotateKey(slots::RotateKey),
    /// Write every row there is into one encrypted file, also while nodes serve.
    Backup(backup::Backup),
    /// Fill an empty store from a backup; tokens issued before it are void.
    Restore(restore::Restore),
    /// Issue a root token that lives for 15 minutes, for when all others are lost.
    RecoverAdmin(recover::RecoverAdmin),
    /// Let what grants access stand as it was put back; every token is void then.
    AcceptRestore(accept::AcceptRestore),
    /// Let work on systems outside go on after a restore: rotations, ends of leases, webhooks.
    LiftHold(hold::LiftHold),
}

/// What opens the installation where the root key is not at hand.
#[derive(Debug, Args)]
pub(crate) struct Opening {
    /// Open with the recovery key in this file, not with the root key.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    recovery_key_file: Option<PathBuf>,
    /// Open with the passphrase in this file, not with the root key.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Opening {
    fn choose(&self, sources: &mut Sources) {
        let named = [
            ("recovery_key", &self.recovery_key_file),
            ("passphrase", &self.passphrase_file),
        ];
        for (name, file) in named {
            if let Some(file) = file {
                sources.open_with(name, file);
            }
        }
    }

    /// What is named here, if anything is.
    fn read(&self) -> Result<Option<Unlock>, String> {
        let named = [
            (SlotMethod::Recovery, &self.recovery_key_file),
            (SlotMethod::Passphrase, &self.passphrase_file),
        ];
        let mut named = named.into_iter().filter_map(|(method, file)| {
            let from = SecretSource::File(file.clone()?);
            Some(UnlockSource { method, from })
        });
        named.next().map(|source| source.read()).transpose()
    }
}

/// What opens the installation. Nothing named, in a directory that `dev` made: the key that lies there.
fn unlock_source(config: &Config) -> Result<UnlockSource, Failure> {
    if let (None, StoreChoice::Sqlite(directory)) = (&config.unlock, &config.store) {
        let key = dev::paths(directory).root_key;
        if key.exists() {
            return Ok(UnlockSource::root_key(key));
        }
    }
    config.unlock().cloned().map_err(Failure::usage)
}

fn unlock(config: &Config) -> Result<Unlock, Failure> {
    Ok(unlock_source(config)?.read()?)
}

/// What the broker says of a backup, outside of any request.
fn failed(error: Error) -> Failure {
    let exit = match error.code {
        Code::BackupDamaged | Code::IntegrityFailed => CHECK_FAILED,
        Code::StoreNotEmpty | Code::Conflict => CONFLICT,
        Code::InvalidRequest | Code::BackupNotOpened => USAGE,
        _ => SERVER,
    };
    Failure::from(error).exiting(exit)
}

impl Step {
    /// What the command line says of the configuration.
    pub(crate) fn adjust(&self, sources: &mut Sources) {
        match self {
            Self::Init(_) | Self::Restore(_) => {}
            Self::Doctor(doctor) => doctor.opening.choose(sources),
            Self::Slots(slots) => slots.opening().choose(sources),
            Self::RotateKey(rotate) => rotate.opening().choose(sources),
            Self::RecoverAdmin(recover) => recover.opening.choose(sources),
            Self::AcceptRestore(accept) => accept.opening.choose(sources),
            Self::LiftHold(lift) => lift.opening.choose(sources),
            Self::Backup(backup) => backup.adjust(sources),
        }
    }

    async fn go(self, config: &Config, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Init(init) => init.run(config).await,
            Self::Doctor(doctor) => return doctor.run(config, output).await,
            Self::Slots(slots) => slots.run(config, output).await,
            Self::RotateKey(rotate) => rotate.run(config, output).await,
            Self::RecoverAdmin(recover) => recover.run(config, output).await,
            Self::AcceptRestore(accept) => accept.run(config, output).await,
            Self::LiftHold(lift) => lift.run(config, output).await,
            Self::Backup(backup) => return backup.run(config, output).await,
            Self::Restore(restore) => restore.run(config, output).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }

    pub(crate) async fn run(self, config: &Config, output: &Output) -> ExitCode {
        match self.go(config, output).await {
            Ok(code) => code,
            Err(failure) => {
                failure.report();
                failure.exit_code()
            }
        }
    }
}
