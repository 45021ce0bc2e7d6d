//! `operator init`: keys and root token, once.

use std::io::{IsTerminal, stdout};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use strongroom_broker::{Initialised, initialise};
use strongroom_crypto::RootKey;
use strongroom_domain::Kind;
use strongroom_ports::{Clock as _, Entropy as _};

use crate::config::{Config, RootKeySource};
use crate::files;
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store;

pub(crate) enum Done {
    Before,
    /// The token was written to its file.
    Written,
    /// To be shown on the terminal.
    Show(SecretString),
}

/// Makes a new root key in a file of its own.
pub(crate) fn make_root_key(path: &Path) -> Result<RootKey, String> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    SystemEntropy.fill(bytes.as_mut());
    let key = RootKey::new(*bytes);
    files::write_new(path, &key.to_text())
        .map_err(|error| format!("The root key file {} cannot be made: {error}.", path.display()))?;
    Ok(key)
}

/// Initialises the store that the configuration names. The root key's file is made if it is not there; an initialised
/// store never gets a second key. The token goes to a file or a terminal, nowhere else.
pub(crate) async fn init(config: &Config, token_file: Option<&Path>) -> Result<Done, String> {
    let store = open_store(&config.store).await?;
    let clock = SystemClock::start();
    let slots = store
        .of_kind(clock.now(), Kind::KeySlot)
        .await
        .map_err(|error| format!("{error:?}"))?;
    if !slots.value.is_empty() {
        return Ok(Done::Before);
    }
    if token_file.is_none() && !stdout().is_terminal() {
        return Err("The root token is shown on a terminal or written with --token-file; this is neither.".into());
    }
    let root_key = match &config.root_key {
        None => return Err("Say where the root key is to be: set 'root_key_file'.".into()),
        Some(RootKeySource::File(path)) if !path.exists() => make_root_key(path)?,
        Some(source) => source.read()?,
    };
    if let Some(path) = token_file
        && path.exists()
    {
        return Err(format!("{} is there already; name a new file.", path.display()));
    }
    match initialise(&store, &clock, &SystemEntropy, &root_key)
        .await
        .map_err(|error| error.detail)?
    {
        Initialised::Before => Ok(Done::Before),
        Initialised::Now(token) => match token_file {
            None => Ok(Done::Show(token)),
            Some(path) => files::write_new(path, token.expose_secret())
                .map(|()| Done::Written)
                .map_err(|error| format!("The token file {} cannot be made: {error}.", path.display())),
        },
    }
}
