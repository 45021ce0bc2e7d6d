//! Evaluating flags: from the compiled set, behind the fence, without an entry.

use std::sync::Arc;

use serde_json::{Map, Value};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::flag::{FlagKey, FlagPath, FlagSetName};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Result, Time};
use strongroom_flags::{Context, Evaluation, Failure};

use super::Compiled;
use crate::Broker;
use crate::record::{Attempt, Served};
use crate::request::Request;

/// Whose flags are evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedSet {
    Named(FlagSetName),
    /// Those that the caller's browser key is bound to.
    Bound,
}

impl AskedSet {
    /// The set, or a flag of it, as far as the request says it.
    fn path(&self, key: Option<&FlagKey>) -> String {
        match (self, key) {
            (Self::Named(set), Some(key)) => format!("{set}/{key}"),
            (Self::Named(set), None) => set.to_string(),
            (Self::Bound, _) => String::new(),
        }
    }
}

/// What the flags of a set give.
#[derive(Debug, Clone)]
pub struct Evaluations {
    pub set: FlagSetName,
    /// In key order.
    pub flags: Vec<(String, Evaluation)>,
    pub metadata: Arc<Map<String, Value>>,
}

fn seconds(now: Time) -> i64 {
    now.0.div_euclid(1_000_000)
}

fn broken(compiled: &Compiled, why: &Failure) -> Evaluation {
    Evaluation {
        outcome: Err(why.clone()),
        metadata: compiled.set.metadata().clone(),
    }
}

impl Broker {
    /// What a flag gives; none: there is no such flag.
    pub async fn evaluate(
        &self,
        request: &Request,
        asked: &AskedSet,
        key: &FlagKey,
        context: &Context,
    ) -> Result<Option<Evaluation>> {
        let name = asked.path(Some(key));
        let serving = self.serve(request, Action::FlagEvaluate, &name, |attempt| async move {
            let path = FlagPath {
                set: attempt.session.set(asked)?.clone(),
                key: key.clone(),
            };
            attempt.authorise(Access::Flag(&path, Capability::Read))?;
            let compiled = self.compiled(&path.set).await?;
            let key = path.key.as_str();
            let is_broken = || compiled.broken.get(key).map(|why| broken(&compiled, why));
            let answer = compiled
                .set
                .evaluate(key, context, seconds(attempt.now))
                .or_else(is_broken);
            Ok(self.evaluated_by(&path.set, (answer, compiled)))
        });
        let (answer, compiled) = serving.await?;
        if let Some(evaluation) = &answer {
            self.note_evaluation(&compiled, key.as_str(), evaluation, false);
        }
        Ok(answer)
    }

    /// What each flag of a set gives that the caller may read.
    pub async fn evaluate_all(&self, request: &Request, asked: &AskedSet, context: &Context) -> Result<Evaluations> {
        let name = asked.path(None);
        let serving = self.serve(request, Action::FlagEvaluate, &name, |attempt| async move {
            let set = attempt.session.set(asked)?;
            let compiled = self.compiled(set).await?;
            let may = |key: &str| Self::may_evaluate(&attempt, set, key);
            let failing = compiled.broken.iter().filter(|(key, _)| may(key));
            let failing = failing.map(|(key, why)| (key.as_str(), broken(&compiled, why)));
            let whole = compiled.set.evaluate_where(context, seconds(attempt.now), may);
            let own = whole.chain(failing);
            let mut flags: Vec<_> = own.map(|(key, evaluation)| (key.to_owned(), evaluation)).collect();
            if flags.is_empty() {
                attempt.authorise(Access::FlagSet(set, Capability::Read))?;
            }
            flags.sort_by(|(a, _), (b, _)| a.cmp(b));
            let metadata = compiled.set.metadata().clone();
            let evaluations = Evaluations {
                set: set.clone(),
                flags,
                metadata,
            };
            Ok(self.evaluated_by(set, (evaluations, compiled)))
        });
        let (answer, compiled) = serving.await?;
        for (key, evaluation) in &answer.flags {
            self.note_evaluation(&compiled, key, evaluation, true);
        }
        Ok(answer)
    }

    fn evaluated_by<T>(&self, set: &FlagSetName, answer: T) -> Served<T> {
        Served::resting_on(vec![self.set_key(set)], answer)
    }

    fn may_evaluate(attempt: &Attempt, set: &FlagSetName, key: &str) -> bool {
        let path = |key| FlagPath { set: set.clone(), key };
        FlagKey::parse(key).is_ok_and(|key| attempt.authorise(Access::Flag(&path(key), Capability::Read)).is_ok())
    }
}
