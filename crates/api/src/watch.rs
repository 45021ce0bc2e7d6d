//! `GET watch`

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// Changes after this revision; absent: from now on. The header `Last-Event-ID` goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub since: Option<i64>,
    /// A name, and all below it; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// One answer instead of a stream: as soon as something has changed, after so many seconds at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub wait: Option<u16>,
}

/// What changed, and never to what: the data of an event `change`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedChange<'a> {
    #[schemars(range(min = 1))]
    pub revision: i64,
    /// `secret` or `flag`; there may be more kinds.
    pub kind: Cow<'a, str>,
    pub path: Cow<'a, str>,
    /// The version it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// As the audit log names it.
    pub action: Cow<'a, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedChanges<'a> {
    /// Nothing is missing up to here: what the next request gives as `since`.
    #[schemars(range(min = 0))]
    pub revision: i64,
    pub changes: Vec<WatchedChange<'a>>,
}

/// The data of an event that is no `change`: all up to there was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedUpTo {
    pub revision: i64,
}
