//! `operator init`: keys and root token, once.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use strongroom_broker::{Initialised, initialise, new_root_token};
use strongroom_crypto::RootKey;
use strongroom_domain::Kind;
use strongroom_ports::{Clock as _, Entropy as _, Store};

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
    if initialised(&store).await? {
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
    initialise_once(&store, &root_key, token_file).await
}

pub(crate) async fn initialised(store: &Arc<dyn Store>) -> Result<bool, String> {
    let slots = store.of_kind(SystemClock::start().now(), Kind::KeySlot).await;
    Ok(!slots.map_err(|error| format!("{error:?}"))?.value.is_empty())
}

/// Initialises unless that was done before. The token's file is written first, and a token that is in it already is taken:
/// a crash in between leaves a token that holds nothing yet, never an installation without one.
pub(crate) async fn initialise_once(
    store: &Arc<dyn Store>,
    root_key: &RootKey,
    token_file: Option<&Path>,
) -> Result<Done, String> {
    if initialised(store).await? {
        return Ok(Done::Before);
    }
    let mut token = new_root_token(&SystemEntropy);
    let mut written = false;
    if let Some(path) = token_file {
        if path.exists() {
            token = read_token(path)?;
        } else {
            files::write_new(path, token.expose_secret())
                .map_err(|error| format!("The token file {} cannot be made: {error}.", path.display()))?;
            written = true;
        }
    }
    let done = initialise(store, &SystemClock::start(), &SystemEntropy, root_key, &token).await;
    match (done, token_file) {
        (Ok(Initialised::Now), None) => Ok(Done::Show(token)),
        (Ok(Initialised::Now), Some(_)) => Ok(Done::Written),
        (Ok(Initialised::Before), path) => {
            if let (Some(path), true) = (path, written) {
                let _ = std::fs::remove_file(path);
            }
            Ok(Done::Before)
        }
        (Err(error), _) => Err(error.detail),
    }
}

fn read_token(path: &Path) -> Result<SecretString, String> {
    let text = files::read_secret(path)
        .map_err(|error| format!("The token file {} cannot be read: {error}.", path.display()))?;
    let ours = text.len() == new_root_token(&SystemEntropy).expose_secret().len() && text.starts_with("srs_");
    if ours {
        Ok(SecretString::from(text.as_str()))
    } else {
        Err(format!("{} holds no token of ours; name a new file.", path.display()))
    }
}
