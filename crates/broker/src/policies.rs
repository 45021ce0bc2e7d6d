//! Policies, and what all administered nouns share: read, list, write and delete by name.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::{Capability, Layout, Policy, Rule, check_native};
use strongroom_domain::{Code, Error, Kind, Name, Result, Time};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyView {
    pub name: Name,
    pub rules: Vec<Rule>,
    pub created_at: Time,
    pub updated_at: Time,
}

fn view(name: Name, policy: Policy) -> PolicyView {
    PolicyView {
        name,
        rules: policy.rules,
        created_at: policy.created_at,
        updated_at: policy.updated_at,
    }
}

fn absent(kind: Kind) -> Error {
    Error::new(Code::NotFound, format!("There is no such {}.", kind.name()))
}

/// Reads and deletes of one noun, as the log and the decision name them.
#[derive(Clone, Copy)]
pub(crate) struct Noun<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) action: Action,
    pub(crate) access: Access<'a>,
}

impl Broker {
    pub(crate) async fn get_object<T: DeserializeOwned>(
        &self,
        request: &Request,
        noun: Noun<'_>,
    ) -> Result<Checked<T>> {
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(noun.access)?;
            let found = self
                .load::<T>(noun.kind, noun.name)
                .await?
                .value
                .ok_or_else(|| absent(noun.kind))?;
            Ok(Served::fresh(found))
        })
        .await
    }

    /// A page of a noun's objects in name order, and where to go on.
    pub(crate) async fn list_objects<T: DeserializeOwned>(
        &self,
        request: &Request,
        noun: Noun<'_>,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<Checked<T>>, Option<String>)> {
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(noun.access)?;
            let found = self
                .ask(
                    self.0
                        .store
                        .list(attempt.now, self.0.namespace, noun.kind, "", after, limit),
                )
                .await?;
            let full = found.value.len() == usize::from(limit);
            let objects = found
                .value
                .into_iter()
                .map(|record| self.check::<T>(record))
                .collect::<Result<Vec<_>>>()?;
            let next = objects.last().filter(|_| full).map(|object| object.record.name.clone());
            Ok(Served::fresh((objects, next)))
        })
        .await
    }

    pub(crate) async fn delete_object<T: DeserializeOwned>(&self, request: &Request, noun: Noun<'_>) -> Result<()> {
        let asked = Asked {
            action: noun.action,
            path: noun.name.to_owned(),
            locks: vec![self.key(noun.kind, noun.name)],
            id: self.change_id(request),
            fingerprint: Canon::new(noun.action.name()).text(noun.name).done().into(),
            needs: vec![vec![noun.access]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(noun.access)?;
            let old = self
                .load::<T>(noun.kind, noun.name)
                .await?
                .value
                .ok_or_else(|| absent(noun.kind))?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![remove(&old.record)],
                touches: vec![touch(old.record.key(), noun.action, None)],
                effects: vec![Effect::new(noun.action, noun.name)],
                answer: (),
            }))
        })
        .await
    }

    /// Inserts or replaces an object by name. `make` gets the old body.
    pub(crate) async fn put_object<'n, T, V, F>(
        &self,
        request: &Request,
        noun: Noun<'_>,
        access: impl Fn(Capability) -> Access<'n> + Sync,
        fingerprint: &[u8],
        make: impl Fn(Option<T>, Time) -> F + Sync,
    ) -> Result<V>
    where
        T: Serialize + DeserializeOwned + Send,
        V: Serialize + DeserializeOwned + Send,
        F: Future<Output = Result<(T, V)>> + Send,
    {
        let asked = Asked {
            action: noun.action,
            path: noun.name.to_owned(),
            locks: vec![self.key(noun.kind, noun.name)],
            id: self.change_id(request),
            fingerprint: Canon::new(noun.action.name())
                .text(noun.name)
                .bytes(fingerprint)
                .done()
                .into(),
            needs: vec![vec![access(Capability::Create), access(Capability::Update)]],
        };
        let (access, make) = (&access, &make);
        self.change(request, asked, |attempt| async move {
            let old = self.load::<T>(noun.kind, noun.name).await?.value;
            let capability = if old.is_some() {
                Capability::Update
            } else {
                Capability::Create
            };
            attempt.authorise(access(capability))?;
            let (record, body) = old.map_or((None, None), |old| (Some(old.record), Some(old.body)));
            let (body, answer) = make(body, attempt.now).await?;
            let (record, write) = self.upsert(record.as_ref(), noun.kind, noun.name, &body)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: vec![touch(record.key(), noun.action, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(noun.action, noun.name)
                }],
                answer,
            }))
        })
        .await
    }
}

fn noun(name: &Name, action: Action, capability: Capability) -> Noun<'_> {
    Noun {
        kind: Kind::Policy,
        name: name.as_str(),
        action,
        access: Access::Policy(name, capability),
    }
}

impl Broker {
    pub async fn policy(&self, request: &Request, name: &Name) -> Result<PolicyView> {
        let found = self
            .get_object::<Policy>(request, noun(name, Action::PolicyRead, Capability::Read))
            .await?;
        Ok(view(name.clone(), found.body))
    }

    pub async fn policies(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<PolicyView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Policy,
            name: "",
            action: Action::PolicyRead,
            access: Access::Policies,
        };
        let (found, next) = self.list_objects::<Policy>(request, noun, after, limit).await?;
        let views = found
            .into_iter()
            .map(|object| Ok(view(Name::parse(&object.record.name)?, object.body)));
        Ok((views.collect::<Result<_>>()?, next))
    }

    pub async fn put_policy(&self, request: &Request, name: &Name, rules: RuleSet) -> Result<PolicyView> {
        check_native(&rules.rules)?;
        let rules = &rules.rules;
        let fingerprint = serde_json::to_vec(rules).map_err(Error::internal)?;
        let noun = noun(name, Action::PolicyWrite, Capability::Update);
        self.put_object(
            request,
            noun,
            |capability| Access::Policy(name, capability),
            &fingerprint,
            |old: Option<Policy>, now| async move {
                let policy = Policy {
                    layout: Layout::Native,
                    rules: rules.clone(),
                    created_at: old.map_or(now, |old| old.created_at),
                    updated_at: now,
                };
                Ok((policy.clone(), view(name.clone(), policy)))
            },
        )
        .await
    }

    pub async fn delete_policy(&self, request: &Request, name: &Name) -> Result<()> {
        self.delete_object::<Policy>(request, noun(name, Action::PolicyDelete, Capability::Delete))
            .await
    }
}
