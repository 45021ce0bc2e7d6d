//! `strongroom edit`

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use strongroom_api::With;
use strongroom_api::secrets::{ReadQuery, WriteOptions, Written};
use strongroom_domain::{Payload, PayloadKind, SecretPath};
use tokio::sync::mpsc::UnboundedReceiver;
use zeroize::Zeroize as _;

use super::child;
use super::environment::Environment;
use super::failure::Failure;
use super::input::Bytes;
use super::scratch::Scratch;
use super::session::{self, Session};

/// Change a secret's value in an editor
///
/// Opens $VISUAL or else $EDITOR or else vi with the current value. An unchanged value is not written, nor one where
/// somebody else has written meanwhile; then what you wrote is kept, and you are told where. If the value did not end in
/// a newline, one that the editor adds is taken off again.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// The secret's path
    pub(super) path: String,
    /// The folder in memory below which the editor finds the plaintext; one on a disk would leave it there
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm")]
    scratch: PathBuf,
}

impl Edit {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        let secret = session.client.read(&path, &ReadQuery::default()).await?;
        let seen = secret.fields.version;
        let old = Payload::try_from(secret.payload)?;
        let name = match old.kind {
            PayloadKind::Text => "value.txt",
            PayloadKind::Json => "value.json",
            PayloadKind::Bytes => return Err(Failure::usage("The value is binary, which an editor would spoil.")),
        };
        // Before there is plaintext: from here on a signal cannot end us without it being removed.
        let mut signals = child::listen().map_err(|error| Failure::local("Cannot listen for signals", &error))?;
        let scratch = Scratch::new(&self.scratch, name, &old.bytes)?;
        let new = edit(&scratch, &old, &mut signals).await?;
        if new == old.bytes {
            return session.output.done("Nothing was changed.");
        }
        let written = tokio::select! {
            written = write(session, &path, old.kind, &new, seen) => written,
            Some(signal) = signals.recv() => {
                return Err(Failure::interrupted(signal.as_raw(), "'history' shows whether it was written."));
            }
        };
        match written {
            Ok(written) => session.output.show(&written, || {
                format!("{} is at version {} now.", written.path, written.version)
            }),
            Err(failure) => {
                let json = if old.kind == PayloadKind::Json { " --json" } else { "" };
                let file = scratch.keep(&new)?;
                let file = file.display();
                Err(failure.help(format!(
                    "What you wrote is kept in {file}: 'strongroom put {path} @{file}{json}' writes it over what is \
                     there. Remove it with its folder when you are done."
                )))
            }
        }
    }
}

/// What the editor leaves behind.
async fn edit(scratch: &Scratch, old: &Payload, signals: &mut UnboundedReceiver<Signal>) -> Result<Bytes, Failure> {
    let editor = session::editor()?;
    let command = command(&editor, scratch.file());
    let failed = |error| Failure::local("Cannot run the editor", &error);
    let mut child = child::start(&command, &Environment::default()).map_err(failed)?;
    let (status, passed_on) = child::wait(&mut child, signals).await.map_err(failed)?;
    if let Some(signal) = passed_on.map(Signal::as_raw).or(status.signal()) {
        return Err(Failure::interrupted(signal, "Nothing was written."));
    }
    if !status.success() {
        return Err(Failure::usage(format!(
            "The editor failed with exit code {}; nothing was written.",
            status.code().unwrap_or_default()
        ))
        .help("VISUAL or EDITOR names the one to use."));
    }
    let mut new = scratch.read()?;
    if new.ends_with(b"\n") && !old.bytes.ends_with(b"\n") {
        new.pop();
    }
    Ok(new)
}

/// By way of a shell, since the variable may hold arguments; the editor takes its place and gets the signals.
fn command(editor: &str, file: &Path) -> [OsString; 5] {
    let script = format!("exec {editor} \"$@\"");
    ["sh".into(), "-c".into(), script.into(), editor.into(), file.into()]
}

async fn write(
    session: &Session,
    path: &SecretPath,
    kind: PayloadKind,
    new: &Bytes,
    seen: i64,
) -> Result<Written, Failure> {
    let text = String::from_utf8(new.to_vec()).map_err(|error| {
        error.into_bytes().zeroize();
        Failure::usage("What you wrote is not UTF-8 text.")
    })?;
    let payload = match kind {
        PayloadKind::Json => Payload::json(text)
            .map_err(|_| Failure::usage("What you wrote is no JSON object, or one that is nested too deeply."))?,
        PayloadKind::Text | PayloadKind::Bytes => Payload::text(text),
    };
    let options = WriteOptions {
        cas: Some(seen),
        ..WriteOptions::default()
    };
    Ok(session.client.write(path, &With::new(payload, options)?).await?)
}
