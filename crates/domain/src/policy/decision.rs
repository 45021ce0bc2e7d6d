//! The decision. One matcher decides each layout by itself: of the patterns that match and have a rule that counts, the
//! most specific one decides, its rules are merged over the token's policies, and `deny` beats its other capabilities.
//! A deny in either layout refuses; otherwise a grant in either suffices.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Capabilities, Capability, Layout, Policy, Rule};
use crate::Network;

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

/// A pattern, and what the rules say that name it.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) pattern: Pattern,
    /// By the rules that count everywhere; none: there is no such rule.
    everywhere: Option<Capabilities>,
    /// By those that count for requests from some networks alone.
    within: Vec<(Vec<Network>, Capabilities)>,
}

impl Compiled {
    fn new(pattern: &str) -> Self {
        Self {
            pattern: Pattern::new(pattern),
            everywhere: None,
            within: Vec::new(),
        }
    }

    fn add(&mut self, rule: &Rule) {
        let capabilities = Capabilities::of(&rule.capabilities);
        if rule.networks.is_empty() {
            self.everywhere = Some(self.everywhere.unwrap_or_default().with(capabilities));
        } else {
            self.within.push((rule.networks.clone(), capabilities));
        }
    }

    /// What its rules say to a request from there; none: not one of them counts.
    fn said(&self, from: Option<IpAddr>) -> Option<Capabilities> {
        let within = self.within.iter().filter(|(networks, _)| counts(networks, from));
        within.fold(self.everywhere, |said, (_, capabilities)| {
            Some(said.unwrap_or_default().with(*capabilities))
        })
    }
}

/// Whether a rule of these networks counts for a request from there.
pub(super) fn counts(networks: &[Network], from: Option<IpAddr>) -> bool {
    networks.is_empty() || from.is_some_and(|from| networks.iter().any(|network| network.contains(from)))
}

/// The policies of one token, compiled: patterns merged, most specific first.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    native: Vec<Compiled>,
    vault: Vec<Compiled>,
    /// Whether it matters where a request comes from.
    conditional: bool,
}

impl PolicySet {
    pub fn compile<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut merged: BTreeMap<(Layout, &str), Compiled> = BTreeMap::new();
        let mut set = Self::default();
        for policy in policies {
            for rule in &policy.rules {
                set.conditional |= !rule.networks.is_empty();
                let entry = merged.entry((policy.layout, &rule.path));
                entry.or_insert_with(|| Compiled::new(&rule.path)).add(rule);
            }
        }
        for ((layout, _), compiled) in merged {
            match layout {
                Layout::Native => set.native.push(compiled),
                Layout::Vault => set.vault.push(compiled),
            }
        }
        for patterns in [&mut set.native, &mut set.vault] {
            patterns.sort_by(|a, b| specificity(&b.pattern.text).cmp(&specificity(&a.pattern.text)));
        }
        set
    }

    /// Whether a decision may be another for a request from elsewhere.
    pub fn conditional(&self) -> bool {
        self.conditional
    }

    /// Decides one request, which may be expressed in several layouts, and comes from there.
    pub fn decide(&self, needs: &[Need<'_>], from: Option<IpAddr>) -> Decision {
        let mut decision = Decision::NoGrant;
        for need in needs {
            match self.decide_one(need, from) {
                Decision::Deny => return Decision::Deny,
                Decision::Allow => decision = Decision::Allow,
                Decision::NoGrant => {}
            }
        }
        decision
    }

    pub(super) fn decide_one(&self, need: &Need<'_>, from: Option<IpAddr>) -> Decision {
        match self.deciding(need.layout, need.path, from) {
            Some((_, said)) if said.has(Capability::Deny) => Decision::Deny,
            Some((_, said)) if said.has(need.capability) => Decision::Allow,
            _ => Decision::NoGrant,
        }
    }

    /// The pattern that decides about a path, and what it says. The one place where this is found.
    pub(super) fn deciding(
        &self,
        layout: Layout,
        path: &str,
        from: Option<IpAddr>,
    ) -> Option<(&Compiled, Capabilities)> {
        let patterns = match layout {
            Layout::Native => &self.native,
            Layout::Vault => &self.vault,
        };
        // A request from nowhere that is known would get around what denies.
        if self.conditional && from.is_none() {
            return None;
        }
        let mut matching = patterns.iter().filter(|compiled| compiled.pattern.matches(path));
        matching.find_map(|compiled| Some((compiled, compiled.said(from)?)))
    }

    /// Whether a listing shows the name `path`, whose folder is `folder` (both with their root, the folder with a trailing `/`):
    /// where `list` holds on the folder, or a native rule grants anything on or below the name, and none denies the name itself.
    pub fn shows(&self, folder: &str, path: &str, from: Option<IpAddr>) -> bool {
        let exact = self.deciding(Layout::Native, path, from).map(|(_, said)| said);
        !exact.is_some_and(|said| said.has(Capability::Deny)) && self.shows_within(folder, path, from)
    }

    /// Whether it shows this name or any below it; a rule that denies the name alone hides no other.
    pub fn shows_within(&self, folder: &str, path: &str, from: Option<IpAddr>) -> bool {
        let need = Need {
            layout: Layout::Native,
            path: folder,
            capability: Capability::List,
        };
        let exact = self.deciding(Layout::Native, path, from).map(|(_, said)| said);
        let grants = |said: Capabilities| said != Capabilities::default() && !said.has(Capability::Deny);
        let grants_below = |compiled: &Compiled| {
            let said = compiled.said(from);
            said.is_some_and(|said| !said.has(Capability::Deny)) && compiled.pattern.reaches_below(path)
        };
        self.decide_one(&need, from) == Decision::Allow
            || exact.is_some_and(grants)
            || (from.is_some() || !self.conditional) && self.native.iter().any(grants_below)
    }
}

/// Greater is more specific. P1 loses if its first `+` or `*` comes earlier; if it ends in `*` and P2 does not; if it has
/// more `+` segments; if it is shorter; if it sorts lower.
pub(super) fn specificity(pattern: &str) -> (usize, bool, Reverse<usize>, usize, &str) {
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

/// A rule's path, with what of it is looked at for each request found out once.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) text: Box<str>,
    /// Ends in `*`.
    open: bool,
    /// Has a `+`, and is compared segment by segment.
    segmented: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            open: text.ends_with('*'),
            segmented: text.contains('+'),
        }
    }

    /// What stands before a `*` at its end.
    fn body(&self) -> &str {
        self.text.strip_suffix('*').unwrap_or(&self.text)
    }

    /// A native `*` stands behind a `/` (checked when the policy is written), so there the raw prefix ends at a segment
    /// boundary: `a/*` matches the folder `a/` and all below it, never `a` or `ab`.
    pub(super) fn matches(&self, path: &str) -> bool {
        match (self.segmented, self.open) {
            (true, open) => matches_segments(self.body(), path, open),
            (false, true) => path.starts_with(self.body()),
            (false, false) => *self.text == *path,
        }
    }

    /// Whether a native pattern that does not match `path` itself could match something below it.
    fn reaches_below(&self, path: &str) -> bool {
        let mut wanted = self.text.split('/');
        for segment in path.split('/') {
            match wanted.next() {
                Some("+") => {}
                Some(text) if text == segment => {}
                _ => return false,
            }
        }
        wanted.next().is_some()
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
