//! Feature flags: what is administered one by one. Each write keeps a version.

mod browser_keys;
mod compiled;
mod counts;
mod evaluate;
mod sets;
mod stream;
mod used;
mod write;

pub(crate) use browser_keys::{BROWSER_KEY_PREFIX, fixed_policy, namespace_of_key};
pub use browser_keys::{BrowserKeyView, CreatedBrowserKey, NewBrowserKey};
pub(crate) use compiled::{Compiled, CompiledSets};
pub(crate) use counts::Tallies;
pub use counts::{CountsAsked, VariantCount};
pub use evaluate::{AskedSet, Evaluations};
pub use sets::{FlagSetView, SetRules};
pub use stream::FlagStream;
pub use used::{StaleFlag, StaleFlags, Staleness, VariantUse};
pub use write::CopyFlags;

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::flag::{Flag, FlagPath, FlagSetName, NewFlag};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Error, Kind, Result};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::policies::{Noun, absent};
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::rows::{remove, touch};

/// A flag, or one of its versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagView {
    pub key: String,
    pub flag: Flag,
}

pub(crate) fn noun<'a>(path: &'a FlagPath, name: &'a str, action: Action, capability: Capability) -> Noun<'a> {
    Noun {
        kind: Kind::Flag,
        name,
        action,
        access: Access::Flag(path, capability),
    }
}

impl Broker {
    pub async fn flag(&self, request: &Request, path: &FlagPath) -> Result<FlagView> {
        let name = path.to_string();
        let noun = noun(path, &name, Action::FlagRead, Capability::Read);
        let found = self.get_object::<Flag>(request, noun).await?;
        Ok(FlagView {
            key: path.key.to_string(),
            flag: found.body,
        })
    }

    /// A page of a set's flags by key: those that the caller may read.
    pub async fn flags(
        &self,
        request: &Request,
        set: &FlagSetName,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<FlagView>, Option<String>)> {
        let name = set.to_string();
        self.serve(request, Action::FlagSetRead, &name, |attempt| async move {
            attempt.authorise(Access::FlagSet(set, Capability::List))?;
            let start = set.start();
            let (at, most) = (self.namespace(), usize::from(limit));
            // Behind every key of other sets that come before.
            let after = if after.is_empty() {
                String::new()
            } else {
                format!("{start}{after}")
            };
            let page = self.0.store.list(attempt.now, at, Kind::Flag, &start, &after, limit);
            let page = self.ask(page).await?.value;
            let next = page.last().filter(|_| page.len() == most);
            let next = next.map(|last| last.name[start.len()..].to_owned());
            let mut views = Vec::new();
            for record in page {
                let path = FlagPath::parse(&record.name)?;
                if attempt.authorise(Access::Flag(&path, Capability::Read)).is_ok() {
                    views.push(FlagView {
                        key: path.key.to_string(),
                        flag: self.check::<Flag>(record)?.body,
                    });
                }
            }
            Ok(Served::fresh((views, next)))
        })
        .await
    }

    /// Its versions that are kept, newest first.
    pub async fn flag_history(&self, request: &Request, path: &FlagPath) -> Result<Vec<Flag>> {
        let name = path.to_string();
        let noun = noun(path, &name, Action::FlagHistory, Capability::Read);
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(noun.access)?;
            let versions = self.versions_of(path).await?;
            if versions.is_empty() {
                return Err(absent(noun));
            }
            Ok(Served::fresh(versions.into_iter().rev().map(|row| row.body).collect()))
        })
        .await
    }

    pub async fn put_flag(
        &self,
        request: &Request,
        path: &FlagPath,
        new: &NewFlag,
        cas: Option<i64>,
    ) -> Result<FlagView> {
        new.about.check()?;
        let fingerprint = serde_json::to_vec(&(new, cas)).map_err(Error::internal)?;
        let asked = self.asked(request, path, Action::FlagWrite, &fingerprint);
        self.change(request, asked, |attempt| async move {
            let old = self.stored_flag(path).await?;
            let capability = if old.is_some() {
                Capability::Update
            } else {
                Capability::Create
            };
            attempt.authorise(Access::Flag(path, capability))?;
            Flag::check_cas(old.as_ref().map(|old| &old.body), cas)?;
            let mut change = self.begin_writing(&path.set, Action::FlagWrite).await?;
            let view = self.write_flag(&mut change, &attempt, path, old, new).await?;
            Ok(change.decided(view))
        })
        .await
    }

    /// Writes what a version said as a new one.
    pub async fn roll_back_flag(&self, request: &Request, path: &FlagPath, to: i64) -> Result<FlagView> {
        let asked = self.asked(request, path, Action::FlagRollback, &to.to_be_bytes());
        let name = path.to_string();
        let noun = noun(path, &name, Action::FlagRollback, Capability::Update);
        self.change(request, asked, |attempt| async move {
            let old = self.stored_flag(path).await?.ok_or_else(|| absent(noun))?;
            let kept = self.load::<Flag>(Kind::FlagVersion, &path.version(to)).await?.value;
            let kept = kept.ok_or_else(|| Error::new(Code::NotFound, format!("Version {to} is not kept.")))?;
            let new = NewFlag {
                definition: kept.body.definition,
                bucketing: kept.body.bucketing,
                about: kept.body.about,
            };
            let mut change = self.begin_writing(&path.set, Action::FlagRollback).await?;
            let view = self.write_flag(&mut change, &attempt, path, Some(old), &new).await?;
            Ok(change.decided(view))
        })
        .await
    }

    /// The flag and its versions.
    pub async fn delete_flag(&self, request: &Request, path: &FlagPath) -> Result<()> {
        let asked = self.asked(request, path, Action::FlagDelete, b"");
        let name = path.to_string();
        let noun = noun(path, &name, Action::FlagDelete, Capability::Delete);
        self.change(request, asked, |_| async move {
            let old = self.stored_flag(path).await?.ok_or_else(|| absent(noun))?;
            let versions = self.versions_of(path).await?;
            let writes = versions.iter().map(|row| &row.record).chain([&old.record]).map(remove);
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: writes.collect(),
                touches: vec![
                    touch(old.record.key(), noun.action, None),
                    touch(self.set_key(&path.set), noun.action, None),
                ],
                effects: vec![Effect::new(noun.action, noun.name)],
                answer: (),
            }))
        })
        .await
    }

    fn asked<'a>(&self, request: &Request, path: &'a FlagPath, action: Action, fingerprint: &[u8]) -> Asked<'a> {
        let access = |capability| Access::Flag(path, capability);
        Asked {
            action,
            path: path.to_string(),
            locks: vec![self.key(Kind::Flag, path.to_string())],
            id: self.change_id(request),
            fingerprint: Canon::new(action.name())
                .text(&path.to_string())
                .bytes(fingerprint)
                .done()
                .into(),
            needs: vec![match action {
                Action::FlagDelete => vec![access(Capability::Delete)],
                Action::FlagRollback => vec![access(Capability::Update)],
                _ => vec![access(Capability::Create), access(Capability::Update)],
            }],
        }
    }
}
