//! Policies, and what all administered nouns share: read, list, write and delete by name.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::{BUILT_IN, Capability, Policy, PolicyVersion, Rule, built_in, check_native};
use strongroom_domain::{Code, Error, Kind, Name, Result, Time, method};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    pub rules: Vec<Rule>,
    /// Compared with the policy's version; 0: there is none.
    pub cas: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyView {
    pub name: Name,
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub built_in: bool,
    /// None: built in.
    #[serde(default)]
    pub version: Option<i64>,
    /// None: built in.
    pub created_at: Option<Time>,
    pub updated_at: Option<Time>,
}

fn view(name: Name, policy: Policy) -> PolicyView {
    PolicyView {
        name,
        rules: policy.rules,
        built_in: false,
        version: Some(policy.version),
        created_at: Some(policy.created_at),
        updated_at: Some(policy.updated_at),
    }
}

fn view_built_in(name: &Name) -> Option<PolicyView> {
    Some(PolicyView {
        name: name.clone(),
        rules: built_in(name)?.rules,
        built_in: true,
        version: None,
        created_at: None,
        updated_at: None,
    })
}

pub(crate) fn unchangeable(kind: Kind, name: &str) -> Error {
    Error::new(
        Code::BuiltIn,
        format!(
            "The {} '{name}' is built in: it cannot be written or deleted.",
            kind.name()
        ),
    )
}

pub(crate) fn absent(noun: Noun<'_>) -> Error {
    let built_in = match noun.kind {
        Kind::Policy => BUILT_IN.contains(&noun.name),
        Kind::Method => method::BUILT_IN.contains(&noun.name),
        _ => false,
    };
    if built_in {
        return unchangeable(noun.kind, noun.name);
    }
    Error::new(Code::NotFound, format!("There is no such {}.", noun.kind.name()))
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
            let found = self.load::<T>(noun.kind, noun.name).await?.value;
            let found = found.ok_or_else(|| absent(noun))?;
            Ok(Served::resting_on(vec![self.manifest_key()], found))
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
            let (kind, most) = (noun.kind, usize::from(limit));
            let list = || async move {
                let found = self.0.store.list(attempt.now, self.namespace(), kind, "", after, limit);
                self.ask(found).await
            };
            let found = self
                .read_rows::<T, _>(
                    kind,
                    list,
                    |record| record.kind == kind,
                    |manifest, found| manifest.judge_page(kind, after, found.len() == most, found),
                )
                .await?;
            let found = found.value;
            let next = found.last.filter(|_| found.count == most);
            Ok(Served::resting_on(vec![self.manifest_key()], (found.held, next)))
        })
        .await
    }

    /// The same, each as it is shown beside its name.
    pub(crate) async fn list_views<T: DeserializeOwned, V>(
        &self,
        request: &Request,
        noun: Noun<'_>,
        after: &str,
        limit: u16,
        view: impl Fn(Name, T) -> V,
    ) -> Result<(Vec<V>, Option<String>)> {
        let (found, next) = self.list_objects(request, noun, after, limit).await?;
        let views = found
            .into_iter()
            .map(|object| Ok(view(Name::parse(&object.record.name)?, object.body)));
        Ok((views.collect::<Result<_>>()?, next))
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
                .ok_or_else(|| absent(noun))?;
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
        let make = |old, attempt: &Attempt| make(old, attempt.now);
        self.put_object_by(request, noun, access, fingerprint, make).await
    }

    /// The same, where it matters who puts it.
    pub(crate) async fn put_object_by<'n, T, V, F>(
        &self,
        request: &Request,
        noun: Noun<'_>,
        access: impl Fn(Capability) -> Access<'n> + Sync,
        fingerprint: &[u8],
        make: impl Fn(Option<T>, &Attempt) -> F + Sync,
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
            let (body, answer) = make(body, &attempt).await?;
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
        let noun = noun(name, Action::PolicyRead, Capability::Read);
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(noun.access)?;
            let stored = self.load::<Policy>(noun.kind, noun.name).await?.value;
            let found = stored.map(|stored| view(name.clone(), stored.body));
            let found = found.or_else(|| view_built_in(name));
            let found = found.ok_or_else(|| absent(noun))?;
            Ok(Served::resting_on(vec![self.manifest_key()], found))
        })
        .await
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
        let (views, next) = self.list_views(request, noun, after, limit, view).await?;
        Ok(with_built_in(
            views,
            next,
            after,
            limit.into(),
            all_built_in(),
            |view| &view.name,
        ))
    }

    /// Its versions that are kept, newest first. One that is built in never changes, and has none.
    pub async fn policy_history(&self, request: &Request, name: &Name) -> Result<Vec<PolicyVersion>> {
        let noun = noun(name, Action::PolicyHistory, Capability::Read);
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(noun.access)?;
            let stored = self.load::<Policy>(noun.kind, noun.name).await?.value;
            let built_in = || built_in(name).map(|_| Vec::new());
            let versions = stored.map(|stored| stored.body.versions()).or_else(built_in);
            Ok(Served::fresh(versions.ok_or_else(|| absent(noun))?))
        })
        .await
    }

    pub async fn put_policy(&self, request: &Request, name: &Name, new: RuleSet) -> Result<PolicyView> {
        check_native(&new.rules)?;
        let fingerprint = serde_json::to_vec(&(&new.rules, new.cas)).map_err(Error::internal)?;
        let noun = noun(name, Action::PolicyWrite, Capability::Update);
        let new = &new;
        self.put_object_by(
            request,
            noun,
            |capability| Access::Policy(name, capability),
            &fingerprint,
            |old: Option<Policy>, attempt| {
                let (by, now) = (attempt.session.principal, attempt.now);
                async move {
                    if old.is_none() && built_in(name).is_some() {
                        return Err(unchangeable(Kind::Policy, name.as_str()));
                    }
                    Policy::check_cas(old.as_ref(), new.cas)?;
                    let policy = Policy::written(old, new.rules.clone(), by, now);
                    Ok((policy.clone(), view(name.clone(), policy)))
                }
            },
        )
        .await
    }

    pub async fn delete_policy(&self, request: &Request, name: &Name) -> Result<()> {
        self.delete_object::<Policy>(request, noun(name, Action::PolicyDelete, Capability::Delete))
            .await
    }
}

/// A page of stored objects with the built-in ones that belong on it: behind `after`, and before where the next begins.
pub(crate) fn with_built_in<V>(
    mut page: Vec<V>,
    mut next: Option<String>,
    after: &str,
    limit: usize,
    built_in: Vec<V>,
    name: impl Fn(&V) -> &Name,
) -> (Vec<V>, Option<String>) {
    let here = |view: &V| {
        let name = name(view).as_str();
        name > after && next.as_deref().is_none_or(|next| name < next)
    };
    let missing: Vec<_> = built_in
        .into_iter()
        .filter(here)
        .filter(|view| page.iter().all(|stored| name(stored) != name(view)))
        .collect();
    page.extend(missing);
    page.sort_by(|a, b| name(a).cmp(name(b)));
    if page.len() > limit {
        page.truncate(limit);
        next = page.last().map(|last| name(last).to_string());
    }
    (page, next)
}

fn all_built_in() -> Vec<PolicyView> {
    let views = BUILT_IN
        .iter()
        .filter_map(|name| view_built_in(&Name::parse(name).ok()?));
    views.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    /// What the store gives for a page.
    fn stored(all: &[&str], after: &str, limit: usize) -> (Vec<PolicyView>, Option<String>) {
        let page: Vec<_> = all.iter().filter(|name| ***name > *after).take(limit).collect();
        let next = page
            .last()
            .filter(|_| page.len() == limit)
            .map(|last| (**last).to_owned());
        let view = |name: &&&str| PolicyView {
            built_in: false,
            ..view_built_in(&Name::parse("admin").unwrap())
                .map(|view| PolicyView {
                    name: Name::parse(name).unwrap(),
                    ..view
                })
                .unwrap()
        };
        (page.iter().map(view).collect(), next)
    }

    #[tokio::test]
    async fn a_policy_that_was_there_before_the_built_in_one_stands() {
        let place = Place::new().await;
        let (broker, name) = (&place.broker, Name::parse("reader").unwrap());
        let rules = vec![Rule::new("secret/own/*", [Capability::Read])];
        let policy = Policy::new(rules.clone(), Time(1));
        // As a program wrote it that had no such policy.
        let (access, made) = (|capability| Access::Policy(&name, capability), (policy, ()));
        let noun = noun(&name, Action::PolicyWrite, Capability::Update);
        broker
            .put_object(&place.request(), noun, access, b"", |_, _| {
                std::future::ready(Ok(made.clone()))
            })
            .await
            .unwrap();
        let granted = async || {
            let names = std::slice::from_ref(&name);
            let found = broker.load_policies(names).await.unwrap().value;
            found.into_iter().map(|(_, policy)| policy.rules).collect::<Vec<_>>()
        };
        assert_eq!(
            granted().await,
            std::slice::from_ref(&rules),
            "an upgrade gives nobody more than before"
        );
        let view = broker.policy(&place.request(), &name).await.unwrap();
        assert!(!view.built_in && view.rules == rules);
        let listed = broker.policies(&place.request(), "", 100).await.unwrap().0;
        assert_eq!(listed.iter().filter(|view| view.built_in).count(), 3);
        broker
            .put_policy(&place.request(), &name, RuleSet { rules, cas: None })
            .await
            .unwrap();
        broker.delete_policy(&place.request(), &name).await.unwrap();
        assert_eq!(granted().await, [built_in(&name).unwrap().rules]);
        let again = broker.delete_policy(&place.request(), &name).await;
        assert_eq!(again.unwrap_err().code, Code::BuiltIn);
    }

    #[test]
    fn pages_of_every_size_show_each_policy_once() {
        let own = ["a", "admin", "b", "m", "operators", "p", "s", "t", "z"];
        let mut all: Vec<&str> = own.iter().chain(&BUILT_IN).copied().collect();
        all.sort_unstable();
        all.dedup();
        for limit in 1..15 {
            let (mut seen, mut after) = (Vec::new(), String::new());
            for page in 0.. {
                assert!(page < 30, "it ends");
                let (found, next) = stored(&own, &after, limit);
                let (found, next) = with_built_in(found, next, &after, limit, all_built_in(), |view| &view.name);
                assert!(found.len() <= limit);
                seen.extend(found.into_iter().map(|view| (view.name.to_string(), view.built_in)));
                match next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, all, "by {limit}");
            // One's own under a built-in one's name is shown as what it is.
            assert!(
                seen.iter()
                    .all(|(name, built_in)| *built_in == (BUILT_IN.contains(&name.as_str()) && name != "admin"))
            );
        }
    }
}
