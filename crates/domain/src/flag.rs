//! What is kept of a feature flag: its names, what people say about it, and the body of its record. What its definition
//! means is the flags crate's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::check_cas;
use crate::metadata::check_said;
use crate::{Digest, Error, Name, ObjectId, PrincipalId, Result, Time};

/// Versions of a flag that are kept, the current one among them.
pub const KEPT_VERSIONS: i64 = 100;

/// One project's environment: flags of one are evaluated together. Written `project/environment`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlagSetName {
    pub project: Name,
    pub environment: Name,
}

impl FlagSetName {
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text
            .split_once('/')
            .filter(|(_, environment)| !environment.contains('/'));
        let (project, environment) = parts
            .ok_or_else(|| Error::invalid("Flags are in a project's environment, written 'project/environment'."))?;
        Ok(Self {
            project: Name::parse(project)?,
            environment: Name::parse(environment)?,
        })
    }

    /// What the names of its flags' rows start with, and the folder that policies name.
    pub fn start(&self) -> String {
        format!("{self}/")
    }
}

impl fmt::Display for FlagSetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.environment)
    }
}

/// 1 to 128 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit. Case counts: keys stand in programs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FlagKey(String);

impl FlagKey {
    pub fn parse(text: &str) -> Result<Self> {
        let fits = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid(
                "A flag's key is 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', and starts with a letter or digit.",
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FlagKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.detail))
    }
}

/// A flag's whole name: `project/environment/key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlagPath {
    pub set: FlagSetName,
    pub key: FlagKey,
}

impl FlagPath {
    pub fn parse(text: &str) -> Result<Self> {
        let (set, key) = text
            .rsplit_once('/')
            .ok_or_else(|| Error::invalid("A flag is written 'project/environment/key'."))?;
        Ok(Self {
            set: FlagSetName::parse(set)?,
            key: FlagKey::parse(key)?,
        })
    }

    /// The name of the row that keeps a version: numbers sort as they count.
    pub fn version(&self, number: i64) -> String {
        format!("{self}/{number:010}")
    }
}

impl fmt::Display for FlagPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.set, self.key)
    }
}

/// What a flag is for, which says how long it is expected to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    #[default]
    Release,
    Experiment,
    Operational,
    KillSwitch,
    Permission,
}

impl FlagKind {
    /// How long one is expected to be there; none: for good.
    pub fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Release | Self::Experiment => Some(Duration::from_hours(40 * 24)),
            Self::Operational => Some(Duration::from_hours(7 * 24)),
            Self::KillSwitch | Self::Permission => None,
        }
    }
}

/// What people say about a flag.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FlagAbout {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub owner: Option<String>,
    #[serde(default)]
    pub kind: FlagKind,
    /// When it is to be gone. It is evaluated all the same: reports say that it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Meant to stay: never reported as stale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
    /// At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl FlagAbout {
    pub fn check(&self) -> Result<()> {
        check_said(self.description.as_deref(), self.owner.as_deref(), &self.tags)
    }
}

/// The body of a flag's record, and of each of its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// As flagd has it.
    pub definition: Value,
    /// By which rule `fractional` finds a bucket.
    pub bucketing: u8,
    #[serde(flatten)]
    pub about: FlagAbout,
    pub version: i64,
    /// Who wrote this version.
    pub by: PrincipalId,
    pub created_at: Time,
    /// When this version was written.
    pub updated_at: Time,
}

impl Flag {
    /// What `old` becomes. The same again is no other version.
    pub fn written(old: Option<&Self>, new: &NewFlag, by: PrincipalId, now: Time) -> Self {
        let next = Self {
            definition: new.definition.clone(),
            bucketing: new.bucketing,
            about: new.about.clone(),
            version: old.map_or(1, |old| old.version + 1),
            by,
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: now,
        };
        match old {
            Some(old) if old.says() == next.says() => old.clone(),
            _ => next,
        }
    }

    fn says(&self) -> (&Value, u8, &FlagAbout) {
        (&self.definition, self.bucketing, &self.about)
    }

    /// Refuses a write that expects another version; 0: none.
    pub fn check_cas(old: Option<&Self>, cas: Option<i64>) -> Result<()> {
        check_cas(old.map_or(0, |old| old.version), cas)
    }
}

/// A flag as it is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewFlag {
    pub definition: Value,
    pub bucketing: u8,
    #[serde(flatten)]
    pub about: FlagAbout,
}

/// The body of a set's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlagSet {
    /// Rules by name that the targeting of several flags refers to: flagd's `$evaluators`.
    #[serde(default)]
    pub evaluators: Map<String, Value>,
    /// What each evaluation says about itself: flagd's `metadata`.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Counts what evaluators and metadata were written; 0: none.
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

impl FlagSet {
    pub fn new(now: Time) -> Self {
        Self {
            evaluators: Map::new(),
            metadata: Map::new(),
            version: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Origins of one browser key.
pub const MAX_ORIGINS: usize = 20;
/// How long a browser key holds where nobody says, and at most: 90 days and a year, in seconds.
pub const BROWSER_KEY_TTL: u32 = 90 * 86_400;
pub const MAX_BROWSER_KEY_TTL: u32 = 366 * 86_400;

/// What a browser sends as `Origin` (RFC 6454 §7): scheme, host, and a port where it is not the scheme's own. Over plain HTTP
/// on this machine alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct WebOrigin(#[schemars(length(max = 253))] String);

impl WebOrigin {
    pub fn parse(text: &str) -> Result<Self> {
        let host = |authority: &str| authority.split(':').next().map(str::to_owned).unwrap_or_default();
        let fits = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(authority), _) => is_authority(authority),
            (_, Some(authority)) => is_authority(authority) && ["localhost", "127.0.0.1"].contains(&&*host(authority)),
            _ => false,
        };
        if fits && text.len() <= 253 {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid(
                "An origin is 'https://' and a host in lower case, with a port where it is not 443; 'http://' for localhost alone.",
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    let is_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    !host.is_empty()
        && host.bytes().all(is_host)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl<'de> Deserialize<'de> for WebOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.detail))
    }
}

/// The body of a browser key's record. Everybody who loads the page has the key: it evaluates the flags of one set and can do
/// nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserKey {
    /// The set, as its name is written.
    pub set: String,
    /// The pages it can be used by.
    pub origins: Vec<WebOrigin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// As whom it is on record, and the salt of that.
    pub principal: PrincipalId,
    pub salt: Digest,
    /// Who made it.
    pub by: PrincipalId,
    pub created_at: Time,
    pub expires_at: Time,
}

/// For how long it is kept how often flags were evaluated.
pub const COUNTS_KEPT: Duration = Duration::from_hours(7 * 24);

/// What evaluations of the flags of a set gave within a minute, or a part of it, on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCounts {
    pub minute: Time,
    pub counts: Vec<FlagCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCount {
    /// Its row: another flag of that name is another.
    pub flag: ObjectId,
    /// None: the caller's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// One by one.
    pub evaluations: u64,
    /// As one of all flags of the set.
    pub in_bulk: u64,
}

impl FlagCounts {
    /// What the names of a set's rows of this minute start with, and every later one's is greater than.
    pub fn start(set: &str, minute: Time) -> String {
        format!("{set}/{:020}/", minute.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flag_has_one_name() {
        let path = FlagPath::parse("shop/prod/New.checkout_2-b").unwrap();
        assert_eq!(path.to_string(), "shop/prod/New.checkout_2-b");
        assert_eq!(
            (path.set.start(), path.key.as_str()),
            ("shop/prod/".into(), "New.checkout_2-b")
        );
        for refused in [
            "", "a", "a/b", "a/b/", "a/b/c/d", "/b/c", "a//c", "A/b/c", "a/b/.c", "a/b/-", "a/b/ü", "a/b/c\0", "a/../c",
        ] {
            assert!(FlagPath::parse(refused).is_err(), "{refused}");
        }
        assert!(FlagKey::parse(&"k".repeat(128)).is_ok() && FlagKey::parse(&"k".repeat(129)).is_err());
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "https://shop.example.com",
            "https://a",
            "https://a.b:8443",
            "http://localhost:3000",
            "http://127.0.0.1",
        ] {
            assert_eq!(WebOrigin::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "*",
            "null",
            "https://",
            "https://*.example.com",
            "https://A.b",
            "https://a/",
            "https://a:0",
            "https://a:x",
            "https://a@b",
            "http://shop.example.com",
            "http://localhost.evil.com",
            "ftp://a",
            "a.b",
        ] {
            assert!(WebOrigin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_versions_sort_as_they_count() {
        let path = FlagPath::parse("a/b/c").unwrap();
        assert!(path.version(9) < path.version(10) && path.version(999_999_999) < path.version(1_000_000_000));
    }

    #[test]
    fn the_same_again_is_no_other_version() {
        let new = |on: bool| NewFlag {
            definition: json!({ "state": "ENABLED", "variants": { "on": on } }),
            bucketing: 2,
            about: FlagAbout::default(),
        };
        let (ann, bob) = (PrincipalId([1; 16]), PrincipalId([2; 16]));
        let first = Flag::written(None, &new(true), ann, Time(1));
        assert_eq!(first.version, 1);
        assert_eq!(Flag::written(Some(&first), &new(true), bob, Time(2)), first);
        let second = Flag::written(Some(&first), &new(false), bob, Time(3));
        assert_eq!((second.version, second.by, second.created_at), (2, bob, Time(1)));
        assert!(Flag::check_cas(Some(&second), Some(1)).is_err() && Flag::check_cas(Some(&second), Some(2)).is_ok());
        assert!(Flag::check_cas(None, Some(0)).is_ok() && Flag::check_cas(Some(&first), Some(0)).is_err());
    }
}
