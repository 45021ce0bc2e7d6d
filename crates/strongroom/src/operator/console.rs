//! Where an operator's verb is done: by the server that runs on this data directory, else by one that lives in this
//! process for as long as the verb. Both are asked by the control socket, so that a verb is written once.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use strongroom_api::client::Client;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::client::failure::Failure;
use crate::config::{Config, StoreChoice};
use crate::control;
use crate::serve::{Console as Served, console};
use crate::wiring::{open_broker, open_store};

pub(crate) struct Console {
    pub(crate) client: Client,
    served: Option<(Served, TempDir)>,
}

impl Console {
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        if let Some(client) = running(config).await? {
            return Ok(Self { client, served: None });
        }
        let unlock = super::unlock(config)?;
        let store = open_store(&config.store).await?;
        let broker = open_broker(config, store, &unlock).await?;
        let folder = tempfile::tempdir().map_err(|error| Failure::local("No folder can be made", &error))?;
        let served = console(config, broker, folder.path())?;
        Ok(Self {
            client: at(folder.path())?,
            served: Some((served, folder)),
        })
    }

    /// Ends what was started for this.
    pub(crate) async fn close(self) {
        if let Some((served, _folder)) = self.served {
            served.stop().await;
        }
    }
}

/// The server that runs on this data directory, if one does.
pub(crate) async fn running(config: &Config) -> Result<Option<Client>, Failure> {
    let StoreChoice::Sqlite(directory) = &config.store else {
        return Ok(None);
    };
    // Whoever can write there could listen in the server's place.
    let mode = std::fs::metadata(directory).map_or(0, |found| found.mode());
    if mode & 0o022 != 0 {
        let name = directory.display();
        return Err(
            Failure::usage(format!("Others can write to the data directory {name}."))
                .help(format!("Run 'chmod go-w {name}', and see who did.")),
        );
    }
    match UnixStream::connect(control::path(directory)).await {
        Ok(_) => Ok(Some(at(directory)?)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        // Too long a name: no server of ours has made it.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(Failure::local("The server's control socket cannot be used", &error)
            .help("Run this as the user that the server runs as, or as root.")),
    }
}

fn at(directory: &Path) -> Result<Client, Failure> {
    Ok(Client::on_socket(&control::path(directory))?)
}
