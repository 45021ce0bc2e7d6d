//! Why something is allowed or denied: to whoever asks about itself, and to whoever may ask about others.

use std::net::IpAddr;

use strongroom_domain::access::Access;
use strongroom_domain::audit::{Action, Denial, EntryId, OutcomeKind, StoredEntry};
use strongroom_domain::policy::{Capability, Decision, Explanation, explain, explain_anywhere, for_asker};
use strongroom_domain::{Code, Error, PrincipalId, Result};

use crate::Broker;
use crate::record::{Attempt, Served};
use crate::request::Request;

/// What is to be explained.
#[derive(Debug, Clone)]
pub enum ExplainQuery {
    /// What was denied, as its answer named it; kept as it was said, so that what is no name of ours is one of nothing.
    Denial(String),
    /// What would be decided now.
    Access {
        capability: Capability,
        /// With its root.
        path: String,
        /// An id, or the name of a client or an operator; none: whoever asks.
        principal: Option<String>,
        /// Of another: from where. None: from anywhere.
        from: Option<IpAddr>,
    },
}

#[derive(Debug, Clone)]
pub struct Explained {
    pub capability: Capability,
    pub path: String,
    pub principal: PrincipalId,
    /// None: all is allowed, whatever policies say.
    pub explanation: Option<Explanation>,
}

/// About what, by whom, and from where.
struct Question {
    capability: Capability,
    path: String,
    /// None: whoever asks.
    principal: Option<PrincipalId>,
    from: Option<IpAddr>,
}

fn no_denial() -> Error {
    Error::new(
        Code::NotFound,
        "There is no such denial of yours; to ask about others' needs 'read' on 'sys/explain'.",
    )
}

impl Broker {
    /// Decides again, by the policies as they are now.
    pub async fn explain(&self, request: &Request, query: &ExplainQuery) -> Result<Explained> {
        let about = match query {
            ExplainQuery::Denial(id) => id.as_str(),
            ExplainQuery::Access { path, .. } => path.as_str(),
        };
        self.serve(request, Action::Explain, about, |attempt| async move {
            let question = match query {
                ExplainQuery::Denial(id) => self.denied(&attempt, id).await?,
                ExplainQuery::Access {
                    capability,
                    path,
                    principal,
                    from,
                } => {
                    let principal = self.other(&attempt, principal.as_deref()).await?;
                    let own = || request.source.parse().ok();
                    Question {
                        capability: *capability,
                        path: path.clone(),
                        from: if principal.is_some() { *from } else { own() },
                        principal,
                    }
                }
            };
            Ok(Served::fresh(self.answer(&attempt, question).await?))
        })
        .await
    }

    /// The principal of that name, where it is not the one who asks; only some may ask about others.
    async fn other(&self, attempt: &Attempt, principal: Option<&str>) -> Result<Option<PrincipalId>> {
        let own = attempt.session.principal;
        match principal {
            None => Ok(None),
            Some(text) if PrincipalId::parse(text) == Some(own) => Ok(None),
            Some(text) => {
                attempt.authorise(Access::Explain)?;
                let found = self.principal_called(text).await?;
                Ok(Some(found).filter(|found| *found != own))
            }
        }
    }

    /// What was denied. Whoever may not ask about others learns nothing of their denials, not that there is one.
    async fn denied(&self, attempt: &Attempt, id: &str) -> Result<Question> {
        let denial = Denial::parse(id).ok_or_else(no_denial)?;
        let found = self.entry(attempt, denial.entry).await?.ok_or_else(no_denial)?;
        let entry = found.entry;
        let principal = entry.principal.ok_or_else(no_denial)?;
        let was_denied = entry.outcome == OutcomeKind::Denied && entry.reason == Code::PermissionDenied.number();
        let own = principal == attempt.session.principal;
        if entry.namespace != self.namespace() || !was_denied || !own && attempt.authorise(Access::Explain).is_err() {
            return Err(no_denial());
        }
        let about = |missing| Some((missing, Access::path_of(entry.action, &entry.path, missing)?));
        let Some((capability, path)) = denial.missing.and_then(about) else {
            return Err(Error::invalid(
                "The log does not say what that denial was about, or no policy decided it: ask by 'capability' and 'path', as \
                 its answer named them.",
            ));
        };
        let from = found.source.as_deref().and_then(|source| source.parse().ok());
        Ok(Question {
            capability,
            path,
            principal: Some(principal).filter(|_| !own),
            from,
        })
    }

    /// An entry of the log, if it is still there; its batch is checked as any row is before it is used.
    async fn entry(&self, attempt: &Attempt, id: EntryId) -> Result<Option<StoredEntry>> {
        let (now, store) = (attempt.now, &self.0.store);
        let found = self.ask(store.batches(now, id.batch.before(), 1)).await?.value;
        let Some(batch) = found.into_iter().find(|batch| batch.id == id.batch) else {
            return Ok(None);
        };
        let keys = self.0.ring.keys.load();
        let altered = |_| Error::integrity("An audit batch fails its check.");
        keys.check_batch(&batch).map_err(altered)?;
        let entries = self.ask(store.batch_entries(now, &batch)).await?.value;
        Ok(entries.into_iter().find(|stored| stored.place == id.place))
    }

    async fn answer(&self, attempt: &Attempt, question: Question) -> Result<Explained> {
        let session = &attempt.session;
        let standing = match question.principal {
            None => self.standing_of_session(session).await?,
            Some(principal) => self.standing_of(principal).await?,
        };
        let needs = Access::needs_of(&question.path, question.capability);
        let names = standing.policies();
        let policies = for_asker(self.load_policies(&names).await?.value, &standing.asker);
        let explanation = match question.from {
            // No policy grants it there.
            _ if Access::is_installations(&question.path) && !session.home.is_root => Some(Explanation {
                decision: Decision::NoGrant,
                deciding: None,
                would_allow: None,
            }),
            _ if standing.root => None,
            None if question.principal.is_some() => Some(explain_anywhere(&policies, &needs)),
            from => Some(explain(&policies, &needs, from)),
        };
        Ok(Explained {
            capability: question.capability,
            principal: question.principal.unwrap_or(session.principal),
            path: question.path,
            explanation,
        })
    }
}
