//! Why a request is decided as it is: by the matcher that decides it, so that the two cannot disagree.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::decision::counts;
use super::{Capability, Decision, Layout, Need, Policy, PolicySet, Rule};
use crate::{Name, Network, Time};

const LOWEST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// What decides a request, and what would allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub decision: Decision,
    /// None: no rule that counts matches.
    pub deciding: Option<Deciding>,
    /// The smallest rule which allows the request once one policy more has it. None: it is allowed already, or what denies it
    /// must be changed itself.
    pub would_allow: Option<Rule>,
}

/// The most specific of the patterns that match, with its rules in all policies as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    pub layout: Layout,
    pub path: String,
    pub capabilities: Vec<Capability>,
    /// Those whose rules of this path grant what is asked for, or deny; where it is neither granted nor denied, all of them.
    pub policies: Vec<Name>,
    /// Where these rules count, if in some networks alone.
    pub networks: Vec<Network>,
}

impl Explanation {
    /// Of whoever may do everything: no rule is asked.
    pub fn root() -> Self {
        Self {
            decision: Decision::Allow,
            deciding: None,
            would_allow: None,
        }
    }
}

/// An explanation in words that can be passed on; without one, of root.
pub fn in_words(capability: Capability, path: &str, explanation: Option<&Explanation>) -> String {
    let what = format!("'{}' on '{path}'", capability.name());
    let Some(explanation) = explanation else {
        return format!("{what} is granted: as root everything is, whatever policies say.");
    };
    let decided = explanation.decision;
    let rule = match (&explanation.deciding, decided) {
        (None, _) => " No rule matches.".to_owned(),
        (Some(deciding), Decision::Allow) => format!(" The rule that decides is {deciding}."),
        (Some(deciding), _) => format!(" The most specific rule that matches is {deciding}."),
    };
    let advice = match (&explanation.would_allow, decided) {
        (Some(rule), _) => {
            let rule = serde_json::to_string(rule).unwrap_or_default();
            format!(" One policy more with this rule would allow it: {rule}")
        }
        (None, Decision::Deny) => " No further rule would allow it: that one must be changed.".to_owned(),
        (None, _) => String::new(),
    };
    let outcome = match decided {
        Decision::Allow => "granted",
        Decision::Deny => "denied",
        Decision::NoGrant => "not granted",
    };
    format!("{what} is {outcome}.{rule}{advice}")
}

impl fmt::Display for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |words: Vec<&str>| words.join(" ");
        let policies = joined(self.policies.iter().map(Name::as_str).collect());
        let said = self.capabilities.iter().map(|capability| capability.name());
        let verb = if self.capabilities.contains(&Capability::Deny) {
            "says"
        } else {
            "grants"
        };
        write!(
            f,
            "'{}' of {policies}, which {verb} {}",
            self.path,
            joined(said.collect())
        )?;
        if self.networks.is_empty() {
            return Ok(());
        }
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        write!(f, ", from {}", networks.join(" "))
    }
}

/// Explains the decision about a request from there by these policies.
pub fn explain(policies: &[(Name, Policy)], needs: &[Need<'_>], from: Option<IpAddr>) -> Explanation {
    let set = PolicySet::compile(policies.iter().map(|(_, policy)| policy));
    let decision = set.decide(needs, from);
    // The need that settled it: where nothing is granted, that is the first as well as any.
    let settled = needs.iter().find(|need| set.decide_one(need, from) == decision);
    let deciding = settled.and_then(|need| decider(policies, &set, need, from));
    Explanation {
        would_allow: would_allow(policies, &set, needs, from),
        decision,
        deciding,
    }
}

/// What decides about one need, if anything does.
pub(super) fn decider(
    policies: &[(Name, Policy)],
    set: &PolicySet,
    need: &Need<'_>,
    from: Option<IpAddr>,
) -> Option<Deciding> {
    let (compiled, said) = set.deciding(need.layout, need.path, from)?;
    let sought = match set.decide_one(need, from) {
        Decision::Allow => Some(need.capability),
        Decision::Deny => Some(Capability::Deny),
        Decision::NoGrant => None,
    };
    let decides = |rule: &Rule| {
        *rule.path == *compiled.pattern.text
            && counts(&rule.networks, from)
            && sought.is_none_or(|sought| rule.capabilities.contains(&sought))
    };
    let mut deciding = Deciding {
        layout: need.layout,
        path: compiled.pattern.text.to_string(),
        capabilities: said.list(),
        policies: Vec::new(),
        networks: Vec::new(),
    };
    for (name, policy) in policies.iter().filter(|(_, policy)| policy.layout == need.layout) {
        let rules: Vec<&Rule> = policy.rules.iter().filter(|rule| decides(rule)).collect();
        deciding.policies.extend((!rules.is_empty()).then(|| name.clone()));
        deciding.networks.extend(rules.iter().flat_map(|rule| &rule.networks));
    }
    deciding.networks.sort();
    deciding.networks.dedup();
    Some(deciding)
}

/// One address for each way in which they can be told apart: between two neighbouring edges of networks, every address is
/// within the same ones.
pub(super) fn addresses<'a>(policies: impl IntoIterator<Item = &'a (Name, Policy)>) -> BTreeSet<IpAddr> {
    let rules = policies.into_iter().flat_map(|(_, policy)| &policy.rules);
    let edges = rules.flat_map(|rule| &rule.networks).map(Network::edges);
    let edges = edges.flat_map(|(first, behind)| [Some(first), behind]).flatten();
    LOWEST.into_iter().chain(edges).collect()
}

/// Explains by an address from which the request is allowed, if there is one: anybody may come from anywhere.
pub fn explain_anywhere(policies: &[(Name, Policy)], needs: &[Need<'_>]) -> Explanation {
    let set = PolicySet::compile(policies.iter().map(|(_, policy)| policy));
    let mut addresses = addresses(policies).into_iter();
    let allowed = addresses.find(|from| set.decide(needs, Some(*from)) == Decision::Allow);
    explain(policies, needs, allowed.or(Some(LOWEST[0])))
}

/// A rule counts alone where it is the most specific, so it repeats what the path's own said before: it takes nothing.
fn would_allow(policies: &[(Name, Policy)], set: &PolicySet, needs: &[Need<'_>], from: Option<IpAddr>) -> Option<Rule> {
    if set.decide(needs, from) == Decision::Allow {
        return None;
    }
    let need = needs.iter().find(|need| need.layout == Layout::Native)?;
    let said = set.deciding(need.layout, need.path, from);
    let said = said.map_or_else(Vec::new, |(_, said)| said.list());
    let mut capabilities: Vec<_> = said.into_iter().filter(|said| *said != Capability::Deny).collect();
    if !capabilities.contains(&need.capability) {
        capabilities.push(need.capability);
        capabilities.sort();
    }
    let rule = Rule::new(narrowest(need.path), capabilities);
    let more = Policy::new(vec![rule.clone()], Time(0));
    let with = PolicySet::compile(policies.iter().map(|(_, policy)| policy).chain([&more]));
    (with.decide(needs, from) == Decision::Allow).then_some(rule)
}

/// The pattern that matches this path, and as little besides as a pattern can.
fn narrowest(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        // A folder: no pattern names it without what is in it.
        "" => "*",
        // Wildcards are whole segments: what holds one as a letter can only be meant by one.
        text if text.contains(['*', '+']) => "+",
        text => text,
    });
    segments.collect::<Vec<_>>().join("/")
}
