//! The policies that every installation has from the start. No row holds them, so nothing can alter or remove them.

use super::Capability::{Delete, List, Read, Rotate};
use super::{Capability, Policy, ROOTS, Rule};
use crate::{Name, Time};

/// By name, in byte order.
pub const BUILT_IN: [&str; 4] = ["admin", "auditor", "operator", "reader"];

type Grants = &'static [(&'static str, &'static [Capability])];

/// Who works in the installation, and what is granted there: from which follows who may do what.
const GRANTED: Grants = &[
    ("sys/clients/*", &[Read, List]),
    ("sys/explain", &[Read]),
    ("sys/groups/*", &[Read, List]),
    ("sys/methods/*", &[Read, List]),
    ("sys/operators/*", &[Read, List]),
    ("sys/policies/*", &[Read, List]),
    ("sys/roles/*", &[Read, List]),
    ("sys/tokens/*", &[Read, List]),
    ("sys/namespaces/*", &[Read, List]),
    ("flag/*", &[Read, List]),
    ("lease/*", &[Read, List]),
    ("target/*", &[Read, List]),
];

/// Metadata, history, the log and the reports; no value, and nothing to change.
const AUDITOR: Grants = &[
    ("secret/*", &[List]),
    ("sys/audit", &[Read]),
    ("sys/keys/*", &[List]),
    ("sys/reports", &[Read]),
];

/// Keeps the installation going. It writes nothing that grants: whoever does can give itself every value.
const OPERATOR: Grants = &[
    ("secret/*", &[List, Rotate]),
    ("sys/audit", &[Read]),
    ("sys/clients/*", &[Delete]),
    ("sys/keys/*", &[List, Rotate]),
    ("sys/reports", &[Read]),
    ("sys/tokens/*", &[Delete]),
];

const READER: Grants = &[("flag/*", &[Read, List]), ("secret/*", &[Read, List])];

/// The built-in policy of this name.
pub fn built_in(name: &Name) -> Option<Policy> {
    let rules = match name.as_str() {
        "admin" => everything(),
        "auditor" => rules(&[GRANTED, AUDITOR]),
        "operator" => rules(&[GRANTED, OPERATOR]),
        "reader" => rules(&[READER]),
        _ => return None,
    };
    // As old as the first installation: they never change.
    Some(Policy::new(rules, Time(0)))
}

/// With the patterns of the others too: a more specific one counts alone, and would take from who is an admin besides.
fn everything() -> Vec<Rule> {
    let mut paths: Vec<String> = ROOTS.iter().map(|root| format!("{root}/*")).collect();
    for (path, _) in [GRANTED, AUDITOR, OPERATOR, READER].concat() {
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    paths.iter().map(|path| Rule::new(path, Capability::GRANTS)).collect()
}

/// One rule a path: where two parts name one, it has the capabilities of both.
fn rules(parts: &[Grants]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (path, capabilities) in parts.iter().copied().flatten() {
        match rules.iter_mut().find(|rule| rule.path == *path) {
            Some(rule) => rule.capabilities.extend_from_slice(capabilities),
            None => rules.push(Rule::new(*path, *capabilities)),
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;
    use crate::policy::{Decision, PolicySet, check_native};
    use crate::{Prefix, SecretPath};

    fn may(policy: &str, access: Access<'_>) -> bool {
        let policy = built_in(&Name::parse(policy).unwrap()).unwrap();
        let path = access.path();
        PolicySet::compile([&policy]).decide(&access.needs(&path), None) == Decision::Allow
    }

    #[test]
    fn each_is_valid_and_there_are_no_others() {
        for name in BUILT_IN {
            let policy = built_in(&Name::parse(name).unwrap()).unwrap();
            check_native(&policy.rules).unwrap();
        }
        assert!(BUILT_IN.is_sorted());
        assert_eq!(built_in(&Name::parse("administrator").unwrap()), None);
    }

    #[test]
    fn together_they_grant_what_each_of_them_grants() {
        let all = BUILT_IN.map(|name| built_in(&Name::parse(name).unwrap()).unwrap());
        let (path, name) = (SecretPath::parse("p/s").unwrap(), Name::parse("n").unwrap());
        for set in 0_u8..16 {
            let chosen: Vec<_> = (0..4).filter(|at| set & (1 << at) != 0).map(|at| &all[at]).collect();
            let together = PolicySet::compile(chosen.iter().copied());
            for capability in Capability::GRANTS {
                for access in [
                    Access::Secret(&path, capability),
                    Access::Policy(&name, capability),
                    Access::Role(&name, capability),
                    Access::Client("c", capability),
                    Access::Operator(&name, capability),
                    Access::Group(&name, capability),
                    Access::Method(&name, capability),
                    Access::Principal("p", capability),
                    Access::Audit,
                    Access::Explain,
                    Access::Reports,
                    Access::DataKey,
                    Access::Slots,
                    Access::Slot(&name),
                ] {
                    let path = access.path();
                    let decide = |policies: &PolicySet| policies.decide(&access.needs(&path), None) == Decision::Allow;
                    let alone = chosen.iter().any(|policy| decide(&PolicySet::compile([*policy])));
                    assert_eq!(decide(&together), alone, "{set:04b} {access:?}");
                }
            }
        }
    }

    #[test]
    fn values_are_for_admins_and_readers_alone() {
        let (path, name, top) = (
            SecretPath::parse("p/s").unwrap(),
            Name::parse("n").unwrap(),
            Prefix::parse("").unwrap(),
        );
        for capability in Capability::GRANTS {
            let secret = Access::Secret(&path, capability);
            let reads = matches!(capability, Read | List);
            assert!(may("admin", secret));
            assert_eq!(may("reader", secret), reads);
            assert_eq!(may("auditor", secret), capability == List);
            assert_eq!(may("operator", secret), [List, Rotate].contains(&capability));
            // What grants is for admins to write: whoever may could grant itself everything.
            for access in [
                Access::Policy(&name, capability),
                Access::Role(&name, capability),
                Access::Operator(&name, capability),
                Access::Group(&name, capability),
                Access::Method(&name, capability),
            ] {
                assert!(may("admin", access));
                assert!(!may("reader", access));
                assert_eq!(may("auditor", access), reads);
                assert_eq!(may("operator", access), reads);
            }
            let client = Access::Client("c", capability);
            assert_eq!(may("auditor", client), reads);
            assert_eq!(may("operator", client), reads || capability == Delete);
            assert!(!may("operator", Access::Principal("p", capability)));
        }
        for access in [
            Access::Audit,
            Access::Explain,
            Access::Reports,
            Access::Folder(&top),
            Access::Operators,
            Access::Groups,
            Access::Slots,
        ] {
            assert!(may("auditor", access) && may("operator", access));
        }
        let slot = Access::Slot(&name);
        assert!(may("admin", slot) && !may("operator", slot) && !may("auditor", slot));
        assert!(may("operator", Access::DataKey) && !may("auditor", Access::DataKey));
    }
}
