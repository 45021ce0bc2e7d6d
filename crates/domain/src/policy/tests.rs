use proptest::prelude::*;

use super::*;
use crate::Time;

/// The reference: the rules of the decision written as directly as they can be, sharing types alone.
mod reference {
    use super::{Capability, Decision, Layout, Need, Policy};

    fn segments_match(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) | (Some((&"*", [])), Some(_)) => true,
            (Some((&"+", pattern)), Some((found, path))) => !found.is_empty() && segments_match(pattern, path),
            (Some((want, pattern)), Some((found, path))) => want == found && segments_match(pattern, path),
            _ => false,
        }
    }

    fn native_match(pattern: &str, path: &str) -> bool {
        segments_match(
            &pattern.split('/').collect::<Vec<_>>(),
            &path.split('/').collect::<Vec<_>>(),
        )
    }

    /// Whether `a` loses against `b`.
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

    pub(super) fn decide(policies: &[Policy], need: &Need<'_>) -> Decision {
        assert_eq!(need.layout, Layout::Native);
        let mut best: Option<&str> = None;
        for rule in policies.iter().flat_map(|policy| &policy.rules) {
            if native_match(&rule.path, need.path) && best.is_none_or(|best| loses(best, &rule.path)) {
                best = Some(&rule.path);
            }
        }
        let Some(best) = best else { return Decision::NoGrant };
        let merged: Vec<Capability> = policies
            .iter()
            .flat_map(|policy| &policy.rules)
            .filter(|rule| rule.path == best)
            .flat_map(|rule| rule.capabilities.clone())
            .collect();
        if merged.contains(&Capability::Deny) {
            Decision::Deny
        } else if merged.contains(&need.capability) {
            Decision::Allow
        } else {
            Decision::NoGrant
        }
    }
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        layout: Layout::Native,
        rules,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

fn rule(path: &str, capabilities: &[Capability]) -> Rule {
    Rule {
        path: path.into(),
        capabilities: capabilities.to_vec(),
    }
}

fn capability() -> impl Strategy<Value = Capability> {
    use Capability::{Create, Delete, Deny, List, Read, Update};
    prop_oneof![4 => Just(Read), 3 => Just(List), 2 => Just(Create), 2 => Just(Update), 1 => Just(Delete), 1 => Just(Deny)]
}

fn pattern() -> impl Strategy<Value = String> {
    (proptest::collection::vec("[abAB+]", 0..4), any::<bool>()).prop_map(|(segments, open)| {
        let mut pattern = String::from("secret");
        for segment in &segments {
            pattern.push('/');
            pattern.push_str(segment);
        }
        if open || segments.is_empty() {
            pattern + "/*"
        } else {
            pattern
        }
    })
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let rule = (pattern(), proptest::collection::vec(capability(), 1..3))
        .prop_map(|(path, capabilities)| Rule { path, capabilities });
    proptest::collection::vec(proptest::collection::vec(rule, 1..6).prop_map(policy), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_decision_equals_the_reference(policies in policies(), path in "secret(/[abAB]){1,4}/?", capability in capability()) {
        for policy in &policies {
            prop_assert!(check_native(&policy.rules).is_ok());
        }
        let need = Need { layout: Layout::Native, path: &path, capability };
        prop_assert_eq!(PolicySet::compile(&policies).decide(&[need]), reference::decide(&policies, &need));
    }
}

#[test]
fn a_deny_in_either_layout_refuses_and_a_grant_in_either_suffices() {
    let native = policy(vec![rule("secret/a/*", &[Capability::Read])]);
    let mut vault = policy(vec![rule("secret/data/a*", &[Capability::Deny])]);
    vault.layout = Layout::Vault;
    let needs = [
        Need {
            layout: Layout::Native,
            path: "secret/a/b",
            capability: Capability::Read,
        },
        Need {
            layout: Layout::Vault,
            path: "secret/data/a/b",
            capability: Capability::Read,
        },
    ];
    assert_eq!(PolicySet::compile([&native]).decide(&needs), Decision::Allow);
    assert_eq!(PolicySet::compile([&native, &vault]).decide(&needs), Decision::Deny);
    assert_eq!(PolicySet::compile([&vault]).decide(&needs[..1]), Decision::NoGrant);
}

#[test]
fn listings_show_what_may_be_seen() {
    let set = PolicySet::compile([&policy(vec![
        rule("secret/pay/prod/*", &[Capability::Read]),
        rule("secret/pay/prod/hidden", &[Capability::Deny]),
        rule("secret/open/*", &[Capability::List]),
    ])]);
    for (folder, path, shown) in [
        ("secret/", "secret/pay", true),
        ("secret/", "secret/other", false),
        ("secret/pay/", "secret/pay/prod", true),
        ("secret/pay/", "secret/pay/dev", false),
        ("secret/pay/prod/", "secret/pay/prod/key", true),
        ("secret/pay/prod/", "secret/pay/prod/hidden", false),
        ("secret/open/", "secret/open/x", true),
    ] {
        assert_eq!(set.shows(folder, path), shown, "{path}");
    }
}

#[test]
fn a_path_without_its_kind_is_refused_with_the_corrected_line() {
    let error = check_native(&[rule("payments/prod/*", &[Capability::Read])]).unwrap_err();
    assert!(error.detail.contains("'secret/payments/prod/*'"), "{}", error.detail);
    for bad in ["secret/a*", "secret/*/a", "secret/a+", "secret//a", "secret", ""] {
        assert!(check_native(&[rule(bad, &[Capability::Read])]).is_err(), "{bad}");
    }
}
