//! Keys for browsers. Whoever loads the page has one: it evaluates the flags of one set, on the listener for that, from the
//! pages it is bound to.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::flag::{BROWSER_KEY_TTL, BrowserKey, FlagSetName, MAX_BROWSER_KEY_TTL, MAX_ORIGINS, WebOrigin};
use strongroom_domain::grant::PrincipalKind;
use strongroom_domain::policy::{Capability, Policy, PolicySet, Rule};
use strongroom_domain::row::Key;
use strongroom_domain::{
    Code, Digest, Error, Kind, NamespaceId, ObjectId, PrincipalId, Result, Revision, Row, Time, Write,
};

use crate::Broker;
use crate::authenticate::refused;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::room::nowhere;
use crate::rows::{Checked, remove, touch};
use crate::session::{Bound, Grants, Proven, Session, Whose};

pub(crate) const BROWSER_KEY_PREFIX: &str = "srb_";
const RANDOM: usize = 32;
/// Keys of one set.
const MAX_KEYS: usize = 100;

#[derive(Debug, Clone)]
pub struct NewBrowserKey {
    pub origins: Vec<WebOrigin>,
    pub description: Option<String>,
    /// Seconds.
    pub ttl: Option<u32>,
}

impl NewBrowserKey {
    fn check(&self) -> Result<Duration> {
        if !(1..=MAX_ORIGINS).contains(&self.origins.len()) {
            return Err(Error::invalid(format!(
                "'origins' names 1 to {MAX_ORIGINS} pages' origins."
            )));
        }
        if self.description.as_ref().is_some_and(|text| text.len() > 2048) {
            return Err(Error::invalid("'description' has more than 2,048 bytes."));
        }
        let ttl = self.ttl.unwrap_or(BROWSER_KEY_TTL);
        if !(1..=MAX_BROWSER_KEY_TTL).contains(&ttl) {
            return Err(Error::invalid("'ttl' is 1 second to 366 days, in seconds."));
        }
        Ok(Duration::from_secs(ttl.into()))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BrowserKeyView {
    pub id: ObjectId,
    pub body: BrowserKey,
}

/// A new key: this is the only time it is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedBrowserKey {
    pub key: String,
    pub view: BrowserKeyView,
}

impl std::fmt::Debug for CreatedBrowserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatedBrowserKey({})", self.view.id)
    }
}

/// The namespace that a browser key is of; none: it is not one.
pub(crate) fn namespace_of_key(key: &str) -> Option<NamespaceId> {
    let bytes = BASE64URL_NOPAD
        .decode(key.strip_prefix(BROWSER_KEY_PREFIX)?.as_bytes())
        .ok()?;
    let (namespace, random) = bytes.split_at_checked(bytes.len().checked_sub(RANDOM)?)?;
    NamespaceId::from_slice(namespace).filter(|_| random.len() == RANDOM)
}

/// All that a key may do.
pub(crate) fn fixed_policy(key: &BrowserKey) -> Policy {
    let rule = Rule::new(format!("flag/{}/*", key.set), [Capability::Read]);
    Policy::new(vec![rule], key.created_at)
}

fn no_key() -> Error {
    Error::new(Code::NotFound, "There is no such browser key.")
}

impl Broker {
    fn browser_key_names(&self, text: &SecretString) -> Result<Vec<Key>> {
        let hashes = self.0.ring.keys.load().token_hashes(text.expose_secret());
        let hashes = hashes.map_err(Error::internal)?;
        Ok(hashes
            .iter()
            .map(|hash| self.key(Kind::BrowserKey, hash.to_string()))
            .collect())
    }

    pub async fn create_browser_key(
        &self,
        request: &Request,
        set: &FlagSetName,
        new: &NewBrowserKey,
    ) -> Result<CreatedBrowserKey> {
        let ttl = new.check()?;
        let asked = Asked {
            // Its text stands in no answer that is kept.
            id: ChangeId::Version(self.new_id().to_string()),
            ..self.asked_about_keys(request, set, Action::BrowserKeyCreate)
        };
        self.change(request, asked, |attempt| async move {
            if self.browser_keys_of(set).await?.len() >= MAX_KEYS {
                return Err(Error::new(
                    Code::LimitReached,
                    format!("A project's environment has at most {MAX_KEYS} browser keys."),
                ));
            }
            let bytes = [self.namespace().0.as_slice(), &self.0.entropy.bytes::<RANDOM>()].concat();
            let text = SecretString::from(format!("{BROWSER_KEY_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)));
            let body = BrowserKey {
                set: set.to_string(),
                origins: new.origins.clone(),
                description: new.description.clone(),
                principal: PrincipalId(self.0.entropy.bytes()),
                salt: Digest(self.0.entropy.bytes()),
                by: attempt.session.principal,
                created_at: attempt.now,
                expires_at: attempt.now + ttl,
            };
            let name = self.browser_key_names(&text)?.into_iter().next();
            let name = name.ok_or_else(|| Error::internal("no token-hash key"))?.name;
            let record = self.new_record(Kind::BrowserKey, self.new_id(), &name, Some(body.expires_at), &body)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                touches: Vec::new(),
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(Action::BrowserKeyCreate, set.to_string())
                }],
                answer: CreatedBrowserKey {
                    key: text.expose_secret().to_owned(),
                    view: BrowserKeyView { id: record.id, body },
                },
                writes: vec![Write::Insert(Row::Record(record))],
            }))
        })
        .await
    }

    fn asked_about_keys<'a>(&self, request: &Request, set: &'a FlagSetName, action: Action) -> Asked<'a> {
        Asked {
            needs: vec![vec![Access::FlagSet(set, Capability::Manage)]],
            ..self.asked_of_set(request, set, action, b"")
        }
    }

    /// Those of a set, oldest first.
    pub async fn browser_keys(&self, request: &Request, set: &FlagSetName) -> Result<Vec<BrowserKeyView>> {
        let name = set.to_string();
        self.serve(request, Action::BrowserKeyRead, &name, |attempt| async move {
            attempt.authorise(Access::FlagSet(set, Capability::Manage))?;
            let keys = self.browser_keys_of(set).await?.into_iter();
            let mut views: Vec<_> = keys
                .filter(|key| key.body.expires_at > attempt.now)
                .map(|key| BrowserKeyView {
                    id: key.record.id,
                    body: key.body,
                })
                .collect();
            views.sort_by_key(|view| (view.body.created_at, view.id));
            Ok(Served::fresh(views))
        })
        .await
    }

    async fn browser_keys_of(&self, set: &FlagSetName) -> Result<Vec<Checked<BrowserKey>>> {
        let (name, mut after, mut keys) = (set.to_string(), String::new(), Vec::new());
        loop {
            let now = self.0.clock.now();
            let page = self
                .0
                .store
                .list(now, self.namespace(), Kind::BrowserKey, "", &after, 1000);
            let page = self.ask(page).await?.value;
            let Some(last) = page.last() else { return Ok(keys) };
            after.clone_from(&last.name);
            for record in page {
                let key = self.check::<BrowserKey>(record)?;
                if key.body.set == name {
                    keys.push(key);
                }
            }
        }
    }

    /// It is refused from then on, and its streams end.
    pub async fn delete_browser_key(&self, request: &Request, set: &FlagSetName, id: ObjectId) -> Result<()> {
        let asked = self.asked_about_keys(request, set, Action::BrowserKeyDelete);
        self.change(request, asked, |_| async move {
            let found = self.load_by_id::<BrowserKey>(Kind::BrowserKey, id).await?.value;
            let found = found
                .filter(|found| found.body.set == set.to_string())
                .ok_or_else(no_key)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![remove(&found.record)],
                touches: vec![touch(found.record.key(), Action::BrowserKeyDelete, None)],
                effects: vec![Effect::new(Action::BrowserKeyDelete, set.to_string())],
                answer: (),
            }))
        })
        .await
    }

    pub(crate) async fn verify_browser_key(&self, text: &SecretString, now: Time) -> Result<(Session, Revision)> {
        let found = self.load_keys::<BrowserKey>(&self.browser_key_names(text)?).await?;
        let key = found.value.into_iter().next().ok_or_else(refused)?;
        if key.body.expires_at <= now {
            return Err(refused());
        }
        let set = FlagSetName::parse(&key.body.set)?;
        let policy = fixed_policy(&key.body);
        let whose = Whose {
            kind: PrincipalKind::Workload,
            name: None,
            proven: Proven::Token,
            policies: Vec::new(),
        };
        let accessor = key.record.id.to_string();
        let session = Session {
            expires_at: Some(key.body.expires_at),
            grants: Grants::Policies(PolicySet::compile([&policy])),
            rests_on: vec![key.record.key()],
            bound: Some(Bound {
                set,
                pages: key.body.origins,
            }),
            ..Session::new(key.body.principal, nowhere(), accessor, key.body.salt, whose)
        };
        Ok((session, found.revision))
    }
}
