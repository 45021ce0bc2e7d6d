//! Placeholders in a rule's path, which stand for something of the principal whose token is verified.

use std::collections::BTreeMap;

use super::{Policy, Rule};
use crate::{Code, Error, Name, Result};

const OPENS: &str = "{{";
const CLOSES: &str = "}}";
const NAME: &str = "principal.name";
const METADATA: &str = "principal.metadata.";

/// What placeholders stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Asker {
    name: Option<Name>,
    metadata: BTreeMap<Name, String>,
}

impl Asker {
    /// What others call somebody is theirs to choose: it names nobody's paths.
    pub fn new(name: Option<&str>, metadata: BTreeMap<Name, String>) -> Self {
        Self {
            name: name.and_then(|name| Name::parse(name).ok()),
            metadata,
        }
    }

    fn value(&self, placeholder: &str) -> Option<&str> {
        let value = match placeholder.strip_prefix(METADATA) {
            None => self.name.as_ref().filter(|_| placeholder == NAME).map(Name::as_str),
            Some(key) => self.metadata.get(&Name::parse(key).ok()?).map(String::as_str),
        };
        value.filter(|value| is_plain(value))
    }
}

/// Whether a rule's path has a placeholder.
pub fn is_template(path: &str) -> bool {
    path.contains(OPENS)
}

/// Whether a rule's path names metadata.
pub fn names_metadata(path: &str) -> bool {
    pieces(path).any(|(_, placeholder)| placeholder.is_some_and(|found| found.starts_with(METADATA)))
}

/// A path as plain text, each piece of it up to a placeholder or the end.
fn pieces(path: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let found = text.split_once(OPENS).and_then(|(plain, behind)| {
            let (placeholder, behind) = behind.split_once(CLOSES)?;
            Some((plain, placeholder, behind))
        });
        Some(match found {
            Some((plain, placeholder, behind)) => {
                rest = Some(behind);
                (plain, Some(placeholder))
            }
            None => (text, None),
        })
    })
}

/// Refuses what looks like a placeholder and is none.
pub(super) fn check(path: &str) -> Result<()> {
    let is_known = |placeholder: &str| match placeholder.strip_prefix(METADATA) {
        Some(key) => Name::parse(key).is_ok(),
        None => placeholder == NAME,
    };
    let is_fit = |(plain, placeholder): (&str, Option<&str>)| {
        !plain.contains(OPENS) && !plain.contains(CLOSES) && placeholder.is_none_or(is_known)
    };
    if pieces(path).all(is_fit) {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidPolicy,
        format!(
            "'{path}' has a placeholder that is not known; there are {OPENS}{NAME}{CLOSES} and \
             {OPENS}{METADATA}KEY{CLOSES}."
        ),
    ))
}

/// The policies as they are for who asks. A rule whose placeholder stands for nothing, or for what would mean more than itself
/// in a path, is left out.
pub fn for_asker(mut policies: Vec<(Name, Policy)>, asker: &Asker) -> Vec<(Name, Policy)> {
    for (_, policy) in &mut policies {
        if policy.rules.iter().any(|rule| is_template(&rule.path)) {
            let rules = std::mem::take(&mut policy.rules);
            policy.rules = rules.into_iter().filter_map(|rule| expanded(rule, asker)).collect();
        }
    }
    policies
}

fn expanded(rule: Rule, asker: &Asker) -> Option<Rule> {
    if !is_template(&rule.path) {
        return Some(rule);
    }
    let mut path = String::new();
    for (plain, placeholder) in pieces(&rule.path) {
        path.push_str(plain);
        path.push_str(placeholder.map_or(Some(""), |found| asker.value(found))?);
    }
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

    fn decide_for(rules: &[Rule], asker: &Asker, path: &str) -> Decision {
        check_native(rules).unwrap();
        let policies = vec![(Name::parse("p").unwrap(), Policy::new(rules.to_vec(), Time(0)))];
        let policies = for_asker(policies, asker);
        let set = PolicySet::compile(policies.iter().map(|(_, policy)| policy));
        set.decide(&Access::needs_of(path, Capability::Read), None)
    }

    fn decide(rules: &[Rule], name: Option<&str>, path: &str) -> Decision {
        decide_for(rules, &Asker::new(name, BTreeMap::new()), path)
    }

    #[test]
    fn a_name_stands_for_itself_alone() {
        let own = [Rule::new("secret/home/{{principal.name}}/*", [Capability::Read])];
        assert_eq!(decide(&own, Some("ada"), "secret/home/ada/key"), Decision::Allow);
        assert_eq!(decide(&own, Some("ada"), "secret/home/eve/key"), Decision::NoGrant);
        assert_eq!(
            decide(&own, Some("ada@company"), "secret/home/ada@company/key"),
            Decision::NoGrant,
            "what others call somebody"
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
    fn metadata_stands_for_itself_alone() {
        let with = |values: &[(&str, &str)]| {
            let pair = |(key, value): &(&str, &str)| (Name::parse(key).unwrap(), (*value).to_owned());
            Asker::new(Some("ada"), values.iter().map(pair).collect())
        };
        let path = "secret/{{principal.metadata.team}}/{{principal.metadata.cost-centre}}-{{principal.name}}/*";
        let own = [Rule::new(path, [Capability::Read])];
        let ada = with(&[("team", "pay ments"), ("cost-centre", "4711")]);
        assert_eq!(decide_for(&own, &ada, "secret/pay ments/4711-ada/key"), Decision::Allow);
        assert_eq!(decide_for(&own, &ada, "secret/other/4711-ada/key"), Decision::NoGrant);
        for values in [
            &[("team", "a")][..],
            &[("team", "a"), ("cost-centre", "")],
            &[("team", "*"), ("cost-centre", "1")],
            &[("team", "+"), ("cost-centre", "1")],
            &[("team", "a/b"), ("cost-centre", "1")],
            &[("team", "{{principal.name}}"), ("cost-centre", "1")],
            &[("team", "a"), ("cost-centre", "1*")],
        ] {
            for path in [
                "secret/a/-ada/key",
                "secret/a/1-ada/key",
                "secret/a/b/1-ada/key",
                "secret/ada/1-ada/key",
            ] {
                assert_eq!(
                    decide_for(&own, &with(values), path),
                    Decision::NoGrant,
                    "{values:?} {path}"
                );
            }
        }
        assert!(names_metadata(path) && !names_metadata("secret/{{principal.name}}"));
    }

    #[test]
    fn other_placeholders_are_refused() {
        for path in [
            "secret/{{principal}}/*",
            "secret/{{ principal.name }}",
            "secret/{{x",
            "secret/a}}",
            "secret/{{principal.metadata.}}",
            "secret/{{principal.metadata.Team}}",
            "secret/{{principal.metadata.a b}}",
            "secret/{{{{principal.name}}}}",
            "secret/{{principal.metadata.{{principal.name}}}}",
        ] {
            let refused = check_native(&[Rule::new(path, [Capability::Read])]).unwrap_err();
            assert!(refused.detail.contains("{{principal.name}}"), "{}", refused.detail);
        }
    }
}
