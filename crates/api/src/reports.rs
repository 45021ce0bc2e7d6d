//! `GET reports/unused`, `GET reports/stale` and `GET reports/stale-flags`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::flag::{FlagKey, FlagKind};
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportQuery {
    /// 1 to 3,650; 90 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reported {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When the newest version was written; absent: none ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Time>,
    /// By minute; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
}

/// A flag that may be stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StaleFlag {
    pub project: Name,
    pub environment: Name,
    pub key: FlagKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub kind: FlagKind,
    #[schemars(length(min = 1))]
    pub why: Vec<Staleness>,
    pub created_at: Time,
    pub updated_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    pub variants: Vec<VariantUse>,
}

/// Why a flag may be stale: its own expiry has passed; it is older than its kind is expected to become; nobody has evaluated it for
/// so many days; it has given the same variant for so many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    Expired,
    Outlived,
    Unevaluated,
    OneVariant,
}

/// When a variant was given last, by minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VariantUse {
    /// Absent: the caller's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_evaluated_at: Option<Time>,
    /// As one of all flags of its set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_in_bulk_at: Option<Time>,
}
