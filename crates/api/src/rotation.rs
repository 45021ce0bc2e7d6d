//! `rotation` and `rotation/{path}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::Time;
use strongroom_domain::rotation::{Failure, Goal, RotationFields, Step, Told};

/// What a rotation is told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tell {
    pub action: Told,
}

/// A rotation as it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rotation {
    pub path: String,
    /// The version that is current; 0: none.
    pub version: i64,
    #[serde(flatten)]
    pub policy: RotationFields,
    /// Whose password it is, of a server's users: two take turns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<String>,
    pub paused: bool,
    /// It should have happened longer ago than `alert_after`.
    pub overdue: bool,
    /// When the next one is due; while one runs, when that one was.
    pub next_at: Time,
    /// When one succeeded last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

/// A rotation that is under way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub goal: Goal,
    /// What is done next.
    pub step: Step,
    /// What is to become current; absent: it is not made yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    pub began_at: Time,
    /// When it is gone on with; absent: when somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// Why it did not get further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Which rotations, and when.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarQuery {
    /// Show when each is planned from then; usually from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// And to then; absent: no plan is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    #[serde(flatten)]
    pub rotation: Rotation,
    /// When it is planned, at most 100 times; by how much jitter puts it off is known of the first alone. What is overdue comes
    /// at once, what fails when it is tried next; what is paused, stopped or waits for somebody is not planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<Time>,
}
