//! What of a policy does nothing, or something else than it seems to: told before it is written, without a server.

use super::decision::specificity;
use super::{Capabilities, Capability, Rule, is_template};

use Capability::{Create, Delete, Destroy, List, Manage, Patch, Read, Rotate, Sudo, Update};

/// One thing to look at, and in which rule, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub rule: usize,
    pub text: String,
}

/// What is asked for on which paths; elsewhere a rule does nothing.
const ASKED: &[(&str, &[Capability])] = &[
    (
        "secret/*",
        &[Create, Read, Update, Patch, Delete, List, Destroy, Rotate, Manage],
    ),
    ("lease/*", &[Create, Read, Update, Delete, List]),
    ("target/*", &[Create, Read, Update, Delete, List, Rotate]),
    ("sys/policies/*", &[Create, Read, Update, Delete, List]),
    ("sys/roles/*", &[Create, Read, Update, Delete, List]),
    ("sys/clients/*", &[Create, Read, Update, Delete, List]),
    ("sys/operators/*", &[Create, Read, Update, Delete, List, Manage]),
    ("sys/groups/*", &[Create, Read, Update, Delete, List]),
    ("sys/methods/*", &[Create, Read, Update, Delete, List]),
    ("sys/tokens/*", &[Create, Read, Update, Delete, List]),
    ("sys/namespaces/*", &[Create, Read, Delete, List, Sudo]),
    ("sys/principals/*", &[Sudo]),
    ("sys/keys/data", &[Rotate]),
    ("sys/keys/signing", &[Rotate]),
    ("sys/keys/slots/*", &[List, Sudo]),
    ("sys/audit", &[Read]),
    ("sys/explain", &[Read]),
    ("sys/reports", &[Read]),
    ("sys/recovery", &[Sudo]),
    ("sys/backup", &[Sudo]),
];

/// Looks at rules that can be written, in their order.
pub fn lint(rules: &[Rule]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let found = [alone(rule), beside(rules, at, rule)].concat();
        findings.extend(found.into_iter().map(|text| Finding { rule: at, text }));
    }
    findings
}

/// By itself.
fn alone(rule: &Rule) -> Vec<String> {
    let (path, said) = (&rule.path, Capabilities::of(&rule.capabilities));
    let mut found = Vec::new();
    if said.has(Capability::Deny) {
        if is_template(path) {
            found.push(format!(
                "'{path}' denies nothing to a principal for which a placeholder stands for nothing, or for what has '/', '+' or '*' in it."
            ));
        }
        if said != Capabilities::of(&[Capability::Deny]) {
            found.push(format!("'{path}' denies: what it grants beside that never counts."));
        }
        return found;
    }
    let asked = ASKED.iter().filter(|(pattern, _)| overlap(pattern, path));
    let asked = asked.fold(Capabilities::default(), |all, (_, capabilities)| {
        all.with(Capabilities::of(capabilities))
    });
    let known = ["secret/", "lease/", "target/", "sys/"]
        .iter()
        .any(|root| path.starts_with(root));
    if known && asked == Capabilities::default() {
        found.push(format!("'{path}' matches nothing that anybody asks for."));
    } else if known {
        let idle: Vec<&str> = said
            .list()
            .into_iter()
            .filter(|capability| !asked.has(*capability))
            .map(Capability::name)
            .collect();
        if !idle.is_empty() {
            found.push(format!("On '{path}' nobody asks for {}.", idle.join(" ")));
        }
    }
    if path.starts_with("secret/") && path.ends_with("/*") && !said.has(List) {
        found.push(format!(
            "'{path}' grants no 'list': names below it are listed, but neither metadata nor history."
        ));
    }
    found
}

/// By what the other rules say.
fn beside(rules: &[Rule], at: usize, rule: &Rule) -> Vec<String> {
    let (path, said) = (&rule.path, Capabilities::of(&rule.capabilities));
    let mut found = Vec::new();
    for (place, other) in rules.iter().enumerate().filter(|(place, _)| *place != at) {
        let (over, others) = (&other.path, Capabilities::of(&other.capabilities));
        // What counts in some networks alone takes nothing elsewhere.
        if !other.networks.is_empty() {
            continue;
        }
        if over == path {
            if others.has(Capability::Deny) && !said.has(Capability::Deny) {
                found.push(format!(
                    "'{path}' is denied by another rule: what this one grants never counts."
                ));
            } else if place < at && rule.networks.is_empty() {
                found.push(format!("'{path}' stands twice: both rules count as one."));
            }
        } else if covers(over, path) && specificity(over) > specificity(path) {
            let what = if said.has(Capability::Deny) {
                "deny never bites"
            } else {
                "rule never counts"
            };
            found.push(format!(
                "'{path}': this {what}, since '{over}' is more specific and matches all of it."
            ));
        } else if covers(over, path) && !said.has(Capability::Deny) && !others.has(Capability::Deny) {
            let lost: Vec<&str> = others
                .list()
                .into_iter()
                .filter(|capability| !said.has(*capability))
                .map(Capability::name)
                .collect();
            if !lost.is_empty() {
                found.push(format!(
                    "On '{path}' this rule counts alone: {} of '{over}' is not granted there.",
                    lost.join(" ")
                ));
            }
        }
    }
    found
}

/// Whether `over` matches whatever `path` matches, both of the native layout.
fn covers(over: &str, path: &str) -> bool {
    let mut rest = path.split('/');
    for wanted in over.split('/') {
        match (wanted, rest.next()) {
            ("*", Some(_)) => return true,
            ("+", Some(found)) if found != "*" => {}
            (_, Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
    rest.next().is_none()
}

/// Whether something is matched by both, both of the native layout.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (None, None) | (Some("*"), Some(_)) | (Some(_), Some("*")) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;
    use crate::policy::ROOTS;
    use crate::policy::{BUILT_IN, Decision, Policy, PolicySet, built_in, check_native};
    use crate::{Name, Prefix, SecretPath, Time};

    fn rule(path: &str, capabilities: &[Capability]) -> Rule {
        Rule::new(path, capabilities)
    }

    #[track_caller]
    fn says(rules: &[Rule], at: usize, text: &str) {
        check_native(rules).unwrap();
        let found = lint(rules);
        assert!(
            found
                .iter()
                .any(|finding| finding.rule == at && finding.text.contains(text)),
            "'{text}' is not in {found:?}"
        );
    }

    #[test]
    fn it_tells_what_does_nothing() {
        says(&[rule("secret/a", &[Capability::Deny, Read])], 0, "never counts");
        says(
            &[rule("secret/a", &[Read]), rule("secret/a", &[Capability::Deny])],
            0,
            "denied by another",
        );
        says(
            &[rule("secret/a", &[Read]), rule("secret/a", &[List])],
            1,
            "stands twice",
        );
        says(
            &[rule("secret/+/*", &[Read]), rule("secret/*", &[List])],
            0,
            "rule never counts",
        );
        says(
            &[rule("secret/+/*", &[Capability::Deny]), rule("secret/*", &[List])],
            0,
            "deny never bites",
        );
        says(
            &[rule("secret/*", &[Read, List]), rule("secret/a/*", &[List])],
            1,
            "read of 'secret/*'",
        );
        says(&[rule("secret/a/*", &[Read])], 0, "no 'list'");
        says(
            &[rule("secret/{{principal.name}}", &[Capability::Deny])],
            0,
            "denies nothing to",
        );
        says(&[rule("sys/polices/*", &[Read])], 0, "matches nothing");
        says(
            &[rule("secret/a", &[Read, Capability::Sudo])],
            0,
            "nobody asks for sudo",
        );
        says(&[rule("sys/keys/data", &[Rotate, Read])], 0, "nobody asks for read");
        let good = [
            rule("secret/pay/*", &[Read, List]),
            rule("secret/pay/hsm/*", &[Capability::Deny]),
            rule("secret/+/shared", &[Read]),
            rule("sys/audit", &[Read]),
            rule("flag/shop/*", &[Read]),
        ];
        assert_eq!(lint(&good), []);
        let own = lint(&built_in(&Name::parse("reader").unwrap()).unwrap().rules);
        assert!(own.is_empty() && BUILT_IN.contains(&"reader"), "{own:?}");
    }

    /// What it says never counts can be taken out, and no decision is another one.
    #[test]
    fn what_never_counts_can_be_left_out() {
        let segments = ["a", "b", "+"];
        let mut patterns = vec!["secret/*".to_owned()];
        for one in segments {
            patterns.extend([format!("secret/{one}"), format!("secret/{one}/*")]);
            patterns.extend(segments.iter().map(|two| format!("secret/{one}/{two}")));
        }
        let paths = ["a", "b", "c", "a/", "a/a", "a/b", "b/c", "c/c", "a/b/c", "c/c/c", "c/"];
        let (mut left_out, mut kept) = (0, 0);
        for one in &patterns {
            for two in &patterns {
                for first in [Read, Capability::Deny] {
                    let rules = [rule(one, &[first]), rule(two, &[List])];
                    let idle = lint(&rules).iter().any(|finding| {
                        finding.rule == 0
                            && (finding.text.contains("rule never") || finding.text.contains("deny never"))
                    });
                    let all = PolicySet::compile([&Policy::new(rules.to_vec(), Time(0))]);
                    let rest = PolicySet::compile([&Policy::new(rules[1..].to_vec(), Time(0))]);
                    let same = paths.iter().all(|path| {
                        [Read, List].into_iter().all(|capability| {
                            let path = format!("secret/{path}");
                            let needs = Access::needs_of(&path, capability);
                            all.decide(&needs, None) == rest.decide(&needs, None)
                        })
                    });
                    assert!(!idle || same, "{rules:?}");
                    if idle { left_out += 1 } else { kept += 1 }
                }
            }
        }
        assert!(left_out > 0 && kept > 100, "{left_out} {kept}");
    }

    #[test]
    fn whatever_is_asked_for_is_known() {
        let rules: Vec<Rule> = ASKED
            .iter()
            .map(|(path, capabilities)| rule(path, capabilities))
            .collect();
        assert!(
            ASKED
                .iter()
                .all(|(path, _)| ROOTS.contains(&path.split('/').next().unwrap()))
        );
        let all = PolicySet::compile([&Policy::new(rules, Time(0))]);
        let (path, name, top) = (
            SecretPath::parse("p").unwrap(),
            Name::parse("n").unwrap(),
            Prefix::parse("").unwrap(),
        );
        for access in [
            Access::Secret(&path, Read),
            Access::Folder(&top),
            Access::Policy(&name, Update),
            Access::Policies,
            Access::Role(&name, Create),
            Access::Roles,
            Access::Client("c", Delete),
            Access::Clients,
            Access::Operator(&name, Manage),
            Access::Operators,
            Access::Group(&name, Read),
            Access::Groups,
            Access::Method(&name, Update),
            Access::Methods,
            Access::Tokens(Create),
            Access::Namespaces,
            Access::Audit,
            Access::Explain,
            Access::Reports,
            Access::Principal("p", Sudo),
            Access::DataKey,
            Access::SigningKey,
            Access::Slot(&name),
            Access::Slots,
            Access::Recovery,
            Access::Backup,
        ] {
            let path = access.path();
            assert_eq!(all.decide(&access.needs(&path), None), Decision::Allow, "{access:?}");
        }
    }
}
