//! What an edit of policies changes for somebody who has them: exactly, by one path for each two patterns that meet.
//!
//! Where a decision differs, one pattern decides before and one after. On the plainest path that both match, whose segments
//! are of no pattern wherever they may be any, no third one matches that would not match everywhere where the two meet. So it
//! is enough to look there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::explain::{Deciding, addresses, decider};
use super::{Capabilities, Capability, Decision, Layout, Need, Policy, PolicySet};
use crate::{Name, Network};

/// Paths looked at for one holder.
const MOST_LOOKED_AT: usize = 4_000;
/// A segment that no pattern has, since none has control characters.
const ANY: &str = "\u{1}";

/// A capability gained or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: on what this pattern matches, and no more specific rule decides.
    pub path: String,
    pub capability: Capability,
    /// Else it is lost.
    pub gained: bool,
    /// Where it matters from where: one address for which it is so.
    pub from: Option<IpAddr>,
    pub before: Option<Deciding>,
    pub after: Option<Deciding>,
}

/// What was found, and whether all was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub items: Vec<Change>,
    pub more: bool,
}

type Side<'a> = (&'a [(Name, Policy)], PolicySet);

/// What changes for somebody who had the policies `before`, and has those `after`.
pub fn changes(before: &[(Name, Policy)], after: &[(Name, Policy)]) -> Changes {
    let sides =
        [before, after].map(|policies| (policies, PolicySet::compile(policies.iter().map(|(_, policy)| policy))));
    let places = places(before, after);
    let from: Vec<Option<IpAddr>> = if sides.iter().any(|(_, set)| set.conditional()) {
        addresses(before.iter().chain(after)).into_iter().map(Some).collect()
    } else {
        vec![None]
    };
    let (mut found, mut seen, mut looked) = (Changes::default(), BTreeSet::new(), 0);
    // Below the deepest, only what is open there matches.
    let deepest = places.iter().map(|place| place.matches('/').count()).max();
    for path in places.iter().flat_map(|place| paths(place, deepest.unwrap_or(0) + 1)) {
        for from in &from {
            looked += 1;
            if looked > MOST_LOOKED_AT {
                found.more = true;
                return found;
            }
            look(&sides, &path, *from, &mut seen, &mut found.items);
        }
    }
    found
}

/// The pattern that decides on each side, the capability, and whether it is gained.
type Seen = (Option<String>, Option<String>, Capability, bool);

fn look(sides: &[Side<'_>; 2], path: &str, from: Option<IpAddr>, seen: &mut BTreeSet<Seen>, found: &mut Vec<Change>) {
    let said = sides
        .each_ref()
        .map(|(_, set)| set.deciding(Layout::Native, path, from));
    if let [before, after] = said.map(|side| side.map_or_else(Capabilities::default, |(_, said)| said))
        && before == after
    {
        return;
    }
    for capability in Capability::GRANTS {
        let need = Need {
            layout: Layout::Native,
            path,
            capability,
        };
        let [before, after] = sides.each_ref().map(|(_, set)| set.decide_one(&need, from));
        let gained = after == Decision::Allow;
        if gained == (before == Decision::Allow) {
            continue;
        }
        let [before, after] = sides
            .each_ref()
            .map(|(policies, set)| decider(policies, set, &need, from));
        let [pattern, next] = [&before, &after].map(|side| side.as_ref().map(|deciding| deciding.path.clone()));
        let place = match (&pattern, &next) {
            (Some(pattern), Some(next)) => meet(pattern, next),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        if let Some(path) = place
            && seen.insert((pattern, next, capability, gained))
        {
            found.push(Change {
                path,
                capability,
                gained,
                from,
                before,
                after,
            });
        }
    }
}

/// Patterns outside which nothing changes: those whose rules do, and where these meet any other one.
fn places(before: &[(Name, Policy)], after: &[(Name, Policy)]) -> BTreeSet<String> {
    let mut rules = BTreeMap::<&str, [Vec<(&[Network], Capabilities)>; 2]>::new();
    for (edited, policies) in [(false, before), (true, after)] {
        let native = policies.iter().filter(|(_, policy)| policy.layout == Layout::Native);
        for rule in native.flat_map(|(_, policy)| &policy.rules) {
            let said = (rule.networks.as_slice(), Capabilities::of(&rule.capabilities));
            let [old, new] = rules.entry(&rule.path).or_default();
            if edited { new } else { old }.push(said);
        }
    }
    let edited = rules.iter().filter(|(_, [before, after])| before != after);
    let met = edited.flat_map(|(edited, _)| rules.keys().filter_map(|other| meet(edited, other)));
    met.collect()
}

/// What two patterns both match, as a pattern.
fn meet(one: &str, other: &str) -> Option<String> {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    let mut met = Vec::new();
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Some(met.join("/")),
            // What one leaves open, the other one says.
            (Some("*"), Some(segment)) => met.extend(std::iter::once(segment).chain(other.by_ref())),
            (Some(segment), Some("*")) => met.extend(std::iter::once(segment).chain(one.by_ref())),
            (Some("+"), Some(segment)) | (Some(segment), Some("+")) => met.push(segment),
            (Some(segment), Some(same)) if segment == same => met.push(segment),
            _ => return None,
        }
    }
}

/// The plainest paths that a pattern matches: one, or one for each depth that it leaves open, of an object and of a folder.
fn paths(pattern: &str, deepest: usize) -> Vec<String> {
    let plain = pattern.replace('+', ANY);
    let Some(folder) = plain.strip_suffix('*') else {
        return vec![plain];
    };
    let mut paths = vec![folder.to_owned()];
    let mut path = folder.to_owned();
    for _ in folder.matches('/').count()..=deepest {
        path.push_str(ANY);
        paths.push(path.clone());
        path.push('/');
        paths.push(path.clone());
    }
    paths
}

#[cfg(test)]
mod tests;
