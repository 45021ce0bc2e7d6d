//! `dev`: everything in one directory, persistent, made at first start.

pub(crate) mod certificates;

use std::path::{Path, PathBuf};

use strongroom_crypto::Unlock;

use crate::config::{Config, StoreChoice, UnlockSource};
use crate::operator::init;
use crate::serve::{Running, start};
use crate::wiring::{open_broker, open_store};
use crate::{files, migrate};

pub(crate) struct Paths {
    pub(crate) root_key: PathBuf,
    pub(crate) root_token: PathBuf,
}

pub(crate) fn paths(directory: &Path) -> Paths {
    Paths {
        root_key: directory.join("root-key"),
        root_token: directory.join("root-token"),
    }
}

/// Everything of ours is in it, and nothing of it belongs in a repository.
pub(crate) fn make_directory(directory: &Path) -> Result<(), String> {
    files::make_directory(directory)
        .map_err(|error| format!("The data directory {} cannot be made: {error}.", directory.display()))?;
    let ignore = directory.join(".gitignore");
    if !ignore.exists() {
        files::write_new(&ignore, "*").map_err(|error| format!("{} cannot be made: {error}.", ignore.display()))?;
    }
    Ok(())
}

/// Makes what is missing, and serves.
pub(crate) async fn run(config: &Config, directory: &Path, store: &StoreChoice) -> Result<Running, String> {
    migrate::up(store, false).await?;
    let paths = paths(directory);
    let store = open_store(store).await?;
    let unlock = if paths.root_key.exists() {
        UnlockSource::root_key(paths.root_key).read()?
    } else if init::initialised(&store).await? {
        return Err(format!(
            "The store is initialised, and {} is not there: put its root key in its place, or make another: 'strongroom \
             operator slots add' with the recovery key.",
            paths.root_key.display()
        ));
    } else {
        Unlock::RootKey(init::make_root_key(&paths.root_key)?)
    };
    let token = init::TokenPlace::File(&paths.root_token);
    init::initialise_once(&store, std::slice::from_ref(&unlock), token).await?;
    start(config, open_broker(config, store, &unlock).await?).await
}

/// What to paste next.
pub(crate) fn examples(address: &str, directory: &Path, ca: Option<&Path>) -> String {
    let token = paths(directory).root_token.display().to_string();
    let (trusted, curl) = ca.map_or_else(Default::default, |ca| {
        let ca = ca.display();
        (format!(" STRONGROOM_CACERT={ca}"), format!(" --cacert {ca}"))
    });
    format!(
        "Strongroom is ready on {address}. Its files, the root token among them, are in {}.\n\n  \
         export STRONGROOM_ADDR={address}{trusted} STRONGROOM_TOKEN_FILE={token}\n  \
         echo -n s3cr3t | strongroom put payments/prod/api-key -\n  \
         strongroom get payments/prod/api-key\n  \
         curl{curl} -H \"Authorization: Bearer $(cat {token})\" {address}/api/v1/secrets/payments/prod/api-key\n",
        directory.display()
    )
}
