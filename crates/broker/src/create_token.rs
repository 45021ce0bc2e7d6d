//! Making a service token, which ends with its maker's and can do no more.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::{
    DEFAULT_TOKEN_TTL, MAX_NETWORKS, MAX_POLICIES, MAX_TOKEN_DEPTH, MAX_TOKEN_METADATA, MAX_TOKEN_TTL, Renewal, Token,
};
use strongroom_domain::metadata::check_tags;
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Error, Name, Network, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::grants::check_count;
use crate::record::Effect;
use crate::request::Request;
use crate::rows::Checked;
use crate::session::{Grants, Session};
use crate::tokens::{TokenView, view};

/// What a token shall be.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// None: the maker's own.
    pub policies: Option<Vec<Name>>,
    /// Seconds.
    pub ttl: Option<u32>,
    /// Seconds that each renewal gives, without an end.
    pub period: Option<u32>,
    /// Seconds after which it ends whatever is renewed.
    pub max_ttl: Option<u32>,
    pub renewable: bool,
    pub uses: Option<u32>,
    pub networks: Vec<Network>,
    pub metadata: BTreeMap<String, String>,
}

/// A new token: this is the only time it is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedToken {
    pub token: String,
    pub view: TokenView,
}

impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatedToken({})", self.view.accessor)
    }
}

impl NewToken {
    fn check(&self) -> Result<()> {
        let seconds = [("ttl", self.ttl), ("period", self.period), ("max_ttl", self.max_ttl)];
        for (name, value) in seconds {
            if value.is_some_and(|value| !(1..=MAX_TOKEN_TTL).contains(&value)) {
                return Err(Error::invalid(format!("'{name}' is 1 to {MAX_TOKEN_TTL} seconds.")));
            }
        }
        if self.period.is_some() && (self.ttl.is_some() || !self.renewable) {
            return Err(Error::invalid(
                "'period' says how long the token holds from each renewal: it stands without 'ttl' and without 'renewable'.",
            ));
        }
        if self.uses == Some(0) {
            return Err(Error::invalid("'uses' is at least 1."));
        }
        if self.networks.len() > MAX_NETWORKS {
            return Err(Error::invalid(format!(
                "'networks' has at most {MAX_NETWORKS} of them."
            )));
        }
        check_tags("metadata", &self.metadata, MAX_TOKEN_METADATA)?;
        check_count("policies", self.policies.as_deref().unwrap_or_default(), MAX_POLICIES)
    }

    /// How long it holds, and how it is renewed.
    fn life(&self, now: Time) -> (Time, Option<Renewal>) {
        let after = |seconds: u32| now + Duration::from_secs(seconds.into());
        let until = match (self.max_ttl, self.period) {
            (Some(most), _) => Some(after(most)),
            (None, Some(_)) => None,
            (None, None) => Some(after(MAX_TOKEN_TTL)),
        };
        let renewal = Renewal {
            ttl: self.period.or(self.ttl).unwrap_or(DEFAULT_TOKEN_TTL),
            until,
        };
        (renewal.expiry(now), Some(renewal).filter(|_| self.renewable))
    }
}

impl Broker {
    /// Makes a token that ends with the caller's. It can name no policy that the caller has not, unless that may do
    /// everything.
    pub async fn create_token(&self, request: &Request, new: &NewToken) -> Result<CreatedToken> {
        new.check()?;
        let access = Access::Tokens(Capability::Create);
        let asked = Asked {
            action: Action::TokenCreate,
            path: String::new(),
            locks: Vec::new(),
            // Its text stands in no answer that is kept.
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: vec![vec![access]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let session = &attempt.session;
            let policies = self.given_policies(session, new).await?;
            let parent = session.token.as_deref();
            let parent =
                parent.ok_or_else(|| Error::invalid("Only a service token makes tokens, which end with it."))?;
            let (expires_at, renewal) = new.life(attempt.now);
            let token = Token {
                policies,
                parents: parents_of_child(parent)?,
                expires_at: Some(expires_at),
                renewal,
                uses: new.uses,
                networks: new.networks.clone(),
                metadata: new.metadata.clone(),
                ..Token::blank(session.principal, parent.body.generation, attempt.now)
            };
            let text = self.new_token_text();
            let record = self.token_record(&text, &token)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                touches: Vec::new(),
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(Action::TokenCreate, record.id.to_string())
                }],
                answer: CreatedToken {
                    token: text.expose_secret().to_owned(),
                    view: view(record.id, token),
                },
                writes: vec![Write::Insert(Row::Record(record))],
            }))
        })
        .await
    }

    async fn given_policies(&self, session: &Session, new: &NewToken) -> Result<Vec<Name>> {
        let own = &session.whose.policies;
        let Some(wanted) = &new.policies else {
            return match session.grants {
                Grants::Root => Err(Error::invalid("'policies' is missing: say what the token may do.")),
                Grants::Policies(_) => Ok(own.clone()),
            };
        };
        let foreign = wanted.iter().find(|name| !own.contains(name));
        match (&session.grants, foreign) {
            (Grants::Policies(_), Some(foreign)) => Err(Error::new(
                Code::PermissionDenied,
                format!("You do not have the policy '{foreign}' yourself."),
            )),
            _ => {
                self.check_policies(wanted).await?;
                Ok(wanted.clone())
            }
        }
    }
}

/// The tokens that a child of this one ends with.
fn parents_of_child(token: &Checked<Token>) -> Result<Vec<String>> {
    if token.body.uses.is_some() {
        return Err(Error::invalid("A token whose uses are counted makes no tokens."));
    }
    if token.body.parents.len() >= MAX_TOKEN_DEPTH {
        return Err(Error::new(
            Code::LimitReached,
            format!("This token came of {MAX_TOKEN_DEPTH} others already: it makes no more."),
        ));
    }
    Ok(token.body.parents.iter().chain([&token.record.name]).cloned().collect())
}
