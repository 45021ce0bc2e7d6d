//! What concerns a whole set of flags: its document, and what its flags share.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::error::check_cas;
use strongroom_domain::flag::{Flag, FlagKey, FlagPath, FlagSet, FlagSetName};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Error, Kind, Name, Result};
use strongroom_flags::{Definition, Evaluators, Mistake, parse_flagd, set_to_flagd};

use super::write::{Writing, all_mistaken, mistaken};
use crate::Broker;
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rows::touch;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagSetView {
    pub project: Name,
    pub environment: Name,
    pub set: FlagSet,
}

/// What the flags of a set share, as it is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetRules {
    pub evaluators: Map<String, Value>,
    pub metadata: Map<String, Value>,
    /// Compared with the set's version; 0: there is none.
    pub cas: Option<i64>,
}

fn view(name: &FlagSetName, set: FlagSet) -> FlagSetView {
    FlagSetView {
        project: name.project.clone(),
        environment: name.environment.clone(),
        set,
    }
}

fn no_set() -> Error {
    Error::new(Code::NotFound, "There are no flags of this project and environment.")
}

fn document(flags: &[(FlagKey, Flag)], set: FlagSet) -> Result<Value> {
    let of_ours = |mistake: Mistake| Error::internal(mistake.to_string());
    let evaluators = Evaluators::parse(&set.evaluators.into()).map_err(of_ours)?;
    let definitions = flags.iter().map(|(key, flag)| {
        let definition = Definition::parse(&flag.definition, &evaluators).map_err(of_ours)?;
        Ok((key.as_str(), definition))
    });
    let definitions = definitions.collect::<Result<Vec<_>>>()?;
    let named = definitions.iter().map(|(key, definition)| (*key, definition));
    Ok(set_to_flagd(named, &evaluators, &set.metadata))
}

impl Broker {
    /// A page of the sets of which the caller may see a name.
    pub async fn flag_sets(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<FlagSetView>, Option<String>)> {
        self.serve(request, Action::FlagSetRead, "", |attempt| async move {
            let (at, most) = (self.namespace(), usize::from(limit));
            let page = self.0.store.list(attempt.now, at, Kind::FlagSet, "", after, limit);
            let page = self.ask(page).await?.value;
            let next = page.last().filter(|_| page.len() == most).map(|last| last.name.clone());
            let mut views = Vec::new();
            for record in page {
                let name = FlagSetName::parse(&record.name)?;
                if attempt.shows(&format!("flag/{}/", name.project), &format!("flag/{name}")) {
                    views.push(view(&name, self.check::<FlagSet>(record)?.body));
                }
            }
            if after.is_empty() && views.is_empty() && next.is_none() {
                // Nothing to show: whoever may not list learns no more than that.
                attempt.authorise(Access::FlagSets)?;
            }
            Ok(Served::fresh((views, next)))
        })
        .await
    }

    pub async fn flag_set(&self, request: &Request, name: &FlagSetName) -> Result<FlagSetView> {
        let (text, access) = (name.to_string(), Access::FlagSet(name, Capability::Read));
        self.serve(request, Action::FlagSetRead, &text, |attempt| {
            let text = &text;
            async move {
                attempt.authorise(access)?;
                let found = self.load::<FlagSet>(Kind::FlagSet, text).await?.value;
                Ok(Served::fresh(view(name, found.ok_or_else(no_set)?.body)))
            }
        })
        .await
    }

    pub async fn put_flag_set(&self, request: &Request, name: &FlagSetName, rules: &SetRules) -> Result<FlagSetView> {
        let fingerprint = serde_json::to_vec(rules).map_err(Error::internal)?;
        let asked = self.asked_of_set(request, name, Action::FlagSetWrite, &fingerprint);
        self.change(request, asked, |attempt| async move {
            let mut change = self.begin_writing(name, Action::FlagSetWrite).await?;
            let set = self.write_rules(&mut change, &attempt, name, rules)?;
            self.check_all(name, &change.evaluators, &[]).await?;
            Ok(change.decided(view(name, set)))
        })
        .await
    }

    /// flagd's document of the set: the flags that the caller may read.
    pub async fn flag_document(&self, request: &Request, name: &FlagSetName) -> Result<Value> {
        let text = name.to_string();
        self.serve(request, Action::FlagSetRead, &text, |attempt| {
            let text = &text;
            async move {
                let whole = attempt.authorise(Access::FlagSet(name, Capability::Read));
                let set = self.load::<FlagSet>(Kind::FlagSet, text).await?.value;
                let mut own = Vec::new();
                for found in self.flags_of(name).await? {
                    let path = FlagPath::parse(&found.record.name)?;
                    if attempt.authorise(Access::Flag(&path, Capability::Read)).is_ok() {
                        own.push((path.key, found.body));
                    }
                }
                if own.is_empty() {
                    whole?;
                }
                let set = set.ok_or_else(no_set)?.body;
                Ok(Served::fresh(document(&own, set)?))
            }
        })
        .await
    }

    /// Adds to a change what it takes for the set to share these. The same again changes nothing.
    pub(crate) fn write_rules(
        &self,
        change: &mut Writing,
        attempt: &Attempt,
        name: &FlagSetName,
        rules: &SetRules,
    ) -> Result<FlagSet> {
        let parsed = Evaluators::parse(&rules.evaluators.clone().into());
        change.evaluators = parsed.map_err(|mistake| mistaken("'evaluators'", &mistake))?;
        parse_flagd(&json!({ "flags": {}, "metadata": rules.metadata })).map_err(|mistakes| all_mistaken(&mistakes))?;
        let old = change.set.take();
        let current = old.as_ref().map_or(0, |old| old.body.version);
        check_cas(current, rules.cas)?;
        let new = FlagSet {
            evaluators: rules.evaluators.clone(),
            metadata: rules.metadata.clone(),
            version: current + 1,
            created_at: old.as_ref().map_or(attempt.now, |old| old.body.created_at),
            updated_at: attempt.now,
        };
        if let Some(old) = &old
            && (&old.body.evaluators, &old.body.metadata) == (&new.evaluators, &new.metadata)
        {
            let body = old.body.clone();
            change.set = Some(old.clone());
            return Ok(body);
        }
        let record = old.as_ref().map(|old| &old.record);
        let (record, write) = self.upsert(record, Kind::FlagSet, &name.to_string(), &new)?;
        change.writes.push(write);
        change
            .touches
            .push(touch(record.key(), change.action, Some(new.version)));
        change.effects.push(Effect {
            version: Some(new.version),
            digest: Some(record.digest()),
            ..Effect::new(change.action, name.to_string())
        });
        Ok(new)
    }

    /// Refuses rules that a flag of the set cannot be read with; those that are written anew were looked at.
    pub(crate) async fn check_all(&self, name: &FlagSetName, rules: &Evaluators, written: &[String]) -> Result<()> {
        for found in self.flags_of(name).await? {
            let key = &found.record.name[name.start().len()..];
            if written.iter().any(|written| written == key) {
                continue;
            }
            if let Err(mistake) = Definition::parse(&found.body.definition, rules) {
                return Err(mistaken(&format!("Flag '{key}' would not hold: "), &mistake));
            }
        }
        Ok(())
    }
}
