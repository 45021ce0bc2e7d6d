//! The program. See `strongroom --help`.

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use strongroom::command::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) fn main() -> ExitCode {
    // Key bytes must not reach a core file, and files of ours are ours alone.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    // One provider for everything that speaks TLS. A second install can only be the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            let error = without_values(error);
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(1)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command.run()),
        Err(_) => ExitCode::from(2),
    }
}

/// The parser repeats what it does not understand, which may be a value that somebody took for an argument.
fn without_values(mut error: Error) -> Error {
    let masked = || ContextValue::String("…".to_owned());
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, masked());
    }
    let unknown = error.get(ContextKind::InvalidArg).map(ContextValue::to_string);
    if error.kind() == ErrorKind::UnknownArgument && unknown.is_some_and(|text| !looks_like_an_option(&text)) {
        error.insert(ContextKind::InvalidArg, masked());
        error.remove(ContextKind::Suggested);
    }
    error
}

/// A misspelt one should be told.
fn looks_like_an_option(text: &str) -> bool {
    let word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    text.strip_prefix("--").map_or(text.len() == 2, word)
}
