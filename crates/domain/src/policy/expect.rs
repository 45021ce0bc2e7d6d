//! What policies are expected to decide, one line each, to be tried without a server.

use std::net::IpAddr;

use super::{Capability, Decision, Policy, explain, explain_anywhere, in_words, path_meant};
use crate::access::Access;
use crate::{Error, Name, Result};

/// One line: `allow` or `deny`, a capability, a path, and perhaps `from` and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Counted from 1.
    pub line: usize,
    pub allowed: bool,
    pub capability: Capability,
    pub path: String,
    pub from: Option<IpAddr>,
}

/// Reads a file of expectations; blank lines and those that begin with `#` say nothing.
pub fn expectations(text: &str) -> Result<Vec<Expectation>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, text)| {
            one(line, text).ok_or_else(|| {
                Error::invalid(format!(
                    "Line {line} is not 'allow CAPABILITY PATH' or 'deny CAPABILITY PATH', perhaps with 'from ADDRESS'."
                ))
            })
        })
        .collect()
}

fn one(line: usize, text: &str) -> Option<Expectation> {
    let (text, from) = match text.rsplit_once(" from ") {
        Some((text, from)) => (text, Some(from.trim().parse().ok()?)),
        None => (text, None),
    };
    let (outcome, rest) = text.split_once(char::is_whitespace)?;
    let (capability, path) = rest.trim_start().split_once(char::is_whitespace)?;
    Some(Expectation {
        line,
        allowed: match outcome {
            "allow" => true,
            "deny" => false,
            _ => return None,
        },
        capability: Capability::granted(capability)?,
        path: path_meant(path.trim()).ok()?,
        from,
    })
}

impl Expectation {
    /// None: it is as expected. Without an address, from anywhere.
    pub fn disappointed(&self, policies: &[(Name, Policy)]) -> Option<String> {
        let needs = Access::needs_of(&self.path, self.capability);
        let found = match self.from {
            None => explain_anywhere(policies, &needs),
            from => explain(policies, &needs, from),
        };
        let as_expected = (found.decision == Decision::Allow) == self.allowed;
        (!as_expected).then(|| {
            let said = in_words(self.capability, &self.path, Some(&found));
            format!("line {}: {said}", self.line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Rule;
    use crate::{Network, Time};

    #[test]
    fn lines_are_tried_one_by_one() {
        let near = Rule {
            networks: vec![Network::parse("10.0.0.0/8").unwrap()],
            ..Rule::new("secret/near", [Capability::Read])
        };
        let policy = Policy::new(vec![Rule::new("secret/a/*", [Capability::Read]), near], Time(0));
        let policies = [(Name::parse("p").unwrap(), policy)];
        let text = "# payments\n\nallow read a/b c\nallow read secret/a/b from 10.0.0.1\n deny  list a/b \ndeny read b\nallow read near\ndeny read near from 11.0.0.1\n";
        let read = expectations(text).unwrap();
        assert_eq!(read.len(), 6);
        assert_eq!((read[0].line, read[0].path.as_str()), (3, "secret/a/b c"));
        assert!(read.iter().all(|line| line.disappointed(&policies).is_none()));
        let wrong = expectations("allow list a/b\ndeny read a/b\nallow read near from 11.0.0.1").unwrap();
        let said: Vec<String> = wrong.iter().filter_map(|line| line.disappointed(&policies)).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(
            said[0].starts_with("line 1: 'list' on 'secret/a/b' is not granted."),
            "{}",
            said[0]
        );
        for wrong in [
            "read a",
            "allow a",
            "allow deny a",
            "maybe read a",
            "allow read a//b",
            "allow read a from home",
        ] {
            assert!(expectations(wrong).unwrap_err().detail.contains("Line 1 "), "{wrong}");
        }
    }
}
