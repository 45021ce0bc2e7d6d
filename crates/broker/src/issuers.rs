//! The keys of outside issuers, kept as long as they may be. They are asked for by one caller at a time, seldom, and what
//! was had before serves while nothing newer can be had.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use strongroom_crypto::{KeySet, KeyUse};
use strongroom_domain::Time;
use strongroom_domain::method::KeySource;
use strongroom_ports::{Call, Fetch, FetchError};
use tokio::sync::Mutex as Turn;

/// Between two tries, whatever came of the first: a flood of unknown keys asks nobody more often.
const PAUSE: Duration = Duration::from_secs(10);
/// How long keys are taken without asking again, where the issuer does not say.
const USUAL: Duration = Duration::from_mins(10);
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);
/// How long keys are taken that cannot be asked for: whoever keeps us from asking shall not keep an old key alive.
const STALE: Duration = Duration::from_hours(24);
/// Methods name them, so there are few.
const MAX_SOURCES: usize = 1024;

/// Where keys are, and what is asked with. Another one of any of these is another source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    at: Place,
    usage: KeyUse,
    ca_pem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Fixed(String),
    Url(String),
    Discovered(String),
}

impl Source {
    pub(crate) fn new(issuer: &str, keys: &KeySource, usage: KeyUse) -> Self {
        let at = match (&keys.jwks, &keys.jwks_url) {
            (Some(text), _) => Place::Fixed(text.clone()),
            (None, Some(url)) => Place::Url(url.clone()),
            (None, None) => Place::Discovered(issuer.to_owned()),
        };
        Self {
            at,
            usage,
            ca_pem: keys.ca_pem.clone(),
        }
    }

    pub(crate) fn discovered(issuer: &str, ca_pem: Option<&str>) -> Self {
        Self {
            at: Place::Discovered(issuer.to_owned()),
            usage: KeyUse::Signatures,
            ca_pem: ca_pem.map(str::to_owned),
        }
    }
}

/// What an issuer says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Discovery {
    issuer: String,
    jwks_uri: String,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    /// RFC 8628.
    pub(crate) device_authorization_endpoint: Option<String>,
}

/// What was had of an issuer.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) keys: KeySet,
    pub(crate) discovery: Option<Discovery>,
    at: Time,
    fresh_for: Duration,
}

/// Why nothing was had: for the log.
#[derive(Debug)]
pub(crate) enum IssuerFault {
    Fetch(FetchError),
    Status(u16),
    NoDocument,
    OtherIssuer,
    NoKeys,
    NoDeviceCode,
    /// It was asked a moment ago, in vain.
    AskedBefore,
}

impl std::fmt::Display for IssuerFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the answer is {status}"),
            Self::NoDocument => f.write_str("the answer is no discovery document"),
            Self::OtherIssuer => f.write_str("the discovery document is another issuer's"),
            Self::NoKeys => f.write_str("the answer is no key set"),
            Self::NoDeviceCode => f.write_str("the answer begins no login on a device"),
            Self::AskedBefore => f.write_str("it was asked a moment ago, in vain"),
        }
    }
}

#[derive(Default)]
struct Slot {
    held: ArcSwapOption<Held>,
    /// Whose turn it is to ask, and when that was last done.
    asked: Arc<Turn<Option<Time>>>,
}

#[derive(Default)]
pub(crate) struct Issuers(Mutex<HashMap<Source, Arc<Slot>>>);

impl Issuers {
    fn slot(&self, source: &Source) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(source) {
            return slot.clone();
        }
        if slots.len() >= MAX_SOURCES {
            slots.clear();
        }
        slots.entry(source.clone()).or_default().clone()
    }

    /// What an issuer published, with that key in it if it can be had; without one: whatever there is of it.
    pub(crate) async fn held(
        &self,
        fetch: &Arc<dyn Fetch>,
        now: impl Fn() -> Time,
        source: &Source,
        key: Option<&str>,
    ) -> Result<Arc<Held>, IssuerFault> {
        let slot = self.slot(source);
        let has = |held: &Held| key.is_none_or(|key| held.keys.has(key));
        let fresh = |held: &Arc<Held>| held.at + held.fresh_for > now() && has(held);
        let usable = |held: &Arc<Held>| held.at + STALE > now();
        let held = slot.held.load_full();
        if let Some(held) = held.clone().filter(fresh) {
            return Ok(held);
        }
        // Who can go on with what is there does not wait for another's question.
        let mut asked = match held.filter(|held| usable(held) && has(held)) {
            None => slot.asked.clone().lock_owned().await,
            Some(held) => match slot.asked.clone().try_lock_owned() {
                Ok(asked) => asked,
                Err(_) => return Ok(held),
            },
        };
        if let Some(held) = slot.held.load_full().filter(fresh) {
            return Ok(held);
        }
        let mut fault = IssuerFault::AskedBefore;
        if asked.is_none_or(|at| at + PAUSE <= now()) {
            let at = now();
            *asked = Some(at);
            let (fetch, source, slot) = (fetch.clone(), source.clone(), slot.clone());
            // It goes on without whoever asked: one who leaves keeps the keys from nobody.
            let asking = tokio::spawn(async move {
                let _asked = asked;
                match ask(&*fetch, &source, at).await {
                    Ok(found) => {
                        slot.held.store(Some(Arc::new(found)));
                        Ok(())
                    }
                    Err(error) => {
                        tracing::warn!(source = %source.at, %error, "an issuer's keys cannot be had");
                        Err(error)
                    }
                }
            });
            if let Ok(Err(error)) = asking.await {
                fault = error;
            }
        }
        slot.held.load_full().filter(usable).ok_or(fault)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("the method itself"),
            Self::Url(url) | Self::Discovered(url) => f.write_str(url),
        }
    }
}

async fn ask(fetch: &dyn Fetch, source: &Source, now: Time) -> Result<Held, IssuerFault> {
    let (discovery, url) = match &source.at {
        Place::Fixed(text) => {
            return Ok(Held {
                keys: parsed(text.as_bytes(), source.usage)?,
                discovery: None,
                at: now,
                fresh_for: LONGEST,
            });
        }
        Place::Url(url) => (None, url.clone()),
        Place::Discovered(issuer) => {
            let discovery = discover(fetch, issuer, source.ca_pem.as_deref()).await?;
            let url = discovery.jwks_uri.clone();
            (Some(discovery), url)
        }
    };
    let fetched = get(fetch, &url, source.ca_pem.as_deref()).await?;
    Ok(Held {
        keys: parsed(&fetched.body, source.usage)?,
        discovery,
        at: now,
        fresh_for: fetched.max_age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST),
    })
}

fn parsed(json: &[u8], usage: KeyUse) -> Result<KeySet, IssuerFault> {
    KeySet::parse(json, usage).map_err(|_| IssuerFault::NoKeys)
}

async fn discover(fetch: &dyn Fetch, issuer: &str, ca_pem: Option<&str>) -> Result<Discovery, IssuerFault> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let fetched = get(fetch, &format!("{base}/.well-known/openid-configuration"), ca_pem).await?;
    let found: Discovery = serde_json::from_slice(&fetched.body).map_err(|_| IssuerFault::NoDocument)?;
    if found.issuer == issuer {
        Ok(found)
    } else {
        Err(IssuerFault::OtherIssuer)
    }
}

async fn get(fetch: &dyn Fetch, url: &str, ca_pem: Option<&str>) -> Result<strongroom_ports::Fetched, IssuerFault> {
    let fetched = fetch.fetch(Call::get(url).trusting(ca_pem)).await;
    let fetched = fetched.map_err(IssuerFault::Fetch)?;
    if fetched.status == 200 {
        Ok(fetched)
    } else {
        Err(IssuerFault::Status(fetched.status))
    }
}

#[cfg(test)]
mod tests;
