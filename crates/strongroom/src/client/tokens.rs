//! `strongroom token`

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use strongroom_api::tokens::{self, CreateToken, Revoke, WhichToken};
use strongroom_domain::{Name, Network, ObjectId, PrincipalId};

use super::failure::Failure;
use super::input;
use super::operators::{names, pair};
use super::output::{or_dash, table};
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Tokens {
    /// Make a token that ends with one's own; it is shown this once
    Create(Box<Create>),
    /// Show what a service token is: one's own, or by its accessor
    Lookup(Which),
    /// Let a service token hold on: one's own, or by its accessor
    Renew(Which),
    /// End tokens, at once and on every node
    Revoke(End),
    /// List the service tokens
    List,
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// A policy that it carries; may be repeated; none: all of one's own
    #[arg(long = "policy", value_name = "POLICY")]
    policies: Vec<String>,
    /// How long it holds, from now and from each renewal: seconds, or such as 90m or 12h
    #[arg(long, value_parser = seconds, conflicts_with = "period")]
    ttl: Option<u32>,
    /// The same, renewable for ever
    #[arg(long, value_parser = seconds)]
    period: Option<u32>,
    /// When it ends, however it is renewed
    #[arg(long, value_parser = seconds)]
    max_ttl: Option<u32>,
    /// It cannot be renewed
    #[arg(long, conflicts_with = "period")]
    not_renewable: bool,
    /// How often it can be used
    #[arg(long)]
    uses: Option<u32>,
    /// Where it can be used from, such as 10.0.0.0/8; may be repeated
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// What it is for, as KEY=VALUE; may be repeated
    #[arg(long = "metadata", value_name = "KEY=VALUE")]
    metadata: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct Which {
    /// By what names it in the log
    #[arg(long)]
    accessor: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct End {
    /// The token that this command uses
    #[arg(long = "self")]
    own: bool,
    /// A service token by its accessor, or an access token by its `jti`
    #[arg(long)]
    accessor: Option<String>,
    /// The token on stdin (`-`) or in a file
    #[arg(long, value_name = "FILE")]
    token_file: Option<std::path::PathBuf>,
    /// All tokens of a principal
    #[arg(long, value_name = "ID")]
    principal: Option<String>,
    /// All tokens of a client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// All tokens that were issued for a role
    #[arg(long)]
    role: Option<String>,
    /// All tokens that a login method gave
    #[arg(long)]
    method: Option<String>,
}

/// Seconds, or a duration with units.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    let duration = || u32::try_from(SignedDuration::from_str(text).ok()?.as_secs()).ok();
    let seconds = number.or_else(duration).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "it is a number of seconds, or such as 90m or 12h".to_owned())
}

fn id(text: &str) -> Result<ObjectId, Failure> {
    ObjectId::parse(text).ok_or_else(|| Failure::usage(format!("'{text}' is not 32 lower-case hexadecimal digits.")))
}

impl Create {
    fn body(&self) -> Result<CreateToken, Failure> {
        let networks = self.networks.iter().map(|text| Network::parse(text));
        Ok(CreateToken {
            policies: (!self.policies.is_empty()).then(|| names(&self.policies)).transpose()?,
            ttl: self.ttl,
            period: self.period,
            max_ttl: self.max_ttl,
            renewable: !self.not_renewable,
            uses: self.uses,
            networks: networks.collect::<Result<_, _>>()?,
            metadata: self
                .metadata
                .iter()
                .map(|text| pair(text))
                .collect::<Result<BTreeMap<_, _>, _>>()?,
        })
    }
}

impl Which {
    fn body(&self) -> Result<WhichToken, Failure> {
        Ok(WhichToken {
            token: None,
            accessor: self.accessor.as_deref().map(id).transpose()?,
        })
    }
}

impl End {
    fn body(self) -> Result<Revoke, Failure> {
        let principal = |text: &str| {
            let parsed = PrincipalId::parse(text);
            parsed.ok_or_else(|| {
                Failure::usage(format!(
                    "'{text}' is no principal's id: 'audit' and 'whoami' show them."
                ))
            })
        };
        let token = self.token_file.as_deref().map(input::file_or_stdin).transpose()?;
        let token = token.map(|bytes| {
            let text = std::str::from_utf8(&bytes).map(|text| text.trim_end().into());
            text.map_err(|_| Failure::usage("The token is not text."))
        });
        Ok(Revoke {
            token: token.transpose()?,
            accessor: self.accessor.as_deref().map(id).transpose()?,
            principal: self.principal.as_deref().map(principal).transpose()?,
            client_id: self.client.as_deref().map(id).transpose()?,
            role: self.role.as_deref().map(Name::parse).transpose()?,
            method: self.method.as_deref().map(Name::parse).transpose()?,
        })
    }
}

impl Tokens {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Create(create) => {
                let created = client.create_token(&create.body()?).await?;
                output.show(&created, || {
                    format!("{}\n{}", created.token.expose_secret(), rows([&created.told]))
                })
            }
            Self::Lookup(which) => {
                let token = client.look_up_token(&which.body()?).await?;
                output.show(&token, || rows([&token]))
            }
            Self::Renew(which) => {
                let token = client.renew_token(&which.body()?).await?;
                output.show(&token, || rows([&token]))
            }
            Self::Revoke(end) => {
                client.revoke_tokens(&end.body()?).await?;
                output.done("They hold no more, on any node.")
            }
            Self::List => {
                let page = all_pages(async |query| client.tokens(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
        }
    }
}

fn rows<'a>(tokens: impl IntoIterator<Item = &'a tokens::Token>) -> String {
    let rows = tokens.into_iter().map(|token| {
        let policies: Vec<&str> = token.policies.iter().map(Name::as_str).collect();
        let may = match (token.root, token.login) {
            (true, _) => "all, as root".to_owned(),
            (false, true) => "the operator's".to_owned(),
            (false, false) => policies.join(" "),
        };
        [
            token.accessor.to_string(),
            token.principal.to_string(),
            may,
            or_dash(token.uses),
            or_dash(token.expires_at),
            or_dash(token.renewable_until),
        ]
    });
    table(
        [
            "ACCESSOR",
            "PRINCIPAL",
            "POLICIES",
            "USES",
            "EXPIRES",
            "RENEWABLE UNTIL",
        ],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations() {
        for (text, meant) in [("1", 1), ("90m", 5400), ("1h", 3600), ("1h30m", 5400), ("1h 30m", 5400)] {
            assert_eq!(seconds(text).unwrap(), meant, "{text}");
        }
        for wrong in ["", "0", "-1", "1x", "h", "1.5", "99999999999", "-1h", "1y"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
