//! Credentials made on demand: a user of a server that lasts as long as its lease. The row is written before the user is
//! made, and removed after the user is gone, so that there is no user whom no row knows. A lease is planned, live, and
//! ending; each of the three has a time at which a node is to look at it.

mod id;

use std::time::Duration;

use data_encoding::BASE32_DNSSEC;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Engine;
use crate::{Code, Error, Name, ObjectId, Period, PrincipalId, Result, Time, backoff};

pub use id::LeaseId;

/// How long making a user takes at most. What was not made by then is taken back.
pub const MADE_WITHIN: Duration = Duration::from_mins(1);
/// How long a node has for taking back a user.
pub const CLAIM: Duration = Duration::from_secs(30);
/// Failures in a row until a lease counts as stuck.
pub const STUCK_AFTER: u32 = 5;
/// How long it waits at most to take back again what was not made.
const NOT_MADE_BACKOFF: Duration = Duration::from_mins(1);
const MOST_LEASES: u32 = 1_000_000;
/// Of base 32: 40 bits of the role's id.
const TAG: usize = 8;

/// What an operator says of a lease role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRoleConfig {
    #[schemars(with = "String")]
    pub target: Name,
    /// Whose rights the users get: a role of the server, or of Redis a user.
    #[schemars(length(min = 1, max = 512))]
    pub template: String,
    /// How long a lease lasts unless asked for otherwise. Usually an hour.
    #[serde(default = "an_hour")]
    pub ttl: Period,
    /// How long it lasts at most, however often it is renewed. Usually a day.
    #[serde(default = "a_day")]
    pub max_ttl: Period,
    /// How many there are at a time. Usually 1,000.
    #[serde(default = "a_thousand")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_leases: u32,
}

/// A stored lease role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRole {
    pub id: ObjectId,
    pub config: LeaseRoleConfig,
    pub created_at: Time,
    pub updated_at: Time,
}

fn an_hour() -> Period {
    Period::hours(1)
}

fn a_day() -> Period {
    Period::days(1)
}

fn a_thousand() -> u32 {
    1000
}

impl LeaseRoleConfig {
    /// Refuses what its target cannot have, with what to write instead.
    pub fn check(&self, engine: Engine) -> Result<()> {
        let template = self.template.as_str();
        let (length, most, unit) = match engine {
            Engine::Postgres => (template.len(), 63, "bytes"),
            Engine::Mysql => (template.chars().count(), 128, "characters"),
            Engine::Redis => (template.len(), 512, "bytes"),
            Engine::Webhook => {
                return Err(Error::invalid(
                    "The target of a lease role is a server that has users: a webhook has none.",
                ));
            }
        };
        if !(1..=most).contains(&length) || template.contains(char::is_control) {
            return Err(Error::invalid(format!(
                "'template' has 1 to {most} {unit} at a target that speaks {engine}, and no control characters."
            )));
        }
        if engine == Engine::Redis && template.contains(' ') {
            return Err(Error::invalid("'template' has no spaces: a user of Redis has none."));
        }
        if self.ttl > self.max_ttl {
            return Err(Error::invalid("'ttl' is at most 'max_ttl'."));
        }
        if !(1..=MOST_LEASES).contains(&self.max_leases) {
            return Err(Error::invalid("'max_leases' is 1 to 1,000,000."));
        }
        Ok(())
    }
}

impl LeaseRole {
    /// What the names of all its users start with, and of no other role's.
    pub fn user_prefix(&self) -> String {
        let mut tag = BASE32_DNSSEC.encode(self.id.as_slice());
        tag.truncate(TAG);
        format!("sr_{tag}_")
    }
}

/// Why a lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Expired,
    Revoked,
    /// Its user was not made, or nobody heard of it.
    NotMade,
}

/// How far taking back a user is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ending {
    pub why: Ended,
    pub since: Time,
    /// When it is tried next.
    pub at: Time,
    /// In a row.
    pub failures: u32,
    /// Of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its user may still be made until then: that nobody is there tells nothing before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_until: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Its user is being made.
    Planned {
        until: Time,
    },
    Live,
    /// Its user is to go.
    Ending(Ending),
}

/// A stored lease. It has what taking it back needs, whatever becomes of its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub role: Name,
    pub role_id: ObjectId,
    pub target: Name,
    /// What the target was when the user was made: it is there, whatever the target is by now.
    pub server: String,
    pub template: String,
    pub username: String,
    pub holder: PrincipalId,
    pub state: LeaseState,
    pub ttl: Period,
    pub expires_at: Time,
    pub max_until: Time,
    pub created_at: Time,
    pub updated_at: Time,
}

impl Lease {
    /// Written before the target is asked. `ttl`: what was asked for.
    pub fn plan(
        id: &LeaseId,
        (name, role): (&Name, &LeaseRole),
        server: String,
        holder: PrincipalId,
        ttl: Option<Period>,
        now: Time,
    ) -> Result<Self> {
        let config = &role.config;
        let ttl = ttl.unwrap_or(config.ttl);
        if ttl > config.max_ttl {
            let most = config.max_ttl;
            return Err(Error::invalid(format!(
                "A lease of '{name}' lasts at most {most}: ask for less."
            )));
        }
        Ok(Self {
            role: name.clone(),
            role_id: role.id,
            target: config.target.clone(),
            server,
            template: config.template.clone(),
            username: format!("{}{}", role.user_prefix(), id.row_name()),
            holder,
            state: LeaseState::Planned {
                until: now + MADE_WITHIN,
            },
            ttl,
            expires_at: now + ttl.into(),
            max_until: now + config.max_ttl.into(),
            created_at: now,
            updated_at: now,
        })
    }

    /// When a node is to look at it.
    pub fn due(&self) -> Time {
        match self.state {
            LeaseState::Planned { until } => until,
            LeaseState::Live => self.expires_at,
            LeaseState::Ending(Ending { at, .. }) => at,
        }
    }

    pub fn is_live(&self, now: Time) -> bool {
        self.state == LeaseState::Live && now < self.expires_at
    }

    /// The target made its user. Written before anybody is told the password.
    pub fn made(&self, now: Time) -> Result<Self> {
        match self.state {
            LeaseState::Planned { until } if now < until => Ok(self.with(LeaseState::Live, now)),
            _ => Err(Error::new(
                Code::DeadlineExceeded,
                "The lease was not made in time, and is taken back.",
            )),
        }
    }

    /// Lasts from now for as long as asked, or as it did first; not beyond its maximum, and never shorter than it does.
    /// Written after the target has agreed: who dies between has a user that goes when the lease says.
    pub fn renew(&self, by: Option<Period>, now: Time) -> Result<Self> {
        if !self.is_live(now) {
            return Err(Error::new(Code::NotFound, "The lease is over."));
        }
        let asked = now + by.unwrap_or(self.ttl).into();
        Ok(Self {
            expires_at: asked.min(self.max_until).max(self.expires_at),
            ..self.with(LeaseState::Live, now)
        })
    }

    /// Its user is to go, at once. One that ends already is tried now.
    pub fn end(&self, why: Ended, now: Time) -> Self {
        self.with_ending(self.ending(why, now), now, now)
    }

    /// A node takes back its user, if that is due; nobody else does meanwhile.
    pub fn take(&self, now: Time) -> Option<Self> {
        let since = self.due();
        let why = match self.state {
            LeaseState::Planned { .. } => Ended::NotMade,
            LeaseState::Live | LeaseState::Ending(_) => Ended::Expired,
        };
        let ending = self.ending(why, since);
        (since <= now).then(|| self.with_ending(ending, now + CLAIM, now))
    }

    /// Its user was not made, as far as is known.
    pub fn not_made(&self, reason: &str, now: Time) -> Self {
        let ending = Ending {
            reason: Some(reason.to_owned()),
            ..self.ending(Ended::NotMade, now)
        };
        self.with_ending(ending, now, now)
    }

    /// Its user could not be taken back: that is tried again.
    pub fn fails(&self, reason: &str, now: Time) -> Self {
        let ending = self.ending(Ended::NotMade, now);
        let failures = ending.failures.saturating_add(1);
        let longest = match ending.why {
            // It is counted, and most likely there is nothing to take back.
            Ended::NotMade => NOT_MADE_BACKOFF,
            Ended::Expired | Ended::Revoked => Duration::MAX,
        };
        let at = now + backoff::after(failures).min(longest);
        let ending = Ending {
            failures,
            reason: Some(reason.to_owned()),
            ..ending
        };
        self.with_ending(ending, at, now)
    }

    fn with_ending(&self, ending: Ending, at: Time, now: Time) -> Self {
        let at = ending.made_until.map_or(at, |until| until.max(at));
        self.with(LeaseState::Ending(Ending { at, ..ending }), now)
    }

    /// Told once, by the failure after which it is.
    pub fn is_stuck(&self) -> bool {
        self.failures() >= STUCK_AFTER
    }

    /// How often its user could not be taken back.
    pub fn failures(&self) -> u32 {
        match &self.state {
            LeaseState::Ending(ending) => ending.failures,
            LeaseState::Planned { .. } | LeaseState::Live => 0,
        }
    }

    /// For how long its user has been there since it was to go.
    pub fn overdue(&self, now: Time) -> Duration {
        match &self.state {
            LeaseState::Planned { .. } | LeaseState::Live => now.since(self.due()),
            LeaseState::Ending(ending) => now.since(ending.since),
        }
    }

    fn ending(&self, why: Ended, since: Time) -> Ending {
        let made_until = match &self.state {
            LeaseState::Ending(ending) => return ending.clone(),
            LeaseState::Planned { until } => Some(*until),
            LeaseState::Live => None,
        };
        Ending {
            why,
            since,
            at: since,
            failures: 0,
            reason: None,
            made_until,
        }
    }

    fn with(&self, state: LeaseState, now: Time) -> Self {
        Self {
            state,
            updated_at: now,
            ..self.clone()
        }
    }
}

/// How many leases of a role there are, from the first row of a lease to its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseCount {
    pub leases: u32,
}

impl LeaseCount {
    pub fn one_more(self, role: &LeaseRoleConfig) -> Result<Self> {
        if self.leases >= role.max_leases {
            let most = role.max_leases;
            return Err(Error::new(
                Code::LeaseLimit,
                format!("There are {most} leases of this role, which is all that it may have."),
            ));
        }
        Ok(Self {
            leases: self.leases + 1,
        })
    }

    pub fn less(self, gone: u32) -> Self {
        Self {
            leases: self.leases.saturating_sub(gone),
        }
    }
}

#[cfg(test)]
mod tests;
