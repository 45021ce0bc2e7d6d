//! Policies and the decision. One matcher decides each layout by itself: the most specific matching pattern counts, its
//! rules are merged over the token's policies, and `deny` beats the other capabilities of that pattern.
//! A deny in either layout refuses; otherwise a grant in either suffices.

mod built_in;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result};

pub use built_in::{BUILT_IN, built_in};

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

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
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
}

/// The body of a policy's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    #[serde(default)]
    pub layout: Layout,
    pub rules: Vec<Rule>,
    pub created_at: crate::Time,
    pub updated_at: crate::Time,
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
    }
    Ok(())
}

/// One thing a request needs: in this layout, this capability on this path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    pub layout: Layout,
    pub path: &'a str,
    pub capability: Capability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
    /// No rule matched, or the one that did lacks the capability.
    NoGrant,
}

#[derive(Debug, Clone)]
struct Compiled {
    pattern: String,
    capabilities: Capabilities,
}

/// The policies of one token, compiled: patterns merged, most specific first.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    native: Vec<Compiled>,
    vault: Vec<Compiled>,
}

impl PolicySet {
    pub fn compile<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut merged: BTreeMap<(Layout, &str), Capabilities> = BTreeMap::new();
        for policy in policies {
            for rule in &policy.rules {
                let entry = merged.entry((policy.layout, &rule.path)).or_default();
                *entry = entry.with(Capabilities::of(&rule.capabilities));
            }
        }
        let mut set = Self::default();
        for ((layout, pattern), capabilities) in merged {
            let compiled = Compiled {
                pattern: pattern.to_owned(),
                capabilities,
            };
            match layout {
                Layout::Native => set.native.push(compiled),
                Layout::Vault => set.vault.push(compiled),
            }
        }
        for patterns in [&mut set.native, &mut set.vault] {
            patterns.sort_by(|a, b| specificity(&b.pattern).cmp(&specificity(&a.pattern)));
        }
        set
    }

    /// Decides one request, which may be expressed in several layouts.
    pub fn decide(&self, needs: &[Need<'_>]) -> Decision {
        let mut decision = Decision::NoGrant;
        for need in needs {
            match self.decide_one(need) {
                Decision::Deny => return Decision::Deny,
                Decision::Allow => decision = Decision::Allow,
                Decision::NoGrant => {}
            }
        }
        decision
    }

    fn decide_one(&self, need: &Need<'_>) -> Decision {
        let patterns = match need.layout {
            Layout::Native => &self.native,
            Layout::Vault => &self.vault,
        };
        match patterns.iter().find(|compiled| matches(&compiled.pattern, need.path)) {
            Some(compiled) if compiled.capabilities.has(Capability::Deny) => Decision::Deny,
            Some(compiled) if compiled.capabilities.has(need.capability) => Decision::Allow,
            _ => Decision::NoGrant,
        }
    }

    /// Whether a listing shows the name `path`, whose folder is `folder` (both with their root, the folder with a trailing `/`):
    /// where `list` holds on the folder, or a native rule grants anything on or below the name, and none denies the name itself.
    pub fn shows(&self, folder: &str, path: &str) -> bool {
        let need = |path, capability| Need {
            layout: Layout::Native,
            path,
            capability,
        };
        let exact = self.native.iter().find(|compiled| matches(&compiled.pattern, path));
        if exact.is_some_and(|compiled| compiled.capabilities.has(Capability::Deny)) {
            return false;
        }
        self.decide_one(&need(folder, Capability::List)) == Decision::Allow
            || exact.is_some_and(|compiled| compiled.capabilities != Capabilities::default())
            || self
                .native
                .iter()
                .any(|compiled| !compiled.capabilities.has(Capability::Deny) && reaches_below(&compiled.pattern, path))
    }
}

/// Greater is more specific. P1 loses if its first `+` or `*` comes earlier; if it ends in `*` and P2 does not; if it has
/// more `+` segments; if it is shorter; if it sorts lower.
fn specificity(pattern: &str) -> (usize, bool, Reverse<usize>, usize, &str) {
    let first_wildcard = pattern.find(['+', '*']).unwrap_or(usize::MAX);
    let plus_segments = pattern.split('/').filter(|segment| *segment == "+").count();
    (
        first_wildcard,
        !pattern.ends_with('*'),
        Reverse(plus_segments),
        pattern.len(),
        pattern,
    )
}

/// A native `*` stands behind a `/` (checked when the policy is written), so there the raw prefix ends at a segment
/// boundary: `a/*` matches the folder `a/` and all below it, never `a` or `ab`.
fn matches(pattern: &str, path: &str) -> bool {
    let (body, open) = match pattern.strip_suffix('*') {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    match (body.contains('+'), open) {
        (true, _) => matches_segments(body, path, open),
        (false, true) => path.starts_with(body),
        (false, false) => body == path,
    }
}

fn matches_segments(body: &str, path: &str, open: bool) -> bool {
    let mut rest = path.split('/');
    let mut wanted = body.split('/').peekable();
    while let Some(segment) = wanted.next() {
        let last = wanted.peek().is_none();
        let Some(found) = rest.next() else { return false };
        if last && open {
            return found.starts_with(segment);
        }
        if segment == "+" {
            if found.is_empty() {
                return false;
            }
        } else if segment != found {
            return false;
        }
    }
    rest.next().is_none()
}

/// Whether a native pattern could match something strictly below `path`.
fn reaches_below(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/');
    for segment in path.split('/') {
        match wanted.next() {
            Some("*") => return true,
            Some("+") => {}
            Some(text) if text == segment => {}
            _ => return false,
        }
    }
    wanted.next().is_some()
}

#[cfg(test)]
mod tests;
