//! `operator init`: keys and root token, once.

#![expect(clippy::print_stderr, reason = "this is the program's own voice")]

use std::io::{ErrorKind, IsTerminal as _, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use strongroom_broker::{Initialised, initialise, new_root_token};
use strongroom_crypto::{RecoveryKey, RootKey, Unlock};
use strongroom_domain::{Kind, SlotMethod};
use strongroom_ports::{Clock as _, Entropy, Store};

use crate::client::failure::Failure;
use crate::client::output::{line, warn};
use crate::config::{Config, SecretSource, UnlockSource};
use crate::files;
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to write the root token; without it, it is shown on the terminal.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// A file with a token that was made elsewhere; it holds from now on.
    #[arg(long = "given-token-file", value_name = "FILE", conflicts_with = "token_file")]
    given_token: Option<PathBuf>,
    /// Where to write the recovery key; without it, it is shown on the terminal.
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
}

impl Init {
    /// The root key's file is made if it is not there; an initialised store never gets a second key. Token and recovery
    /// key go to a file or a terminal, nowhere else.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let store = open_store(&config.store).await?;
        if initialised(&store).await? {
            warn("the installation was initialised before; nothing was changed");
            return Ok(());
        }
        let token = match (&self.given_token, &self.token_file) {
            (Some(file), _) => TokenPlace::Given(file),
            (None, Some(file)) => TokenPlace::File(file),
            (None, None) if stdout().is_terminal() => TokenPlace::Terminal,
            (None, None) => {
                return Err(Failure::usage(
                    "The root token is shown on a terminal or written with --token-file; this is neither.",
                ));
            }
        };
        let mut unlocks = vec![first_unlock(config.unlock()?)?];
        let recovery = self.recovery_key()?;
        if let Some(key) = &recovery {
            unlocks.push(Unlock::Recovery(
                RecoveryKey::parse(key.text()).map_err(|error| error.to_string())?,
            ));
        }
        match initialise_once(&store, &unlocks, token).await? {
            Done::Before => warn("the installation was initialised by another; files that this made open nothing"),
            Done::Written => {
                eprintln!("Initialised. The root token is in its file: lock it away once others can administer.");
                show_recovery(recovery)?;
            }
            Done::Show(token) => {
                eprintln!("Initialised. This is the root token; it is shown this once:");
                line(token.expose_secret().as_bytes())?;
                show_recovery(recovery)?;
            }
        }
        Ok(())
    }

    fn recovery_key(&self) -> Result<Option<Kept>, String> {
        if self.recovery_key_file.is_none() && !stdout().is_terminal() {
            return Ok(None);
        }
        let fresh = RecoveryKey::new(random()).to_text();
        let ours = |text: &str| RecoveryKey::parse(text).is_ok();
        Kept::new(
            self.recovery_key_file.as_deref(),
            fresh.as_str().into(),
            "recovery key",
            ours,
        )
        .map(Some)
    }
}

fn show_recovery(recovery: Option<Kept>) -> Result<(), Failure> {
    match recovery {
        None => eprintln!(
            "There is no recovery key: if the root key is lost, so is everything. Make one with 'strongroom operator slots \
             add safe --method recovery'."
        ),
        Some(Kept::Shown(key)) => {
            eprintln!(
                "This is the recovery key: it opens the installation when the root key is lost. It is shown this"
            );
            eprintln!("once; write it down and lock it away:");
            line(key.expose_secret().as_bytes())?;
        }
        Some(Kept::Written(_)) => eprintln!("The recovery key is in its file: lock it away, off this machine."),
    }
    Ok(())
}

/// What is to open the new installation. A root key's file is made.
pub(super) fn first_unlock(source: &UnlockSource) -> Result<Unlock, String> {
    match (source.method, &source.from) {
        (SlotMethod::Recovery, _) => {
            Err("A recovery key does not open a new installation: set 'root_key_file'.".into())
        }
        (SlotMethod::File, SecretSource::File(path)) if !path.exists() => make_root_key(path).map(Unlock::RootKey),
        _ => source.read(),
    }
}

fn random() -> [u8; 32] {
    let entropy: &dyn Entropy = &SystemEntropy;
    entropy.bytes()
}

/// Makes a new root key in a file of its own.
pub(crate) fn make_root_key(path: &Path) -> Result<RootKey, String> {
    let key = RootKey::new(random());
    files::write_new(path, &key.to_text())
        .map_err(|error| format!("The root key file {} cannot be made: {error}.", path.display()))?;
    Ok(key)
}

pub(crate) async fn initialised(store: &Arc<dyn Store>) -> Result<bool, String> {
    let slots = store.of_kind(SystemClock::start().now(), Kind::KeySlot).await;
    Ok(!slots.map_err(|error| format!("{error:?}"))?.value.is_empty())
}

/// Something that is told once, on the terminal or in a file. The file is written before what it says holds, and one of
/// ours that is there already is taken: a crash in between leaves a file that opens nothing yet, never an installation that
/// nobody can open.
enum Kept {
    Shown(SecretString),
    Written(SecretString),
}

impl Kept {
    fn new(path: Option<&Path>, fresh: SecretString, what: &str, ours: impl Fn(&str) -> bool) -> Result<Self, String> {
        let Some(path) = path else {
            return Ok(Self::Shown(fresh));
        };
        let failed = |done: &str, error| format!("The {what} file {} cannot be {done}: {error}.", path.display());
        match files::write_new(path, fresh.expose_secret()) {
            Ok(()) => return Ok(Self::Written(fresh)),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed("made", error)),
            Err(_) => {}
        }
        let text = files::read_own(path).map_err(|error| failed("taken", error))?;
        if ours(&text) {
            Ok(Self::Written(text.as_str().into()))
        } else {
            Err(format!("{} holds no {what} of ours; name a new file.", path.display()))
        }
    }

    fn given(path: &Path, ours: impl Fn(&str) -> bool) -> Result<Self, String> {
        let text = files::read_secret(path);
        let text = text.map_err(|error| format!("The token file {} cannot be read: {error}.", path.display()))?;
        if ours(&text) {
            Ok(Self::Written(text.as_str().into()))
        } else {
            Err(format!("{} holds no token of ours.", path.display()))
        }
    }

    fn text(&self) -> &str {
        let (Self::Shown(text) | Self::Written(text)) = self;
        text.expose_secret()
    }
}

/// Where the root token goes, or comes from.
#[derive(Clone, Copy)]
pub(crate) enum TokenPlace<'a> {
    Terminal,
    File(&'a Path),
    /// Made elsewhere: that it is there is its owner's word.
    Given(&'a Path),
}

pub(crate) enum Done {
    Before,
    /// The token was written to its file.
    Written,
    /// To be shown on the terminal.
    Show(SecretString),
}

/// Initialises unless that was done before.
pub(crate) async fn initialise_once(
    store: &Arc<dyn Store>,
    unlocks: &[Unlock],
    place: TokenPlace<'_>,
) -> Result<Done, String> {
    if initialised(store).await? {
        return Ok(Done::Before);
    }
    let fresh = new_root_token(&SystemEntropy);
    let length = fresh.expose_secret().len();
    let ours = |text: &str| text.len() == length && text.starts_with("srs_");
    let token = match place {
        TokenPlace::Terminal => Kept::Shown(fresh),
        TokenPlace::File(path) => Kept::new(Some(path), fresh, "token", ours)?,
        TokenPlace::Given(path) => Kept::given(path, ours)?,
    };
    let text = SecretString::from(token.text());
    match initialise(store, &SystemClock::start(), &SystemEntropy, unlocks, &text).await {
        Ok(Initialised::Now) => Ok(match token {
            Kept::Shown(text) => Done::Show(text),
            Kept::Written(_) => Done::Written,
        }),
        // Files stay: of two at once with the same names, the one that won has taken them for its own.
        Ok(Initialised::Before) => Ok(Done::Before),
        Err(error) => Err(error.detail),
    }
}
