//! `operator backup`: the server makes it, and this process keeps it. A file of that name is a whole backup, or is not
//! there.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::client::Client;
use strongroom_api::control::BackupKept;
use strongroom_broker::BackupFile;

use super::console::Console;
use super::verify::Verify;
use super::{Opening, failed};
use crate::client::failure::Failure;
use crate::client::output::Output;
use crate::config::{Config, Sources};

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Backup {
    /// The file to make; one that is there is never touched
    #[arg(required = true)]
    file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
    #[command(subcommand)]
    step: Option<Step>,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Restore a backup into a scratch folder, and open every secret there
    Verify(Verify),
}

/// How often it is tried again to put a backup on record, and how long after.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Serialize)]
struct Kept {
    file: PathBuf,
    bytes: u64,
    #[serde(flatten)]
    backup: BackupKept,
}

impl Backup {
    pub(super) fn adjust(&self, sources: &mut Sources) {
        match &self.step {
            None => self.opening.choose(sources),
            Some(Step::Verify(verify)) => verify.adjust(sources),
        }
    }

    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<ExitCode, Failure> {
        if let Some(Step::Verify(verify)) = self.step {
            return verify.run(config, output).await;
        }
        let Some(file) = self.file else {
            return Err(Failure::usage("Name the file to make."));
        };
        if file.exists() {
            return Err(Failure::usage(format!(
                "{} is there already: name a new file.",
                file.display()
            )));
        }
        let console = Console::open(config).await?;
        let kept = keep(&console.client, file).await;
        console.close().await;
        let kept = kept?;
        output.show(&kept, || {
            format!(
                "The backup of {} at revision {} is in {}, {} bytes. Check it: strongroom operator backup verify {}",
                kept.backup.at,
                kept.backup.revision,
                kept.file.display(),
                kept.bytes,
                kept.file.display()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Under another name until it is whole and durable.
async fn keep(client: &Client, path: PathBuf) -> Result<Kept, Failure> {
    let unwritten = |error: &std::io::Error| Failure::local("The backup cannot be written", error);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    let file = builder.prefix(".strongroom-backup-").tempfile_in(folder);
    let mut file = file.map_err(|error| unwritten(&error))?;
    let (mut parts, mut bytes) = (client.backup().await?, 0);
    let broken_off =
        |error| Failure::from(error).help("The backup was broken off, and no file is kept. The server's log says why.");
    while let Some(part) = parts.next().await.map_err(broken_off)? {
        let part = part.as_ref();
        file.write_all(part).map_err(|error| unwritten(&error))?;
        bytes += part.len() as u64;
    }
    file.as_file().sync_all().map_err(|error| unwritten(&error))?;
    let written = file.reopen().map_err(|error| unwritten(&error))?;
    let written = BackupFile::read(Box::new(tokio::fs::File::from_std(written))).await;
    let stamp = written.map_err(failed)?.stamp();
    file.persist_noclobber(&path).map_err(|error| unwritten(&error.error))?;
    let folder = File::open(folder).and_then(|folder| folder.sync_all());
    folder.map_err(|error| unwritten(&error))?;
    let backup = BackupKept {
        id: stamp.id,
        at: stamp.at,
        revision: stamp.revision.0,
    };
    record(client, &backup).await?;
    Ok(Kept {
        file: path,
        bytes,
        backup,
    })
}

/// The backup is worth a second try: a busy store takes it later.
async fn record(client: &Client, backup: &BackupKept) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        match client.backup_kept(backup).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_passing() && tries < TRIES => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                let help = "The backup is whole and in its file; it is not on record as kept.";
                return Err(Failure::from(error).help(help));
            }
        }
        tries += 1;
    }
}
