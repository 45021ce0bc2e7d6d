//! `flags/{project}/{environment}`, `flag-versions/…` and `flag-sets/…`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_domain::flag::{FlagAbout, FlagKey, FlagKind, MAX_BROWSER_KEY_TTL, NewFlag, WebOrigin};
use strongroom_domain::{Name, ObjectId, PrincipalId, Time};

/// By which rule `fractional` finds a bucket, where nobody says.
pub const BUCKETING: u8 = 2;

/// A flag as it is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteFlag {
    /// As flagd has it: `state`, `variants`, and perhaps `defaultVariant`, `targeting`, `metadata`.
    pub definition: Map<String, Value>,
    /// By which rule `fractional` finds a bucket: 2.
    #[serde(default = "bucketing")]
    #[schemars(range(min = 2, max = 2))]
    pub bucketing_version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub owner: Option<String>,
    /// What it is for: releases and experiments are expected to live 40 days, operational ones 7, the others for good.
    #[serde(default)]
    pub kind: FlagKind,
    /// When it is to be gone. It is evaluated all the same: the report of stale flags says that it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Meant to stay: never reported as stale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub tags: BTreeMap<String, String>,
    /// The version that this replaces; 0: there is no such flag yet. Absent: whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub cas: Option<i64>,
}

fn bucketing() -> u8 {
    BUCKETING
}

impl From<WriteFlag> for NewFlag {
    fn from(flag: WriteFlag) -> Self {
        Self {
            definition: flag.definition.into(),
            bucketing: flag.bucketing_version,
            about: FlagAbout {
                description: flag.description,
                owner: flag.owner,
                kind: flag.kind,
                expires_at: flag.expires_at,
                permanent: flag.permanent,
                tags: flag.tags,
            },
        }
    }
}

/// A flag, or what it was in one of its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flag {
    pub key: FlagKey,
    pub definition: Map<String, Value>,
    pub bucketing_version: u8,
    #[serde(flatten)]
    pub about: FlagAbout,
    pub version: i64,
    /// Who wrote this version.
    pub principal: PrincipalId,
    pub created_at: Time,
    /// When this version was written.
    pub updated_at: Time,
}

/// The newest 100 versions of a flag, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlagHistory {
    pub items: Vec<Flag>,
}

/// Which minutes, of the newest 7 days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountsQuery {
    /// Absent: an hour before `until`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Absent: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// How often a flag gave a variant within a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationCount {
    /// Its start.
    pub minute: Time,
    /// Absent: no value, so that callers used the default in their code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// One by one.
    pub evaluations: u64,
    /// As one of all flags of the set, which says little about whether anybody looked at it.
    pub in_bulk: u64,
}

/// What a version said is written as a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "action")]
pub enum ChangeFlag {
    Rollback {
        #[schemars(range(min = 1))]
        version: i64,
    },
}

/// A project's environment that has flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlagSetNamed {
    pub project: Name,
    pub environment: Name,
    pub created_at: Time,
}

/// What the flags of a set share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SharedRules {
    /// Rules by name, for `{"$ref": "name"}` in targeting.
    pub evaluators: Map<String, Value>,
    /// What each evaluation says about itself: texts, numbers and booleans.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// 0: nothing was ever written.
    pub version: i64,
    pub updated_at: Time,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSharedRules {
    #[serde(default)]
    pub evaluators: Map<String, Value>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The version that these replace. Absent: whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    pub cas: Option<i64>,
}

/// flagd's document of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlagdDocument {
    /// Definitions by key; what is sent may be a list of definitions with `key` instead.
    pub flags: Value,
    #[serde(rename = "$evaluators", default, skip_serializing_if = "Option::is_none")]
    pub evaluators: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyFlags {
    pub from: FlagSetRef,
    /// Absent: all that the caller may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub keys: Option<Vec<FlagKey>>,
    /// Whether flags that are there already are written as well.
    #[serde(default)]
    pub overwrite: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagSetRef {
    pub project: Name,
    pub environment: Name,
}

/// Which flags got a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlagsWritten {
    pub changed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBrowserKey {
    /// The pages that may use it, as browsers say in `Origin`.
    #[schemars(length(min = 1, max = 20))]
    pub origins: Vec<WebOrigin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,
    /// Seconds; 90 days when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = MAX_BROWSER_KEY_TTL))]
    pub ttl: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrowserKey {
    pub key_id: ObjectId,
    pub origins: Vec<WebOrigin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who made it.
    pub principal: PrincipalId,
    pub created_at: Time,
    pub expires_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrowserKeys {
    pub items: Vec<BrowserKey>,
}

/// The only time that the key is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedBrowserKey {
    pub key: String,
    #[serde(flatten)]
    pub about: BrowserKey,
}

impl std::fmt::Debug for CreatedBrowserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatedBrowserKey({})", self.about.key_id)
    }
}
