//! Issuers whose claims are known: what a role must bind, so that a renamed or re-registered project is not taken for
//! the one that was meant, and which jobs run code that nobody may have looked at.

use serde_json::{Map, Value};

use super::{Accepted, Bounds, Denied, Preset, Scalar};
use crate::{Error, Result};

/// Ids that are given once, and what says which of a project's jobs it is.
struct Known {
    ids: &'static [&'static str],
    jobs: &'static [&'static str],
}

impl Preset {
    fn known(self) -> Known {
        match self {
            Self::GithubActions => Known {
                ids: &["repository_id", "repository_owner_id"],
                jobs: &["environment", "ref", "job_workflow_ref", "workflow_ref"],
            },
            Self::Gitlab => Known {
                ids: &["project_id", "namespace_id"],
                jobs: &["environment", "ref", "ref_path", "ref_protected", "ci_config_ref_uri"],
            },
        }
    }

    pub(super) fn check(self, bounds: &Bounds) -> Result<()> {
        let known = self.known();
        let one_of = |names: &[&str]| names.iter().any(|name| bounds.claims.contains_key(*name));
        let listed = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("'{name}'"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !one_of(known.ids) {
            return Err(Error::invalid(format!(
                "'bounds.claims' binds one of {}: names can be given to somebody else.",
                listed(known.ids)
            )));
        }
        if !one_of(known.jobs) {
            return Err(Error::invalid(format!(
                "'bounds.claims' binds one of {} too: every job of the project would do.",
                listed(known.jobs)
            )));
        }
        Ok(())
    }

    /// The same again when somebody logs in, and whether the job is one that runs what was proposed.
    pub(super) fn admit(self, bounds: &Bounds, claims: &Map<String, Value>) -> std::result::Result<(), Denied> {
        self.check(bounds).map_err(|_| Denied::Unbound)?;
        match self {
            Self::GithubActions => admit_github(bounds, claims),
            Self::Gitlab => admit_gitlab(bounds, claims),
        }
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn admit_github(bounds: &Bounds, claims: &Map<String, Value>) -> std::result::Result<(), Denied> {
    let event = text(claims, "event_name").ok_or(Denied::PullRequest)?;
    let subject = text(claims, "sub").unwrap_or_default();
    if !bounds.pull_requests && (event.starts_with("pull_request") || is_pull_request(subject)) {
        return Err(Denied::PullRequest);
    }
    Ok(())
}

/// Of `repo:OWNER/NAME:CONTEXT` and `repo:OWNER@ID/NAME@ID:CONTEXT`, where organisations have not made up their own.
fn is_pull_request(subject: &str) -> bool {
    let context = subject.strip_prefix("repo:").and_then(|rest| rest.split_once(':'));
    context.is_some_and(|(_, context)| context == "pull_request")
}

fn admit_gitlab(bounds: &Bounds, claims: &Map<String, Value>) -> std::result::Result<(), Denied> {
    let source = text(claims, "pipeline_source").ok_or(Denied::PullRequest)?;
    let path = text(claims, "ref_path").unwrap_or_default();
    let proposed = source.ends_with("merge_request_event")
        || source.ends_with("pull_request_event")
        || path.starts_with("refs/merge-requests/");
    if proposed && !bounds.pull_requests {
        return Err(Denied::PullRequest);
    }
    // Whoever may push to it at all may change what runs there; a role can say that this is meant.
    let unprotected = Scalar::Text("false".into());
    let meant = |accepted: &Accepted| accepted.values().contains(&unprotected);
    let protected = text(claims, "ref_protected") == Some("true");
    if protected || bounds.pull_requests || bounds.claims.get("ref_protected").is_some_and(meant) {
        Ok(())
    } else {
        Err(Denied::Unprotected)
    }
}
