//! A value that is typed at the terminal and not seen there.

use std::io::{self, IsTerminal as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::input::Bytes;

/// `otherwise`: what to do where there is no terminal.
pub(super) fn value(prompt: &str, otherwise: &str) -> Result<Bytes, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("There is no value, and no terminal to ask at.").help(otherwise));
    }
    let failed = |error| Failure::local("Cannot read from the terminal", &error);
    let unseen = Unseen::start().map_err(failed)?;
    let typed = rpassword::prompt_password(prompt).map_err(failed)?;
    drop(unseen);
    Ok(Zeroizing::new(typed.into_bytes()))
}

/// No echo for as long as this lives. rpassword switches it off only after the prompt stands there, and what is pasted at
/// once would be seen.
struct Unseen {
    before: Termios,
}

impl Unseen {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &unseen)?;
        Ok(Self { before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
