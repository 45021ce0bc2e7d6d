//! Policies: which capabilities on which paths. How they decide stands in [`decision`].

mod built_in;
mod compare;
mod decision;
mod expect;
mod explain;
mod lint;
mod template;
mod versions;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grant::MAX_NETWORKS;
use crate::{Code, Error, Network, Prefix, Result};

pub use built_in::{BUILT_IN, built_in};
pub use compare::{Change, Changes, changes};
pub use decision::{Decision, Need, PolicySet};
pub use expect::{Expectation, expectations};
pub use explain::{Deciding, Explanation, explain, explain_anywhere, in_words};
pub use lint::{Finding, lint};
pub use template::{Asker, for_asker, is_template, names_metadata};
pub use versions::{Policy, PolicyVersion};

/// Rules in one policy.
pub const MAX_RULES: usize = 256;
/// Bytes of a pattern.
pub const MAX_PATTERN: usize = 600;

/// What policy paths start with in the native layout.
pub const ROOTS: &[&str] = &["secret", "flag", "target", "lease", "sys"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    List,
    Destroy,
    Rotate,
    Manage,
    Sudo,
    Deny,
}

impl Capability {
    /// Every one but `deny`, which takes.
    pub const GRANTS: [Self; 10] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::List,
        Self::Destroy,
        Self::Rotate,
        Self::Manage,
        Self::Sudo,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Destroy => "destroy",
            Self::Rotate => "rotate",
            Self::Manage => "manage",
            Self::Sudo => "sudo",
            Self::Deny => "deny",
        }
    }

    /// The one of this name that a rule can grant.
    pub fn granted(name: &str) -> Option<Self> {
        Self::GRANTS.into_iter().find(|capability| capability.name() == name)
    }
}

/// Capabilities as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u16);

impl Capabilities {
    pub fn of(list: &[Capability]) -> Self {
        Self(list.iter().fold(0, |set, capability| set | (1 << *capability as u16)))
    }

    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In the order that they are declared in.
    pub fn list(self) -> Vec<Capability> {
        let all = Capability::GRANTS.into_iter().chain([Capability::Deny]);
        all.filter(|capability| self.has(*capability)).collect()
    }
}

/// How a policy writes its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Logical paths; `*` matches at a segment boundary.
    #[default]
    Native,
    /// Vault's own paths; `*` is a raw prefix.
    Vault,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub path: String,
    pub capabilities: Vec<Capability>,
    /// From where a request must come for the rule to count, whatever it says; empty: from anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
}

impl Rule {
    /// One that counts everywhere.
    pub fn new(path: impl Into<String>, capabilities: impl Into<Vec<Capability>>) -> Self {
        Self {
            path: path.into(),
            capabilities: capabilities.into(),
            networks: Vec::new(),
        }
    }
}

/// The policy path that is meant: one without its root is a secret's, and one that ends in `/` a folder.
pub fn path_meant(text: &str) -> Result<String> {
    let (root, below) = match text.split_once('/') {
        Some((root, below)) if ROOTS.contains(&root) => (root, below),
        _ => ("secret", text),
    };
    let prefix = Prefix::parse(below)?;
    Ok(match (below.ends_with('/'), prefix == Prefix::TOP) {
        (_, true) => format!("{root}/"),
        (true, false) => format!("{root}/{}/", prefix.as_str()),
        (false, false) => format!("{root}/{}", prefix.as_str()),
    })
}

fn refuse_at(rule: usize, error: Error) -> Error {
    Error {
        detail: format!("Rule {rule}: {}", error.detail),
        ..error
    }
}

/// Checks rules of the native layout. A path without its root is refused with the corrected line.
pub fn check_native(rules: &[Rule]) -> Result<()> {
    let refuse = |detail: String| Err(Error::new(Code::InvalidPolicy, detail));
    if rules.is_empty() || rules.len() > MAX_RULES {
        return refuse(format!("A policy has 1 to {MAX_RULES} rules."));
    }
    for (at, rule) in rules.iter().enumerate() {
        let path = &rule.path;
        let root = path.split('/').next().unwrap_or_default();
        if path.is_empty() || path.len() > MAX_PATTERN || path.chars().any(char::is_control) {
            return refuse(format!(
                "Rule {at}: a path has 1 to {MAX_PATTERN} bytes and no control characters."
            ));
        }
        if !ROOTS.contains(&root) || !path.contains('/') {
            return refuse(format!(
                "Rule {at}: '{path}' names no kind of object; did you mean 'secret/{path}'?"
            ));
        }
        // Spelled as a secret's path is, or it would never match one.
        let below = path.split_once('/').map_or("", |(_, below)| below);
        if let Err(error) = crate::SecretPath::parse(below) {
            return refuse(format!("Rule {at}: '{path}': {}", error.detail));
        }
        template::check(path).map_err(|error| refuse_at(at, error))?;
        let segments: Vec<&str> = path.split('/').collect();
        for (place, segment) in segments.iter().enumerate() {
            let last = place + 1 == segments.len();
            match *segment {
                "*" if last => {}
                "+" => {}
                "" | "." | ".." => return refuse(format!("Rule {at}: '{path}' has an empty, '.' or '..' segment.")),
                text if text.contains('*') || text.contains('+') => {
                    return refuse(format!(
                        "Rule {at}: in '{path}', '*' stands alone as the last segment and '+' alone as any segment."
                    ));
                }
                _ => {}
            }
        }
        if rule.capabilities.is_empty() {
            return refuse(format!(
                "Rule {at}: 'capabilities' is empty; write [\"deny\"] to refuse."
            ));
        }
        if rule.networks.len() > MAX_NETWORKS {
            return refuse(format!("Rule {at}: 'networks' has at most {MAX_NETWORKS} entries."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
