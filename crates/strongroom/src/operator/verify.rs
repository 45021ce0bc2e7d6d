//! `operator backup verify`: a backup is worth what can be restored from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use strongroom_broker::{BackupFile, Source, Verified, verify};

use super::{Opening, failed};
use crate::client::failure::{CHECK_FAILED, Failure};
use crate::client::output::Output;
use crate::config::{Config, Sources, StoreChoice};
use crate::migrate;
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store_to_fill;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    file: PathBuf,
    /// Where to make the scratch folder: it takes about as much room as the backup, and holds nothing in clear
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
}

pub(super) async fn open(file: &Path) -> Result<BackupFile, Failure> {
    let source = tokio::fs::File::open(file).await;
    let source: Source = Box::new(source.map_err(|error| Failure::local("The backup cannot be read", &error))?);
    BackupFile::read(source).await.map_err(failed)
}

fn text(found: &Verified) -> String {
    let counts = &found.counts;
    let mut text = format!(
        "The backup of {} at revision {}: {} records, {} versions ({} opened, the others are destroyed), {} audit batches \
         with {} entries.\n",
        found.at, found.revision, counts.records, counts.versions, found.opened, found.batches, counts.entries
    );
    match found.failed {
        0 => text.push_str("It is whole: everything in it holds."),
        failed => {
            let _ = write!(text, "{failed} checks FAILED:\n{}", found.failures.join("\n"));
        }
    }
    text
}

impl Verify {
    /// No store is needed: the scratch one is in a folder of its own.
    pub(super) fn adjust(&self, sources: &mut Sources) {
        sources.forget_store();
        self.opening.choose(sources);
    }

    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<ExitCode, Failure> {
        let unlock = config.unlock()?.read()?;
        let file = open(&self.file).await?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("strongroom-verify-");
        let folder = match &self.scratch {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        let folder = folder.map_err(|error| Failure::local("The scratch folder cannot be made", &error))?;
        let scratch = StoreChoice::Sqlite(folder.path().to_owned());
        migrate::up(&scratch, false).await?;
        let store = open_store_to_fill(&scratch).await?;
        let keys = file.unlock([&unlock], store.schema()).map_err(failed)?;
        let found = verify(&store, &SystemClock::start(), &SystemEntropy, file, &keys).await;
        let found = found.map_err(failed)?;
        output.show(&found, || text(&found))?;
        Ok(ExitCode::from(if found.failed == 0 { 0 } else { CHECK_FAILED }))
    }
}
