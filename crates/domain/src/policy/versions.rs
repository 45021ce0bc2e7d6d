//! A policy's body, and the rules that it had before.

use serde::{Deserialize, Serialize};

use super::{Layout, Rule};
use crate::error::check_cas;
use crate::{PrincipalId, Result, Time};

/// Earlier rules that a policy keeps, and how many bytes of them: its record is read whenever a token is verified.
const MAX_PAST: usize = 20;
const MAX_PAST_BYTES: usize = 32_768;

/// The body of a policy's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    #[serde(default)]
    pub layout: Layout,
    pub rules: Vec<Rule>,
    /// How many rules it has had, one after the other.
    #[serde(default = "first")]
    pub version: i64,
    /// Who wrote these. None: a program wrote them that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalId>,
    /// The rules before these, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PolicyVersion>,
    pub created_at: Time,
    /// When the rules were written.
    pub updated_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    pub version: i64,
    pub rules: Vec<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalId>,
    pub written_at: Time,
}

fn first() -> i64 {
    1
}

impl Policy {
    /// A first one.
    pub fn new(rules: Vec<Rule>, now: Time) -> Self {
        Self {
            layout: Layout::Native,
            rules,
            version: first(),
            by: None,
            past: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// What `old` becomes with these rules. The same rules again are no other version.
    pub fn written(old: Option<Self>, rules: Vec<Rule>, by: PrincipalId, now: Time) -> Self {
        let Some(old) = old else {
            return Self {
                by: Some(by),
                ..Self::new(rules, now)
            };
        };
        if old.rules == rules {
            return old;
        }
        let version = old.version + 1;
        let mut past = old.past.clone();
        past.push(old.current());
        let over = past.len().saturating_sub(MAX_PAST);
        past.drain(..over);
        while past.len() > 1 && bytes(&past) > MAX_PAST_BYTES {
            past.remove(0);
        }
        Self {
            rules,
            version,
            by: Some(by),
            past,
            updated_at: now,
            ..old
        }
    }

    /// Refuses a write that expects another version; 0: none.
    pub fn check_cas(old: Option<&Self>, cas: Option<i64>) -> Result<()> {
        check_cas(old.map_or(0, |old| old.version), cas)
    }

    fn current(&self) -> PolicyVersion {
        PolicyVersion {
            version: self.version,
            rules: self.rules.clone(),
            by: self.by,
            written_at: self.updated_at,
        }
    }

    /// Every version that is kept, newest first.
    pub fn versions(&self) -> Vec<PolicyVersion> {
        let past = self.past.iter().rev().cloned();
        [self.current()].into_iter().chain(past).collect()
    }
}

fn bytes(past: &[PolicyVersion]) -> usize {
    let rules = past.iter().flat_map(|version| &version.rules);
    rules
        .map(|rule| rule.path.len() + 16 * (rule.capabilities.len() + rule.networks.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Capability, MAX_PATTERN, MAX_RULES};

    fn rules(path: &str) -> Vec<Rule> {
        vec![Rule::new(path, [Capability::Read])]
    }

    const WHO: PrincipalId = PrincipalId([1; 16]);

    #[test]
    fn it_keeps_the_newest_of_its_past() {
        let mut policy = None;
        for at in 1..=30 {
            policy = Some(Policy::written(policy, rules(&format!("secret/{at}")), WHO, Time(at)));
        }
        let policy = policy.unwrap();
        let kept = policy.versions();
        assert_eq!(kept.len(), MAX_PAST + 1);
        for (version, at) in kept.iter().zip((1..=30).rev()) {
            assert_eq!(
                (version.version, version.written_at, version.by),
                (at, Time(at), Some(WHO))
            );
            assert_eq!(version.rules, rules(&format!("secret/{at}")));
        }
        assert_eq!(policy.created_at, Time(1));
        let same = Policy::written(
            Some(policy.clone()),
            policy.rules.clone(),
            PrincipalId([2; 16]),
            Time(99),
        );
        assert_eq!(same, policy, "the same rules are no other version");
    }

    #[test]
    fn large_rules_do_not_pile_up() {
        let large = |at: i64| vec![Rule::new(format!("secret/{at:0>590}"), [Capability::Read]); MAX_RULES];
        let mut policy = Policy::written(None, large(0), WHO, Time(0));
        for at in 1..9 {
            policy = Policy::written(Some(policy), large(at), WHO, Time(at));
            assert!(policy.past.len() == 1 || bytes(&policy.past) <= MAX_PAST_BYTES);
            assert_eq!(
                policy.past.last().unwrap().version,
                at,
                "the one before is always there"
            );
        }
        assert!(large(0)[0].path.len() <= MAX_PATTERN);
    }

    #[test]
    fn a_body_without_versions_is_a_first_one() {
        let old = r#"{"rules":[{"path":"secret/a","capabilities":["read"]}],"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}"#;
        let policy: Policy = serde_json::from_str(old).unwrap();
        assert_eq!((policy.version, policy.by, policy.past.len()), (1, None, 0));
        assert_eq!(policy.versions()[0].rules, rules("secret/a"));
        let next = Policy::written(Some(policy.clone()), rules("secret/b"), WHO, Time(5));
        assert_eq!((next.version, next.past[0].by), (2, None));
        assert!(Policy::check_cas(Some(&next), Some(1)).is_err() && Policy::check_cas(Some(&next), Some(2)).is_ok());
        assert!(Policy::check_cas(None, Some(0)).is_ok() && Policy::check_cas(Some(&policy), Some(0)).is_err());
        assert!(Policy::check_cas(Some(&next), None).is_ok());
    }
}
