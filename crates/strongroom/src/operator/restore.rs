//! `operator restore`: an empty store becomes the installation of a backup.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use strongroom_broker::{BackupFile, Restored, restore};
use strongroom_crypto::{Keys, Unlock};
use strongroom_domain::{Code, Schema};

use super::verify::open;
use super::{Opening, failed, init, unlock};
use crate::client::failure::Failure;
use crate::client::output::Output;
use crate::config::{Config, UnlockSource};
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store_to_fill;

#[derive(Debug, Args)]
pub(crate) struct Restore {
    file: PathBuf,
    /// Open the backup with the root key in this file: the configured one is another, and opens what is restored
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recovery_key_file", "passphrase_file"])]
    backup_root_key_file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
}

fn text(restored: &Restored, unlock: &Unlock) -> String {
    let counts = &restored.counts;
    let mut text = format!(
        "Restored the backup of {} at revision {}: {} records, {} versions, {} log entries.\n\
         Every token issued before is void: {} service tokens are gone, and access tokens are signed by another key. \
         Operators and clients log in as before.\n",
        restored.at, restored.revision.0, counts.records, counts.versions, counts.entries, restored.tokens
    );
    if restored.rekeyed {
        let _ = writeln!(
            text,
            "It opens by the {} that is configured, and by nothing else: the backup's key slots are gone. Add a recovery \
             key: strongroom operator slots add safe --method recovery",
            unlock.method()
        );
    }
    text.push_str(
        "What was revoked since the backup is granted again: look through policies, roles, clients, operators with their \
         passwords and groups, and key slots.\n\
         Nothing is done at systems outside (rotations, ends of leases, webhooks) until 'strongroom operator lift-hold': run it \
         where this installation takes the place of the one that was backed up.\n\
         Next: strongroom operator recover-admin, which issues a root token for 15 minutes; then start the server.",
    );
    text
}

impl Restore {
    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<(), Failure> {
        let store = open_store_to_fill(&config.store).await?;
        // Before a key's file is made, which would open nothing. One that a restore has begun to fill has no keys yet.
        if init::initialised(&store).await? {
            return Err(failed(Code::StoreNotEmpty.into()));
        }
        let file = open(&self.file).await?;
        let (keys, unlock) = self.keys(config, &file, store.schema())?;
        let restored = restore(&store, &SystemClock::start(), &SystemEntropy, file, &keys, &unlock).await;
        let restored = restored.map_err(failed)?;
        output.show(&restored, || text(&restored, &unlock))
    }

    /// What the backup opens by, and what the restored installation will. A root key's file is made where something else
    /// opens the backup.
    fn keys(&self, config: &Config, file: &BackupFile, schema: Schema) -> Result<(Keys, Unlock), Failure> {
        let named = match &self.backup_root_key_file {
            Some(path) => Some(UnlockSource::root_key(path.clone()).read()?),
            None => self.opening.read()?,
        };
        match named {
            None => {
                let unlock = unlock(config)?;
                Ok((file.unlock([&unlock], schema).map_err(failed)?, unlock))
            }
            Some(named) => {
                let keys = file.unlock([&named], schema).map_err(failed)?;
                Ok((keys, init::first_unlock(config.unlock()?)?))
            }
        }
    }
}
