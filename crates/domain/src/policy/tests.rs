mod campaign;
mod reference;

use proptest::prelude::*;

use super::*;
use crate::{Name, Time};

fn policy(rules: Vec<Rule>) -> Policy {
    Policy::new(rules, Time(0))
}

fn rule(path: &str, capabilities: &[Capability]) -> Rule {
    Rule::new(path, capabilities)
}

fn within(path: &str, capabilities: &[Capability], networks: &[&str]) -> Rule {
    Rule {
        networks: networks.iter().map(|text| Network::parse(text).unwrap()).collect(),
        ..rule(path, capabilities)
    }
}

fn named(policies: Vec<Policy>) -> Vec<(Name, Policy)> {
    let name = |at| Name::parse(&format!("p{at}")).unwrap();
    policies
        .into_iter()
        .enumerate()
        .map(|(at, policy)| (name(at), policy))
        .collect()
}

fn need(path: &str, capability: Capability) -> Need<'_> {
    Need {
        layout: Layout::Native,
        path,
        capability,
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
    assert_eq!(PolicySet::compile([&native]).decide(&needs, None), Decision::Allow);
    assert_eq!(
        PolicySet::compile([&native, &vault]).decide(&needs, None),
        Decision::Deny
    );
    assert_eq!(
        PolicySet::compile([&vault]).decide(&needs[..1], None),
        Decision::NoGrant
    );
}

#[test]
fn listings_show_what_may_be_seen() {
    let set = PolicySet::compile([&policy(vec![
        rule("secret/pay/prod/*", &[Capability::Read]),
        rule("secret/pay/prod/hidden", &[Capability::Deny]),
        rule("secret/open/*", &[Capability::List]),
        rule("secret/one", &[Capability::Read]),
        rule("secret/by/+/deep/key", &[Capability::Read]),
    ])]);
    for (folder, path, shown) in [
        ("secret/", "secret/pay", true),
        ("secret/", "secret/other", false),
        ("secret/pay/", "secret/pay/prod", true),
        ("secret/pay/", "secret/pay/dev", false),
        ("secret/pay/prod/", "secret/pay/prod/key", true),
        ("secret/pay/prod/", "secret/pay/prod/hidden", false),
        ("secret/open/", "secret/open/x", true),
        ("secret/", "secret/one", true),
        ("secret/by/", "secret/by/team", true),
        ("secret/by/team/", "secret/by/team/other", false),
        ("secret/", "secret/oneself", false),
    ] {
        assert_eq!(set.shows(folder, path, None), shown, "{path}");
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

#[test]
fn paths_and_patterns_compare_byte_for_byte() {
    let composed = "secret/caf\u{e9}/key";
    let set = PolicySet::compile([&policy(vec![
        rule("secret/*", &[Capability::Read]),
        rule("secret/Team/prod", &[Capability::Deny]),
        rule(composed, &[Capability::Deny]),
    ])]);
    for (path, decision) in [
        ("secret/Team/prod", Decision::Deny),
        ("secret/team/prod", Decision::Allow),
        ("secret/TEAM/prod", Decision::Allow),
        ("Secret/Team/prod", Decision::NoGrant),
        ("secret/Team/prod/", Decision::Allow),
        (composed, Decision::Deny),
        // The same letters as other bytes are another path; no secret has it, since its name is NFC.
        ("secret/cafe\u{301}/key", Decision::Allow),
    ] {
        assert_eq!(set.decide(&[need(path, Capability::Read)], None), decision, "{path}");
    }
    assert!(check_native(&[rule("secret/cafe\u{301}/key", &[Capability::Read])]).is_err());
    assert!(check_native(&[rule(composed, &[Capability::Read])]).is_ok());
}

#[test]
fn a_rule_with_networks_counts_for_requests_from_there_alone() {
    let set = PolicySet::compile([
        &policy(vec![
            rule("secret/a/*", &[Capability::List]),
            within("secret/a/*", &[Capability::Read], &["10.0.0.0/8", "2001:db8::/32"]),
            within("secret/a/key", &[Capability::Deny], &["10.9.0.0/16"]),
            within("secret/b", &[Capability::Read], &["10.0.0.0/8"]),
        ]),
        &policy(vec![rule("secret/b", &[Capability::Deny])]),
    ]);
    assert!(set.conditional());
    let decide = |path, capability, from: &str| set.decide(&[need(path, capability)], from.parse().ok());
    for (path, capability, from, decision) in [
        ("secret/a/x", Capability::Read, "10.1.2.3", Decision::Allow),
        ("secret/a/x", Capability::Read, "::ffff:10.1.2.3", Decision::Allow),
        ("secret/a/x", Capability::Read, "2001:db8::1", Decision::Allow),
        ("secret/a/x", Capability::Read, "11.1.2.3", Decision::NoGrant),
        ("secret/a/x", Capability::Read, "nowhere", Decision::NoGrant),
        ("secret/a/x", Capability::List, "nowhere", Decision::NoGrant),
        // What counts everywhere is there still.
        ("secret/a/x", Capability::List, "11.1.2.3", Decision::Allow),
        ("secret/a/x", Capability::List, "10.1.2.3", Decision::Allow),
        // A more specific pattern without a rule that counts does not decide.
        ("secret/a/key", Capability::Read, "10.1.2.3", Decision::Allow),
        ("secret/a/key", Capability::Read, "10.9.0.1", Decision::Deny),
        ("secret/a/key", Capability::Read, "10.10.0.1", Decision::Allow),
        // A deny that counts everywhere is not lifted by a grant from somewhere.
        ("secret/b", Capability::Read, "10.1.2.3", Decision::Deny),
    ] {
        assert_eq!(
            decide(path, capability, from),
            decision,
            "{path} {capability:?} from {from}"
        );
    }
    let from = |text: &str| text.parse().ok();
    let shows = |path, from| set.shows("secret/", path, from);
    assert!(shows("secret/a", from("10.1.2.3")) && !shows("secret/a", None));
    let set = PolicySet::compile([&policy(vec![
        within("secret/c/*", &[Capability::Read], &["10.0.0.0/8"]),
        within("secret/d/*", &[Capability::Deny], &["10.0.0.0/8"]),
        rule("secret/d/key", &[Capability::Deny]),
    ])]);
    assert!(set.shows("secret/", "secret/c", from("10.1.2.3")));
    assert!(!set.shows("secret/", "secret/c", from("11.1.2.3")));
    assert!(!set.shows("secret/", "secret/d", from("10.1.2.3")));
    assert!(!PolicySet::compile([&policy(vec![rule("secret/x", &[Capability::Read])])]).conditional());
}

#[test]
fn an_explanation_names_the_rule_and_the_policies() {
    let policies = named(vec![
        policy(vec![rule("secret/*", &[Capability::List])]),
        policy(vec![
            rule("secret/pay/*", &[Capability::List]),
            within("secret/pay/*", &[Capability::Read], &["10.0.0.0/8"]),
        ]),
        policy(vec![
            rule("secret/pay/*", &[Capability::Update]),
            rule("secret/pay/hsm", &[Capability::Deny]),
        ]),
    ]);
    let explain = |path, capability, from: &str| explain(&policies, &[need(path, capability)], from.parse().ok());
    let names = |deciding: &Deciding| deciding.policies.iter().map(ToString::to_string).collect::<Vec<_>>();

    let found = explain("secret/pay/db", Capability::Read, "10.1.1.1");
    assert_eq!((found.decision, &found.would_allow), (Decision::Allow, &None));
    let deciding = found.deciding.unwrap();
    assert_eq!(
        (deciding.path.as_str(), names(&deciding)),
        ("secret/pay/*", vec!["p1".to_owned()])
    );
    assert_eq!(
        deciding.capabilities,
        [Capability::Read, Capability::Update, Capability::List]
    );
    assert_eq!(deciding.networks, [Network::parse("10.0.0.0/8").unwrap()]);

    let found = explain("secret/pay/db", Capability::Read, "11.1.1.1");
    assert_eq!(found.decision, Decision::NoGrant);
    let deciding = found.deciding.unwrap();
    assert_eq!(
        (names(&deciding), deciding.networks),
        (vec!["p1".to_owned(), "p2".to_owned()], vec![])
    );
    // What was granted there stays granted.
    let rule = found.would_allow.unwrap();
    assert_eq!(
        rule,
        Rule::new(
            "secret/pay/db",
            [Capability::Read, Capability::Update, Capability::List]
        )
    );

    let found = explain("secret/pay/hsm", Capability::Read, "10.1.1.1");
    assert_eq!(found.decision, Decision::Deny);
    assert_eq!(names(&found.deciding.unwrap()), ["p2"]);
    assert_eq!(
        found.would_allow, None,
        "a deny of this very path is not to be had around"
    );

    let found = explain("sys/audit", Capability::Read, "10.1.1.1");
    assert_eq!((found.decision, found.deciding), (Decision::NoGrant, None));
    assert_eq!(found.would_allow, Some(Rule::new("sys/audit", [Capability::Read])));

    let found = explain("secret/other/", Capability::Delete, "10.1.1.1");
    assert_eq!(
        found.would_allow,
        Some(Rule::new("secret/other/*", [Capability::Delete, Capability::List]))
    );
    let found = explain("sys/a+b/c", Capability::Read, "10.1.1.1");
    assert_eq!(found.would_allow, Some(Rule::new("sys/+/c", [Capability::Read])));
}

#[test]
fn a_deny_of_the_other_layout_is_explained_and_not_worked_around() {
    let mut vault = policy(vec![rule("secret/data/a*", &[Capability::Deny])]);
    vault.layout = Layout::Vault;
    let policies = named(vec![policy(vec![rule("secret/a/*", &[Capability::Read])]), vault]);
    let other = Need {
        layout: Layout::Vault,
        path: "secret/data/a/b",
        capability: Capability::Read,
    };
    let found = explain(&policies, &[need("secret/a/b", Capability::Read), other], None);
    assert_eq!((found.decision, found.would_allow), (Decision::Deny, None));
    let deciding = found.deciding.unwrap();
    assert_eq!(
        (deciding.layout, deciding.path.as_str()),
        (Layout::Vault, "secret/data/a*")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn an_explanation_is_of_the_decision(seed in any::<u64>()) {
        let mut case = campaign::Case::random(seed);
        case.policies.retain(|policy| policy.layout == Layout::Native);
        let policies = named(case.policies.clone());
        for request in &case.requests {
            let Some(need) = request.needs().find(|need| need.layout == Layout::Native) else { continue };
            let set = PolicySet::compile(&case.policies);
            if set.conditional() && request.from.is_none() {
                continue;
            }
            let decision = set.decide(&[need], request.from);
            let found = explain(&policies, &[need], request.from);
            prop_assert_eq!(found.decision, decision);
            let said = found.deciding.as_ref().map_or(&[][..], |deciding| &deciding.capabilities);
            let expected = if said.contains(&Capability::Deny) {
                Decision::Deny
            } else if said.contains(&need.capability) {
                Decision::Allow
            } else {
                Decision::NoGrant
            };
            prop_assert_eq!(expected, decision);
            if let Some(deciding) = &found.deciding {
                prop_assert!(!deciding.policies.is_empty());
            }
            // The rule that would allow it is one that can be written, allows it, and takes nothing there.
            let Some(rule) = found.would_allow else {
                prop_assert!(decision != Decision::NoGrant);
                continue;
            };
            prop_assert!(decision != Decision::Allow && check_native(std::slice::from_ref(&rule)).is_ok());
            let more = policy(vec![rule]);
            let with = PolicySet::compile(case.policies.iter().chain([&more]));
            for capability in Capability::GRANTS {
                let other = Need { capability, ..need };
                let (before, after) = (set.decide(&[other], request.from), with.decide(&[other], request.from));
                prop_assert!(before != Decision::Allow || after == Decision::Allow);
                prop_assert!(capability != need.capability || after == Decision::Allow);
            }
        }
    }
}

#[test]
fn a_path_without_its_root_is_a_secrets() {
    for (text, meant) in [
        ("a/b", "secret/a/b"),
        ("a/b/", "secret/a/b/"),
        ("secret/a", "secret/a"),
        ("sys/policies/p", "sys/policies/p"),
        ("sys/policies/", "sys/policies/"),
        ("flag/", "flag/"),
        ("sys", "secret/sys"),
        ("", "secret/"),
    ] {
        assert_eq!(path_meant(text).unwrap(), meant, "{text}");
    }
    for wrong in ["a//b", "sys//a", "../a", "secret/../a", "/a", "a\nb"] {
        assert!(path_meant(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn access_from_somewhere_is_found_wherever_that_is() {
    let explained = |rules: Vec<Rule>| {
        let policies = named(vec![policy(rules)]);
        explain_anywhere(&policies, &[need("secret/a", Capability::Read)])
    };
    let grant = |networks: &[&str]| within("secret/a", &[Capability::Read], networks);
    let deny = |networks: &[&str]| within("secret/a", &[Capability::Deny], networks);
    assert_eq!(explained(vec![grant(&["10.0.0.0/8"])]).decision, Decision::Allow);
    // Its beginning and its end are denied, and something between is not.
    let ends = deny(&["10.0.0.0/10", "10.192.0.0/10"]);
    let found = explained(vec![grant(&["10.0.0.0/8"]), ends]);
    assert_eq!(found.decision, Decision::Allow);
    assert_eq!(
        found.deciding.unwrap().networks,
        [Network::parse("10.0.0.0/8").unwrap()]
    );
    let all = deny(&["10.0.0.0/9", "10.128.0.0/9"]);
    assert_ne!(explained(vec![grant(&["10.0.0.0/8"]), all]).decision, Decision::Allow);
    let everywhere = rule("secret/a", &[Capability::Read]);
    let found = explained(vec![everywhere.clone(), grant(&["255.255.255.255"])]);
    assert_eq!(
        (found.decision, found.deciding.unwrap().networks),
        (Decision::Allow, vec![])
    );
    assert_eq!(
        explained(vec![everywhere, deny(&["::/0", "0.0.0.0/0"])]).decision,
        Decision::Deny
    );
}

#[test]
fn an_explanation_is_told_in_words() {
    let policies = named(vec![policy(vec![
        rule("secret/pay/*", &[Capability::List]),
        within("secret/near", &[Capability::Read], &["10.0.0.0/8"]),
        rule("secret/hsm", &[Capability::Deny]),
    ])]);
    let told = |path: &str, capability| {
        let found = explain(&policies, &[need(path, capability)], "10.0.0.1".parse().ok());
        in_words(capability, path, Some(&found))
    };
    assert_eq!(
        told("secret/pay/db", Capability::Read),
        "'read' on 'secret/pay/db' is not granted. The most specific rule that matches is 'secret/pay/*' of p0, which grants \
         list. One policy more with this rule would allow it: \
         {\"path\":\"secret/pay/db\",\"capabilities\":[\"read\",\"list\"]}"
    );
    assert_eq!(
        told("secret/near", Capability::Read),
        "'read' on 'secret/near' is granted. The rule that decides is 'secret/near' of p0, which grants read, from 10.0.0.0/8."
    );
    assert_eq!(
        told("secret/hsm", Capability::Read),
        "'read' on 'secret/hsm' is denied. The most specific rule that matches is 'secret/hsm' of p0, which says deny. No \
         further rule would allow it: that one must be changed."
    );
    assert!(
        told("sys/audit", Capability::Read).starts_with("'read' on 'sys/audit' is not granted. No rule matches. One")
    );
    let root = in_words(Capability::Sudo, "sys/recovery", None);
    assert_eq!(
        root,
        "'sudo' on 'sys/recovery' is granted: as root everything is, whatever policies say."
    );
}
