//! `strongroom password`, and how passwords are asked for.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use strongroom_api::auth::ChangePassword;

use super::failure::Failure;
use super::session::Session;
use super::{input, prompt};

const FILES: &str = "Give files that hold the passwords; '-' is stdin.";

/// Change your own password
///
/// Every token that was had for the old one ends, this login too.
#[derive(Debug, clap::Args)]
pub struct Password {
    /// The file that holds the current password; `-`: stdin; none: a prompt
    #[arg(long, value_name = "FILE")]
    current_file: Option<PathBuf>,
    /// The file that holds the new one; `-`: stdin; none: a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Password {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let asks = session.client.sends();
        let current_password = match &self.current_file {
            _ if !asks => "".into(),
            Some(file) => of_file(file)?,
            None => ask("Current password (not shown): ")?,
        };
        let password = new(self.password_file.as_deref(), asks)?;
        let body = ChangePassword {
            current_password,
            password,
        };
        session.client.change_password(&body).await?;
        session.output.done("The password is changed. Log in with the new one.")
    }
}

/// A new one. `asks`: whether it is needed at all.
pub(super) fn new(file: Option<&Path>, asks: bool) -> Result<SecretString, Failure> {
    if !asks {
        return Ok("".into());
    }
    if let Some(file) = file {
        return of_file(file);
    }
    twice("New password (not shown): ")
}

/// What is chosen and not seen is asked for twice.
pub(crate) fn twice(prompt: &str) -> Result<SecretString, Failure> {
    let (password, again) = (ask(prompt)?, ask("Once more (not shown): ")?);
    if password.expose_secret() == again.expose_secret() {
        Ok(password)
    } else {
        Err(Failure::usage("The two are not the same."))
    }
}

pub(super) fn ask(prompt: &str) -> Result<SecretString, Failure> {
    let typed = prompt::value(prompt, FILES)?;
    text(&typed)
}

/// Without the newline at its end.
pub(super) fn of_file(file: &Path) -> Result<SecretString, Failure> {
    text(&input::file_or_stdin(file)?)
}

fn text(bytes: &[u8]) -> Result<SecretString, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::usage("A password is UTF-8 text."))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}
