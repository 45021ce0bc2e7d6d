//! The decision once more, written from its description as directly as it can be: it shares types with the other, and
//! nothing else. Slow, and easy to read.

use std::net::IpAddr;

use crate::policy::{Capability, Need, Policy, Rule};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    Deny,
    /// A rule matches, and lacks the capability.
    Lacks,
    NoMatch,
}

/// A deny in either layout refuses; otherwise a grant in either suffices.
pub(super) fn decide(policies: &[Policy], needs: &[Need<'_>], from: Option<IpAddr>) -> Verdict {
    let conditional = policies
        .iter()
        .flat_map(|policy| &policy.rules)
        .any(|rule| !rule.networks.is_empty());
    // Where it matters from where a request comes, that must be known.
    if conditional && from.is_none() {
        return Verdict::NoMatch;
    }
    let verdicts: Vec<Verdict> = needs.iter().map(|need| decide_one(policies, need, from)).collect();
    [Verdict::Deny, Verdict::Allow, Verdict::Lacks]
        .into_iter()
        .find(|verdict| verdicts.contains(verdict))
        .unwrap_or(Verdict::NoMatch)
}

fn decide_one(policies: &[Policy], need: &Need<'_>, from: Option<IpAddr>) -> Verdict {
    let here: Vec<&Rule> = policies
        .iter()
        .filter(|policy| policy.layout == need.layout)
        .flat_map(|policy| &policy.rules)
        .filter(|rule| counts(rule, from) && matches(&characters(&rule.path), &characters(need.path), true))
        .collect();
    let best = here
        .iter()
        .find(|rule| here.iter().all(|other| !loses(&rule.path, &other.path)));
    let Some(best) = best else { return Verdict::NoMatch };
    let merged: Vec<Capability> = here
        .iter()
        .filter(|rule| rule.path == best.path)
        .flat_map(|rule| rule.capabilities.clone())
        .collect();
    if merged.contains(&Capability::Deny) {
        Verdict::Deny
    } else if merged.contains(&need.capability) {
        Verdict::Allow
    } else {
        Verdict::Lacks
    }
}

fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Letter by letter. A `*` at the end takes all that is left; a `+` that is a whole segment takes one that is not empty.
fn matches(pattern: &[char], path: &[char], starts_segment: bool) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*'] => true,
        ['+', after @ ..] if starts_segment && matches!(after, [] | ['/', ..]) => {
            let taken = path.iter().take_while(|letter| **letter != '/').count();
            taken > 0 && matches(after, &path[taken..], false)
        }
        [letter, after @ ..] => path.first() == Some(letter) && matches(after, &path[1..], *letter == '/'),
    }
}

fn counts(rule: &Rule, from: Option<IpAddr>) -> bool {
    rule.networks.is_empty()
        || rule.networks.iter().any(|network| {
            let text = network.to_string();
            let (start, length) = text.split_once('/').unwrap_or((&text, "128"));
            let (start, length): (IpAddr, usize) = (start.parse().unwrap(), length.parse().unwrap());
            from.is_some_and(|from| start.is_ipv4() == from.is_ipv4() && bits(start).starts_with(&bits(from)[..length]))
        })
}

fn bits(address: IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bit = |octet: u8| (0..8).rev().map(move |at| octet >> at & 1 == 1);
    octets.into_iter().flat_map(bit).collect()
}

/// Whether `a` is less specific than `b`: its first wildcard comes earlier; or it ends in `*` and `b` does not; or it has
/// more `+`; or it is shorter; or it sorts lower.
fn loses(a: &str, b: &str) -> bool {
    let wildcard = |pattern: &str| pattern.find(['+', '*']).unwrap_or(usize::MAX);
    let plus = |pattern: &str| pattern.split('/').filter(|segment| *segment == "+").count();
    if wildcard(a) != wildcard(b) {
        return wildcard(a) < wildcard(b);
    }
    if a.ends_with('*') != b.ends_with('*') {
        return a.ends_with('*');
    }
    if plus(a) != plus(b) {
        return plus(a) > plus(b);
    }
    if a.len() != b.len() {
        return a.len() < b.len();
    }
    a < b
}
