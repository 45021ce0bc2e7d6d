//! Placeholders in a rule's path, which stand for something of the principal whose token is verified.

use super::{Policy, Rule};
use crate::{Code, Error, Name, Result};

/// The one placeholder that there is.
const PRINCIPAL_NAME: &str = "{{principal.name}}";

/// Whether a rule's path has one.
pub fn is_template(path: &str) -> bool {
    path.contains(PRINCIPAL_NAME)
}

/// Refuses what looks like a placeholder and is none.
pub(super) fn check(path: &str) -> Result<()> {
    let rest = path.replace(PRINCIPAL_NAME, "");
    if rest.contains("{{") || rest.contains("}}") {
        return Err(Error::new(
            Code::InvalidPolicy,
            format!("'{path}' has a placeholder that is not known; there is {PRINCIPAL_NAME}."),
        ));
    }
    Ok(())
}

/// The policies as they are for a principal of that name. A rule whose placeholder stands for nothing, or for what would mean
/// more than itself in a path, is left out.
pub fn for_principal(mut policies: Vec<(Name, Policy)>, name: Option<&str>) -> Vec<(Name, Policy)> {
    let value = name.filter(|name| is_plain(name));
    for (_, policy) in &mut policies {
        if policy.rules.iter().any(|rule| is_template(&rule.path)) {
            let rules = std::mem::take(&mut policy.rules);
            policy.rules = rules.into_iter().filter_map(|rule| expanded(rule, value)).collect();
        }
    }
    policies
}

fn expanded(rule: Rule, value: Option<&str>) -> Option<Rule> {
    if !is_template(&rule.path) {
        return Some(rule);
    }
    let path = rule.path.replace(PRINCIPAL_NAME, value?);
    Some(Rule { path, ..rule })
}

/// A part of one segment, and no more than that.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.contains(['/', '+', '*', '{', '}']) && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;
    use crate::access::Access;
    use crate::policy::{Capability, Decision, PolicySet, check_native};

    fn decide(rules: &[Rule], name: Option<&str>, path: &str) -> Decision {
        check_native(rules).unwrap();
        let policies = vec![(Name::parse("p").unwrap(), Policy::new(rules.to_vec(), Time(0)))];
        let policies = for_principal(policies, name);
        let set = PolicySet::compile(policies.iter().map(|(_, policy)| policy));
        set.decide(&Access::needs_of(path, Capability::Read), None)
    }

    #[test]
    fn a_name_stands_for_itself_alone() {
        let own = [Rule::new("secret/home/{{principal.name}}/*", [Capability::Read])];
        assert_eq!(decide(&own, Some("ada"), "secret/home/ada/key"), Decision::Allow);
        assert_eq!(decide(&own, Some("ada"), "secret/home/eve/key"), Decision::NoGrant);
        assert_eq!(
            decide(&own, Some("repo:o.r"), "secret/home/repo:o.r/key"),
            Decision::Allow
        );
        let part = [Rule::new("secret/u-{{principal.name}}", [Capability::Read])];
        assert_eq!(decide(&part, Some("ada"), "secret/u-ada"), Decision::Allow);
        for name in [
            None,
            Some(""),
            Some("*"),
            Some("+"),
            Some("a/b"),
            Some("a*"),
            Some("{{principal.name}}"),
            Some("a\nb"),
        ] {
            for path in [
                "secret/home/ada/key",
                "secret/home/{{principal.name}}/key",
                "secret/home/a/b/key",
                "secret/home//key",
            ] {
                assert_eq!(decide(&own, name, path), Decision::NoGrant, "{name:?} {path}");
            }
            assert_eq!(decide(&part, name, "secret/u-ada"), Decision::NoGrant, "{name:?}");
        }
        // The other rules of the policy stand.
        let both = [own[0].clone(), Rule::new("secret/all", [Capability::Read])];
        assert_eq!(decide(&both, Some("*"), "secret/all"), Decision::Allow);
    }

    #[test]
    fn other_placeholders_are_refused() {
        for path in [
            "secret/{{principal}}/*",
            "secret/{{ principal.name }}",
            "secret/{{x",
            "secret/a}}",
        ] {
            let refused = check_native(&[Rule::new(path, [Capability::Read])]).unwrap_err();
            assert!(refused.detail.contains(PRINCIPAL_NAME), "{}", refused.detail);
        }
    }
}
