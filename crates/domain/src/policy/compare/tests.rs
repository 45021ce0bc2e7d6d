use proptest::prelude::*;

use super::*;
use crate::Time;
use crate::policy::{Rule, check_native};

fn named(policies: &[&[Rule]]) -> Vec<(Name, Policy)> {
    let named = policies.iter().enumerate().map(|(at, rules)| {
        let name = Name::parse(&format!("p{at}")).unwrap();
        (name, Policy::new(rules.to_vec(), Time(0)))
    });
    named.collect()
}

fn reads(path: &str) -> Rule {
    Rule::new(path, [Capability::Read])
}

/// Path, capability, whether gained, and the patterns that decide before and after.
fn told(before: &[(Name, Policy)], after: &[(Name, Policy)]) -> Vec<String> {
    let found = changes(before, after);
    assert!(!found.more);
    let pattern = |side: &Option<Deciding>| side.as_ref().map_or("-".to_owned(), |deciding| deciding.path.clone());
    let line = |change: &Change| {
        let sign = if change.gained { '+' } else { '-' };
        let (before, after) = (pattern(&change.before), pattern(&change.after));
        format!(
            "{sign}{} {} ({before} > {after})",
            change.capability.name(),
            change.path
        )
    };
    found.items.iter().map(line).collect()
}

#[test]
fn what_a_rule_takes_from_wider_ones_is_told() {
    let wide = [Rule::new("secret/*", [Capability::Read, Capability::List])];
    let before = named(&[&wide]);
    let after = named(&[&wide, &[reads("secret/a/*")]]);
    assert_eq!(told(&before, &after), ["-list secret/a/* (secret/* > secret/a/*)"]);
    assert_eq!(told(&after, &before), ["+list secret/a/* (secret/a/* > secret/*)"]);
    // Where two patterns meet, the place is theirs both.
    let crossing = [reads("secret/+/key")];
    let (before, denies) = (named(&[&crossing]), Rule::new("secret/a/*", [Capability::Deny]));
    assert_eq!(
        told(&before, &named(&[&crossing, &[denies]])),
        ["-read secret/a/key (secret/+/key > secret/a/*)"]
    );
}

#[test]
fn what_a_more_specific_rule_decides_does_not_change() {
    let kept = [reads("secret/a/b")];
    let denies = [Rule::new("secret/a/b", [Capability::Deny])];
    for narrow in [&kept[..], &denies] {
        let before = named(&[narrow, &[reads("secret/a/b")]]);
        let after = named(&[narrow, &[Rule::new("secret/+/b", [Capability::List])]]);
        let found = told(&before, &after);
        assert!(found.iter().all(|line| !line.contains("secret/a/b")), "{found:?}");
    }
    // The same twice is no change, nor is another order of what is said.
    let both = [reads("secret/x"), Rule::new("secret/x", [Capability::List])];
    let turned = [both[1].clone(), both[0].clone()];
    assert_eq!(changes(&named(&[&both]), &named(&[&turned])), Changes::default());
}

#[test]
fn networks_are_looked_at_one_by_one() {
    let within = |network: &str| Rule {
        networks: vec![Network::parse(network).unwrap()],
        ..reads("secret/a")
    };
    let before = named(&[&[reads("secret/a")]]);
    let found = changes(&before, &named(&[&[within("10.0.0.0/8")]])).items;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(!found[0].gained && found[0].from != Some("10.0.0.1".parse().unwrap()));
    let moved = changes(&named(&[&[within("10.0.0.0/8")]]), &named(&[&[within("11.0.0.0/8")]])).items;
    let from = |gained| {
        moved
            .iter()
            .find(|change| change.gained == gained)
            .unwrap()
            .from
            .unwrap()
    };
    assert_eq!(
        (from(true), from(false)),
        ("11.0.0.0".parse().unwrap(), "10.0.0.0".parse().unwrap())
    );
}

#[test]
fn looking_ends() {
    let many = |capability| -> Vec<Rule> {
        let rules = (0..256).map(|at| Rule::new(format!("secret/+/{at}/*"), [capability]));
        rules.collect()
    };
    let (read, list) = (many(Capability::Read), many(Capability::List));
    assert!(!changes(&named(&[&read]), &named(&[&list])).more);
    let crossing: Vec<Rule> = (0..256).map(|at| reads(&format!("secret/{at}/*"))).collect();
    assert!(changes(&named(&[&read, &crossing]), &named(&[&list, &crossing])).more);
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => Just("a"), 2 => Just("b"), 2 => Just("+")];
    let open = prop::bool::ANY;
    (prop::collection::vec(segment, 0..3), open).prop_map(|(mut segments, open)| {
        if open || segments.is_empty() {
            segments.push("*");
        }
        format!("secret/{}", segments.join("/"))
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    const SOME: [Capability; 3] = [Capability::Read, Capability::List, Capability::Deny];
    let network = prop_oneof![3 => Just(None), 1 => Just(Some("10.0.0.0/8")), 1 => Just(Some("10.1.0.0/16"))];
    let rule = (pattern(), prop::sample::subsequence(&SOME[..], 1..3), network);
    let rule = rule.prop_map(|(path, capabilities, network)| Rule {
        networks: network.iter().map(|text| Network::parse(text).unwrap()).collect(),
        ..Rule::new(path, capabilities)
    });
    prop::collection::vec(rule, 1..4)
}

/// Every object and folder of a few segments, one of which no pattern names.
fn all_paths() -> Vec<String> {
    let mut folders = vec!["secret/".to_owned()];
    let mut all = folders.clone();
    for _ in 0..4 {
        let below = folders
            .iter()
            .flat_map(|folder| ["a", "b", "c"].map(|segment| format!("{folder}{segment}")));
        let objects: Vec<String> = below.collect();
        folders = objects.iter().map(|object| format!("{object}/")).collect();
        all.extend(objects.into_iter().chain(folders.clone()));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// By every path there is: what is told is so somewhere, and what is so is told.
    #[test]
    fn exactly_what_changes_is_told(kept in rules(), old in rules(), new in rules()) {
        for rules in [&kept, &old, &new] {
            prop_assert!(check_native(rules).is_ok());
        }
        let (before, after) = (named(&[&kept, &old]), named(&[&kept, &new]));
        let sets = [&before, &after].map(|policies| PolicySet::compile(policies.iter().map(|(_, policy)| policy)));
        let from: Vec<Option<IpAddr>> = ["9.9.9.9", "10.0.0.1", "10.1.0.1"].map(|text| text.parse().ok()).into();
        let mut so = BTreeSet::new();
        for path in all_paths() {
            for from in &from {
                for capability in [Capability::Read, Capability::List] {
                    let need = Need { layout: Layout::Native, path: &path, capability };
                    let [was, is] = sets.each_ref().map(|set| set.decide(&[need], *from) == Decision::Allow);
                    if was != is {
                        let by = sets.each_ref().map(|set| {
                            set.deciding(Layout::Native, &path, *from).map(|(compiled, _)| compiled.pattern.text.to_string())
                        });
                        so.insert((by, capability, is));
                    }
                }
            }
        }
        let pattern = |side: Option<Deciding>| side.map(|deciding| deciding.path);
        let told: BTreeSet<_> = changes(&before, &after)
            .items
            .into_iter()
            .map(|change| ([pattern(change.before), pattern(change.after)], change.capability, change.gained))
            .collect();
        prop_assert_eq!(told, so);
    }
}
