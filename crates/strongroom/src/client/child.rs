//! A child process that stands in for us: it gets the signals that we get, and we end as it ends.
//!
//! Spawned and waited for rather than exec'd: so one place tells why it could not start, and the environment that it
//! gets never becomes our own.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::environment::Environment;
use super::failure::Failure;
use super::session::is_credential;

const OWN_FAILURE: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NO_SUCH_COMMAND: u8 = 127;

const FORWARDED: [Signal; 6] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
];

pub(super) async fn run(command: &[OsString], environment: Environment) -> ExitCode {
    // Listening first: a signal that comes while the child starts reaches it too.
    let mut signals = match listen() {
        Ok(signals) => signals,
        Err(error) => return fail(OWN_FAILURE, "Cannot listen for signals", &error),
    };
    let started = start(command, &environment);
    drop(environment);
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let exit = if error.kind() == ErrorKind::NotFound {
                NO_SUCH_COMMAND
            } else {
                NOT_EXECUTABLE
            };
            let name = command
                .first()
                .map(|name| name.display().to_string())
                .unwrap_or_default();
            return fail(exit, &format!("Cannot run {name}"), &error);
        }
    };
    match wait(&mut child, &mut signals).await {
        Ok((status, _)) => exit_code(status),
        Err(error) => fail(OWN_FAILURE, "Cannot wait for the command", &error),
    }
}

/// Without our own credentials.
pub(super) fn start(command: &[OsString], environment: &Environment) -> io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_credential) {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter()).spawn()
}

/// From here on, signals end nothing by themselves: they wait here.
pub(super) fn listen() -> io::Result<UnboundedReceiver<Signal>> {
    let (sender, receiver) = unbounded_channel();
    for number in FORWARDED {
        let stream = signal(SignalKind::from_raw(number.as_raw()))?;
        tokio::spawn(relay(stream, number, sender.clone()));
    }
    Ok(receiver)
}

async fn relay(mut stream: tokio::signal::unix::Signal, number: Signal, sender: UnboundedSender<Signal>) {
    while stream.recv().await.is_some() && sender.send(number).is_ok() {}
}

/// How the child ended, and the last signal that was passed on to it.
pub(super) async fn wait(
    child: &mut Child,
    signals: &mut UnboundedReceiver<Signal>,
) -> io::Result<(ExitStatus, Option<Signal>)> {
    let mut passed_on = None;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    loop {
        // One task waits and sends, so a signal never goes to a process id that was reaped and given away.
        tokio::select! {
            status = child.wait() => return Ok((status?, passed_on)),
            Some(number) = signals.recv() => {
                if let Some(pid) = pid.filter(|_| !terminal_sent(number)) {
                    // It may have ended this moment, which `wait` tells next.
                    kill_process(pid, number).unwrap_or_default();
                    passed_on = Some(number);
                }
            }
        }
    }
}

/// Whether a signal came from the keyboard: then the terminal sent it to the child too, and many programs take a second
/// Ctrl-C as the order to end at once.
fn terminal_sent(number: Signal) -> bool {
    let from_keyboard = number == Signal::INT || number == Signal::QUIT;
    from_keyboard && rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(OWN_FAILURE)
        .into()
}

fn fail(exit: u8, doing: &str, error: &io::Error) -> ExitCode {
    Failure::local(doing, error).report();
    exit.into()
}

#[cfg(test)]
mod tests {
    use strongroom_domain::{Payload, SecretPath};

    use super::*;

    fn shell(script: &str) -> Vec<OsString> {
        ["sh", "-c", script].map(OsString::from).into()
    }

    async fn code(command: &[OsString]) -> ExitCode {
        let secret = (SecretPath::parse("p/api-key").unwrap(), Payload::text("a b\n".into()));
        run(command, Environment::of_folder([secret]).unwrap()).await
    }

    /// One test: signals reach the whole process, and so the children of tests beside this one.
    #[tokio::test]
    async fn ends_as_the_child_ends_and_passes_signals_on() {
        assert_eq!(code(&shell("exit 7")).await, 7.into());
        assert_eq!(code(&shell("kill -TERM $$")).await, 143.into());
        assert_eq!(code(&["/nonexistent/program".into()]).await, 127.into());
        assert_eq!(code(&["/etc/passwd".into()]).await, 126.into());
        assert_eq!(code(&shell("[ \"$API_KEY\" = 'a b\n' ]")).await, 0.into());

        let mut signals = listen().unwrap();
        let script = "trap 'exit 42' USR1; kill -USR1 $PPID; while :; do sleep 0.05; done";
        let mut child = start(&shell(script), &Environment::default()).unwrap();
        let (status, passed_on) = wait(&mut child, &mut signals).await.unwrap();
        assert_eq!((status.code(), passed_on), (Some(42), Some(Signal::USR1)));
    }
}
