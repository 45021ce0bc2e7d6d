//! Systems outside whose credentials are kept here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notice::TRIED_FOR;
use crate::outbound::check_url;
use crate::{Error, ObjectId, Period, Result, SecretPath, Time};

/// What a target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Postgres,
    /// MariaDB too.
    Mysql,
    Redis,
    /// HTTPS, signed as Standard Webhooks are.
    Webhook,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Webhook => "webhook",
        }
    }

    /// Where its servers listen unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::Redis => 6379,
            Self::Webhook => 443,
        }
    }

    /// Which database is connected to unless told otherwise, where it has to be one. A user's name, which clients take, is none.
    pub fn database(self) -> Option<&'static str> {
        (self == Self::Postgres).then_some("postgres")
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a connection to a server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// The server's certificate is for the name in the address, and comes from an authority that is trusted.
    #[default]
    Verify,
    /// Everything is in clear: for a network of one's own.
    Off,
}

impl Tls {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde gives")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happened to a credential, as a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    #[serde(rename = "rotation.succeeded")]
    RotationSucceeded,
    #[serde(rename = "rotation.failed")]
    RotationFailed,
    #[serde(rename = "rotation.overdue")]
    RotationOverdue,
    #[serde(rename = "lease.stuck")]
    LeaseStuck,
    #[serde(rename = "secret.expiring")]
    SecretExpiring,
}

/// How a webhook is told what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `type`, `timestamp` and `data`, as Standard Webhooks recommends.
    #[default]
    Standard,
    /// A line of text, as incoming webhooks of Slack, Mattermost and Rocket.Chat take it.
    Slack,
}

impl Format {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde gives")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What an operator says of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    pub engine: Engine,
    /// `host` or `host:port`; of a webhook an HTTPS URL.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// The database that is connected to; `postgres`, and none of MySQL's, when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub database: Option<String>,
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
    /// The certificates, in PEM, that the server's own must come from; none: those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub ca_pem: Option<String>,
    /// The secret by which the target is administered: of a server, an object with `username` and `password`; of a webhook, the
    /// key that signs (`whsec_…`), or an object with that as `key`, and as `url` what is called where that is secret: it begins as
    /// `address` does.
    #[schemars(with = "String")]
    pub credential: SecretPath,
    /// What a webhook is told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub events: Vec<Event>,
    /// How a webhook is told. One that is told in Slack's form needs no key, and rotates nothing.
    #[serde(default, skip_serializing_if = "Format::is_default")]
    pub format: Format,
    /// For how long what a webhook does not take is sent again: 1 second to 30 days. Usually three days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_for: Option<Period>,
}

/// A stored target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub id: ObjectId,
    pub config: TargetConfig,
    pub created_at: Time,
    pub updated_at: Time,
}

const MAX_PEM: usize = 65_536;
const LONGEST_RETRY: Period = Period::days(30);

impl TargetConfig {
    /// Refuses what cannot work, with what to write instead.
    pub fn check(&self) -> Result<()> {
        if self.engine == Engine::Webhook {
            check_url("address", &self.address)?;
            if self.database.is_some() || self.tls != Tls::default() {
                return Err(Error::invalid(
                    "A webhook has no 'database', and its 'address' says how it is called.",
                ));
            }
        } else {
            self.host_and_port()?;
            if !self.events.is_empty() || self.format != Format::default() || self.retry_for.is_some() {
                return Err(Error::invalid(
                    "'events', 'format' and 'retry_for' say what a webhook is told, and how.",
                ));
            }
        }
        if self.retry_for.is_some_and(|most| most > LONGEST_RETRY) {
            return Err(Error::invalid("'retry_for' is at most 30 days."));
        }
        if self.address.len() > 1024 {
            return Err(Error::invalid("'address' has more than 1,024 bytes."));
        }
        let database = self.database.as_deref().unwrap_or("d");
        if !(1..=63).contains(&database.len()) || database.contains(char::is_control) {
            return Err(Error::invalid(
                "'database' has 1 to 63 bytes, and no control characters.",
            ));
        }
        if self.ca_pem.as_ref().is_some_and(|pem| pem.len() > MAX_PEM) {
            return Err(Error::invalid("'ca_pem' has more than 65,536 bytes."));
        }
        Ok(())
    }

    /// What it is that it understands.
    pub fn speaks(&self) -> &'static str {
        match self.format {
            Format::Standard => self.engine.name(),
            Format::Slack => "Slack's form alone",
        }
    }

    pub fn tried_for(&self) -> Period {
        self.retry_for.unwrap_or(TRIED_FOR)
    }

    /// What it is that is reached there: another engine or address is another server.
    pub fn server(&self) -> String {
        format!("{} {}", self.engine, self.address)
    }

    /// Of a server.
    pub fn host_and_port(&self) -> Result<(&str, u16)> {
        let bad = || {
            Error::invalid(
                "'address' is a host name or address, with ':PORT' behind it where that is not the usual one.",
            )
        };
        let (host, port) = match self.address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(bad)?)),
            None => match self.address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (self.address.as_str(), None),
            },
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(fits) {
            return Err(bad());
        }
        let port = port.map_or(Ok(self.engine.port()), |port| port.parse().map_err(|_| bad()))?;
        Ok((host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(engine: Engine, address: &str) -> TargetConfig {
        TargetConfig {
            engine,
            address: address.into(),
            database: None,
            tls: Tls::Verify,
            ca_pem: None,
            credential: SecretPath::parse("infra/admin").unwrap(),
            events: Vec::new(),
            format: Format::Standard,
            retry_for: None,
        }
    }

    #[test]
    fn an_address_is_a_host_and_maybe_a_port() {
        for (address, parts) in [
            ("db", ("db", 5432)),
            ("db.example:6000", ("db.example", 6000)),
            ("10.0.0.1:1", ("10.0.0.1", 1)),
            ("[::1]:2", ("::1", 2)),
            ("[fd00::1]", ("fd00::1", 5432)),
        ] {
            assert_eq!(at(Engine::Postgres, address).host_and_port().unwrap(), parts);
        }
        for bad in [
            "", ":1", "db:", "db:x", "db:65536", "a b", "a/b", "u@db", "[::1", "[::1]x", "::1", "db?x=1", "db:1:2",
        ] {
            assert!(at(Engine::Postgres, bad).check().is_err(), "{bad}");
        }
        assert!(at(Engine::Webhook, "https://hooks.example/x").check().is_ok());
        assert!(at(Engine::Webhook, "db:1").check().is_err());
        assert!(at(Engine::Webhook, "http://hooks.example/x").check().is_err());
    }

    #[test]
    fn how_it_is_told_is_said_of_a_webhook_alone() {
        let told = |engine, address| TargetConfig {
            format: Format::Slack,
            ..at(engine, address)
        };
        assert!(told(Engine::Webhook, "https://hooks.example").check().is_ok());
        assert!(told(Engine::Redis, "cache").check().is_err());
        for (tried, fits) in [
            (Period::hours(1), true),
            (Period::days(30), true),
            (Period::days(31), false),
        ] {
            let config = TargetConfig {
                retry_for: Some(tried),
                ..at(Engine::Webhook, "https://hooks.example")
            };
            assert_eq!((config.check().is_ok(), config.tried_for()), (fits, tried));
            let config = TargetConfig {
                engine: Engine::Redis,
                address: "cache".into(),
                ..config
            };
            assert!(config.check().is_err());
        }
    }
}
