//! What an operator says of a secret's rotation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::recipe::Recipe;
use crate::schedule::{Schedule, ScheduleFields};
use crate::{Error, Name, Result};

/// Failures in a row that are borne until the next is told, unless the policy says otherwise.
const RETRIES: u8 = 5;
/// How long a rotation may be overdue until that is told, unless the policy says otherwise.
const ALERT_AFTER: Duration = Duration::from_hours(1);
const MAX_USERS: usize = 2;

/// Who makes the new value good where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RotatorKind {
    /// Nobody: the value is random, and those who read it are all there is.
    Generate,
    Postgres,
    /// MariaDB too.
    Mysql,
    Redis,
    /// A service of one's own, which is told each step.
    Webhook,
    /// A key pair: the next one is published before it signs.
    SigningKey,
    /// A person, who is told when it is due and puts the new value under `pending`.
    Manual,
}

impl RotatorKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Webhook => "webhook",
            Self::SigningKey => "signing-key",
            Self::Manual => "manual",
        }
    }

    /// Whether it gives users of a server new passwords.
    pub fn has_users(self) -> bool {
        matches!(self, Self::Postgres | Self::Mysql | Self::Redis)
    }

    fn takes_recipe(self) -> bool {
        !matches!(self, Self::SigningKey | Self::Manual)
    }

    fn needs_target(self) -> bool {
        self.has_users() || self == Self::Webhook
    }
}

/// A rotation policy as it is sent and stored, unchecked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationFields {
    pub rotator: RotatorKind,
    /// Where the value is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Name>,
    /// Who logs in with it: two take turns, so that what was read before stays good until the next rotation. None: the
    /// user in the secret's current value, and one beside it that acts as that one does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub users: Vec<String>,
    /// How long after one rotation the next is due; this or `cron`. Neither: as the secret's type says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
    /// Minute, hour, day of month, month and day of week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The IANA name of the zone that `cron` and `window` are in. Usually UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When it may begin, each day, such as `22:00-04:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// By how much it is put off at most, each time by another; up to a tenth of the time between two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Period>,
    /// How the value is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// Failures in a row that are borne: the next is told. Usually 5. Trying goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u8>,
    /// How long it may be overdue until that is told; usually an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_after: Option<Period>,
}

/// A rotation policy that can be followed: what was parsed was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "RotationFields")]
pub struct RotationPolicy {
    pub rotator: RotatorKind,
    /// A manual rotation may name a server, at which the value is then tested.
    pub target: Option<Name>,
    pub users: Vec<String>,
    pub schedule: Schedule,
    pub recipe: Option<Recipe>,
    retries: Option<u8>,
    alert_after: Option<Period>,
}

/// The fields of a policy that was checked when it was written.
#[derive(Deserialize)]
struct Stored(RotationFields);

impl TryFrom<Stored> for RotationPolicy {
    type Error = Error;

    fn try_from(Stored(fields): Stored) -> Result<Self> {
        Self::by(Schedule::stored, fields)
    }
}

impl TryFrom<RotationFields> for RotationPolicy {
    type Error = Error;

    fn try_from(fields: RotationFields) -> Result<Self> {
        Self::by(Schedule::try_from, fields)
    }
}

impl From<RotationPolicy> for RotationFields {
    fn from(policy: RotationPolicy) -> Self {
        let schedule = ScheduleFields::from(policy.schedule);
        Self {
            rotator: policy.rotator,
            target: policy.target,
            users: policy.users,
            interval: schedule.interval,
            cron: schedule.cron,
            time_zone: schedule.time_zone,
            window: schedule.window,
            jitter: schedule.jitter,
            recipe: policy.recipe,
            retries: policy.retries,
            alert_after: policy.alert_after,
        }
    }
}

impl RotationPolicy {
    fn by(schedule: impl FnOnce(ScheduleFields) -> Result<Schedule>, fields: RotationFields) -> Result<Self> {
        let policy = Self {
            schedule: schedule(ScheduleFields {
                interval: fields.interval,
                cron: fields.cron,
                time_zone: fields.time_zone,
                window: fields.window,
                jitter: fields.jitter,
            })?,
            rotator: fields.rotator,
            target: fields.target,
            users: fields.users,
            recipe: fields.recipe,
            retries: fields.retries,
            alert_after: fields.alert_after,
        };
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> Result<()> {
        let (kind, name) = (self.rotator, self.rotator.name());
        if kind.needs_target() && self.target.is_none() {
            return Err(Error::invalid(format!("The rotator '{name}' needs a 'target'.")));
        }
        if matches!(kind, RotatorKind::Generate | RotatorKind::SigningKey) && self.target.is_some() {
            return Err(Error::invalid(format!("The rotator '{name}' has no 'target'.")));
        }
        if self.recipe.is_some() && !kind.takes_recipe() {
            return Err(Error::invalid(format!("The rotator '{name}' takes no 'recipe'.")));
        }
        if !self.users.is_empty() && !kind.has_users() {
            return Err(Error::invalid("'users' are those of a server."));
        }
        let bad = |user: &String| !is_user(user);
        let twice = self.users.len() > 1 && self.users.first() == self.users.get(1);
        if self.users.len() > MAX_USERS || self.users.iter().any(bad) || twice {
            return Err(Error::invalid(
                "'users' are one or two names, each of 1 to 63 bytes without control characters.",
            ));
        }
        Ok(())
    }

    /// Whether there is anything to set or to test: else the new version becomes `current` at once.
    pub(super) fn is_outside(&self) -> bool {
        self.target.is_some()
    }

    /// After how many failures in a row they are told.
    pub(super) fn retries(&self) -> u32 {
        self.retries.unwrap_or(RETRIES).into()
    }

    pub(super) fn alert_after(&self) -> Duration {
        self.alert_after.map_or(ALERT_AFTER, Duration::from)
    }

    /// Whether a run under the one goes on under the other.
    pub(super) fn makes_the_same(&self, other: &Self) -> bool {
        (self.rotator, &self.recipe) == (other.rotator, &other.recipe) && self.is_for_the_same(other)
    }

    pub(super) fn is_for_the_same(&self, other: &Self) -> bool {
        (&self.target, &self.users) == (&other.target, &other.users)
    }
}

/// Whether servers take it as a user's name.
pub fn is_user(name: &str) -> bool {
    (1..=63).contains(&name.len()) && !name.contains(char::is_control)
}
