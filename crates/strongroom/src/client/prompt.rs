//! A value that is typed at the terminal and not seen there.

use std::io::{self, IsTerminal as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::input::Bytes;

/// What is chosen here and not seen is asked for twice.
pub(crate) fn twice(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let (first, second) = (value(prompt)?, value("The same again: ")?);
    if first != second {
        return Err(Failure::usage("The two are not the same. Nothing was changed."));
    }
    let text = std::str::from_utf8(&first).map_err(|_| Failure::usage("It is not UTF-8 text."))?;
    Ok(Zeroizing::new(text.to_owned()))
}

pub(super) fn value(prompt: &str) -> Result<Bytes, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("There is no value, and no terminal to ask at.").help("Write '-' to read stdin."));
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
