//! What is told of files that are looked at, without a server; exit code 6: there is something.

use serde::Serialize;

use super::failure::Failure;
use super::output::Output;

/// What was found.
#[derive(Serialize)]
pub(super) struct Findings {
    pub(super) findings: Vec<String>,
}

impl Findings {
    pub(super) fn told(self, output: &Output, fine: &str) -> Result<(), Failure> {
        output.show(&self, || {
            if self.findings.is_empty() {
                fine.to_owned()
            } else {
                self.findings
                    .join("\n")
                    .replace(|c: char| c.is_control() && c != '\n', "?")
            }
        })?;
        if self.findings.is_empty() {
            Ok(())
        } else {
            Err(Failure::check_failed())
        }
    }
}
