//! What went wrong, and the exit code that says so.

use std::io::Write as _;
use std::process::ExitCode;

use strongroom_api::Problem;
use strongroom_api::batch::Failed;
use strongroom_api::client::{Error, reqwest};
use strongroom_domain::Code;

pub(crate) const USAGE: u8 = 1;
pub(crate) const SERVER: u8 = 2;
const NOT_FOUND: u8 = 3;
const DENIED: u8 = 4;
pub(crate) const CONFLICT: u8 = 5;
pub(crate) const CHECK_FAILED: u8 = 6;

#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    detail: String,
    help: Option<String>,
    request_id: Option<String>,
    denial_id: Option<String>,
    passing: bool,
    unsent: Option<Box<reqwest::Request>>,
}

impl Failure {
    fn new(exit: u8, detail: impl Into<String>) -> Self {
        Self {
            exit,
            detail: detail.into(),
            help: None,
            request_id: None,
            denial_id: None,
            passing: false,
            unsent: None,
        }
    }

    /// What was asked for cannot be done as asked.
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self::new(USAGE, detail)
    }

    pub(crate) fn denied(detail: impl Into<String>) -> Self {
        Self::new(DENIED, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(NOT_FOUND, detail)
    }

    /// The answer was a no, and is told already.
    pub(crate) fn answered_no() -> Self {
        Self::new(DENIED, String::new())
    }

    /// What was looked at is not as it should be, and that is told already.
    pub(crate) fn check_failed() -> Self {
        Self::new(CHECK_FAILED, String::new())
    }

    /// The server answers as no server of ours does.
    pub(crate) fn unexpected(detail: impl Into<String>) -> Self {
        Self::new(SERVER, detail)
    }

    /// A file or stream of this machine; `doing` names it.
    pub(crate) fn local(doing: &str, error: &std::io::Error) -> Self {
        Self::new(USAGE, format!("{doing}: {error}."))
    }

    /// A signal came; the exit code is what a shell gives for it.
    pub(crate) fn interrupted(signal: i32, what: &str) -> Self {
        let exit = u8::try_from(128 + signal).unwrap_or(USAGE);
        Self::new(exit, format!("Ended by signal {signal}. {what}"))
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, said of one path among several.
    pub(crate) fn at(mut self, path: &str) -> Self {
        let start = format!("{path}: ");
        // The server says it of writes, too.
        if !self.detail.starts_with(&start) {
            self.detail.insert_str(0, &start);
        }
        self
    }

    /// Whether trying again may help.
    pub(crate) fn is_passing(&self) -> bool {
        self.passing
    }

    /// The same with another exit code.
    pub(crate) fn exiting(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// What was to be shown instead of sent, which is no failure at all.
    pub(crate) fn unsent(&self) -> Option<&reqwest::Request> {
        self.unsent.as_deref()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.exit.into()
    }

    /// To stderr. That stderr is closed is nothing to fail for.
    pub(crate) fn report(&self) {
        let lines = [
            ("error", Some(&self.detail).filter(|detail| !detail.is_empty())),
            ("help", self.help.as_ref()),
            ("denial id", self.denial_id.as_ref()),
            ("request id", self.request_id.as_ref()),
        ];
        let mut stderr = std::io::stderr().lock();
        for (name, text) in lines {
            if let Some(text) = text {
                drop(writeln!(stderr, "{name}: {text}"));
            }
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.status {
            400 | 405 | 413 | 415 | 422 => USAGE,
            401 | 403 => DENIED,
            404 | 410 => NOT_FOUND,
            409 | 412 => CONFLICT,
            _ => SERVER,
        };
        let given = |text: &String| !text.is_empty();
        // The server's word is for who writes requests.
        let help = if problem.code == Code::Unauthenticated.name() {
            "The token is not valid, or not any more: run 'strongroom login', or give another one.".to_owned()
        } else {
            problem.help.clone()
        };
        Self {
            exit,
            detail: problem.to_string(),
            help: Some(help).filter(given),
            request_id: Some(problem.request_id).filter(given),
            denial_id: problem.denial_id,
            passing: false,
            unsent: None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let passing = error.is_passing();
        let failure = match error {
            Error::Problem(problem) => Self::from(*problem),
            Error::Address(_) | Error::Token | Error::Certificate(_) => Self::usage(error.to_string()),
            Error::Network(_) => Self::new(SERVER, error.to_string())
                .help("Is the server running, and is --addr (or STRONGROOM_ADDR) its address?"),
            Error::Unexpected(_) => Self::new(SERVER, error.to_string()),
            Error::Unsent(request) => Self {
                unsent: Some(request),
                ..Self::new(0, String::new())
            },
        };
        Self { passing, ..failure }
    }
}

/// One item of a batch.
impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        Self::from(Error::Problem(failed.error)).at(&failed.path)
    }
}

/// What opening a configuration, a store or an installation says, in a sentence.
impl From<String> for Failure {
    fn from(detail: String) -> Self {
        Self::new(SERVER, detail)
    }
}

/// A path or name that the domain refuses before anything is sent.
impl From<strongroom_domain::Error> for Failure {
    fn from(error: strongroom_domain::Error) -> Self {
        Self::usage(error.detail).help(error.code.help())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_status() {
        let exit = |status| {
            let error = strongroom_domain::Error::from(Code::Internal);
            Failure::from(Error::Problem(Box::new(Problem::new(&error, status, "")))).exit
        };
        let codes: Vec<u8> = [400, 401, 403, 404, 409, 500, 503].into_iter().map(exit).collect();
        assert_eq!(codes, [1, 4, 4, 3, 5, 2, 2]);
        assert_eq!(Failure::from(Error::Network(String::new())).exit, 2);
    }
}
