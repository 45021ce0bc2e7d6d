//! Service tokens: opaque, found by a keyed hash, renewable up to a maximum, ended with what they came of.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::{Generation, Principal, PrincipalKind, Token};
use strongroom_domain::policy::Capability;
use strongroom_domain::row::Key;
use strongroom_domain::{
    Code, Digest, Error, Kind, Name, NamespaceId, Network, ObjectId, PrincipalId, Record, Result, Row, Time, Write,
};
use strongroom_ports::At;

use crate::Broker;
use crate::authenticate::refused;
use crate::change::{Asked, Decided, Decision};
use crate::policies::Noun;
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove};
use crate::session::Session;

/// What opaque service tokens start with; everything else is an access token or nothing.
pub(crate) const SERVICE_TOKEN_PREFIX: &str = "srs_";
const RANDOM: usize = 32;

/// The namespace that a service token is of, which stands before its random bytes; none: it is not one, or of `root`.
pub(crate) fn namespace_of_token(token: &str) -> Option<NamespaceId> {
    let bytes = BASE64URL_NOPAD
        .decode(token.strip_prefix(SERVICE_TOKEN_PREFIX)?.as_bytes())
        .ok()?;
    let (namespace, random) = bytes.split_at_checked(bytes.len().checked_sub(RANDOM)?)?;
    NamespaceId::from_slice(namespace).filter(|_| random.len() == RANDOM)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenView {
    pub accessor: ObjectId,
    pub principal: PrincipalId,
    pub root: bool,
    /// Those it was made with; a login's are what its operator has.
    pub policies: Vec<Name>,
    pub login: bool,
    /// How many tokens it ends with.
    pub depth: usize,
    pub created_at: Time,
    pub expires_at: Option<Time>,
    pub renewable: bool,
    pub renewable_until: Option<Time>,
    pub uses: Option<u32>,
    pub networks: Vec<Network>,
    pub metadata: BTreeMap<String, String>,
}

pub(crate) fn view(id: ObjectId, token: Token) -> TokenView {
    TokenView {
        accessor: id,
        principal: token.principal,
        root: token.root,
        policies: token.policies,
        login: token.login.is_some(),
        depth: token.parents.len(),
        created_at: token.created_at,
        expires_at: token.expires_at,
        renewable: token.renewal.is_some(),
        renewable_until: token.renewal.and_then(|renewal| renewal.until),
        uses: token.uses,
        networks: token.networks,
        metadata: token.metadata,
    }
}

/// Which token is meant.
#[derive(Debug, Clone)]
pub enum TokenRef {
    /// The request's own.
    Own,
    Text(SecretString),
    Accessor(ObjectId),
}

pub(crate) fn no_token() -> Error {
    Error::new(Code::NotFound, "There is no such token.")
}

impl Broker {
    /// What a token's text is found by, under every key that hashes tokens.
    pub(crate) fn token_keys(&self, token: &SecretString) -> Result<Vec<Key>> {
        let hashes = self.0.ring.keys.load().token_hashes(token.expose_secret());
        let hashes = hashes.map_err(Error::internal)?;
        Ok(hashes
            .iter()
            .map(|hash| self.key(Kind::Token, hash.to_string()))
            .collect())
    }

    /// Every token above this one. One that is missing is revoked, and with it all below.
    pub(crate) async fn parents(&self, token: &Token) -> Result<At<Vec<Checked<Token>>>> {
        let keys: Vec<_> = token
            .parents
            .iter()
            .map(|name| self.key(Kind::Token, name.as_str()))
            .collect();
        let found = self.load_keys::<Token>(&keys).await?;
        if found.value.len() == keys.len() {
            Ok(found)
        } else {
            Err(refused())
        }
    }

    pub(crate) fn new_token_text(&self) -> SecretString {
        let namespace = Some(self.namespace()).filter(|id| *id != self.0.root);
        let mut bytes = namespace.map_or_else(Vec::new, |id| id.0.to_vec());
        bytes.extend(self.0.entropy.bytes::<RANDOM>());
        format!("{SERVICE_TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)).into()
    }

    /// A token's row. It falls due when it expires.
    pub(crate) fn token_record(&self, text: &SecretString, token: &Token) -> Result<Record> {
        let key = self.token_keys(text)?.into_iter().next();
        let key = key.ok_or_else(|| Error::internal("no token-hash key"))?;
        self.new_record(Kind::Token, self.new_id(), &key.name, token.expires_at, token)
    }

    /// A fresh token, whose life begins as its renewal says.
    pub(crate) fn make_token(&self, mut token: Token) -> Result<(SecretString, Record)> {
        if let Some(renewal) = token.renewal {
            token.expires_at = Some(renewal.expiry(token.created_at));
        }
        let text = self.new_token_text();
        let record = self.token_record(&text, &token)?;
        Ok((text, record))
    }

    /// The rows of a new principal, and of a token of it that may do everything until it ends.
    pub(crate) fn root_token(
        &self,
        (principal, name): (PrincipalId, &str),
        text: &SecretString,
        until: Time,
        now: Time,
    ) -> Result<(Record, Record)> {
        let body = Principal {
            kind: PrincipalKind::Operator,
            name: Some(name.to_owned()),
            salt: Digest(self.0.entropy.bytes()),
            generation: Generation::first(now),
            created_at: now,
            erased_at: None,
        };
        let who = self.new_record(Kind::Principal, self.new_id(), &principal.to_string(), None, &body)?;
        let token = Token {
            root: true,
            expires_at: Some(until),
            ..Token::blank(principal, body.generation, now)
        };
        Ok((who, self.token_record(text, &token)?))
    }

    /// What a counted token's use takes from it.
    pub(crate) fn spends(&self, session: Option<&Session>) -> Result<Vec<Write>> {
        let Some(token) = session.and_then(|session| session.token.as_deref()) else {
            return Ok(Vec::new());
        };
        let write = match token.body.uses {
            None => return Ok(Vec::new()),
            Some(0 | 1) => remove(&token.record),
            Some(uses) => {
                let left = Token {
                    uses: Some(uses - 1),
                    ..token.body.clone()
                };
                let record = self.next_record(&token.record, &left)?;
                Write::Replace(token.record.rev, Row::Record(record))
            }
        };
        Ok(vec![write])
    }

    /// Lets a token hold on from now, for as long as it was made for and to its maximum.
    pub async fn renew_token(&self, request: &Request, which: &TokenRef) -> Result<TokenView> {
        let (action, capability) = (Action::TokenRenew, Capability::Update);
        let asked = self.about_token(request, action, which)?;
        self.change(request, asked, |attempt| async move {
            let old = self.meant(&attempt, which, capability).await?;
            if old.body.expires_at.is_some_and(|at| at <= attempt.now) {
                return Err(no_token());
            }
            let renewal = old.body.renewal.ok_or_else(|| {
                Error::new(
                    Code::Conflict,
                    "The token cannot be renewed: it was made so, or it is an access token.",
                )
            })?;
            let expires_at = Some(renewal.expiry(attempt.now));
            let token = Token {
                expires_at,
                ..old.body.clone()
            };
            let record = Record {
                due: expires_at,
                ..old.record.clone()
            };
            let record = self.next_record(&record, &token)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                // No cache keeps it as expired.
                touches: Vec::new(),
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(action, record.id.to_string())
                }],
                answer: view(record.id, token),
                writes: vec![Write::Replace(old.record.rev, Row::Record(record))],
            }))
        })
        .await
    }

    pub async fn look_up_token(&self, request: &Request, which: &TokenRef) -> Result<TokenView> {
        self.serve(request, Action::TokenRead, "", |attempt| async move {
            let found = self.meant(&attempt, which, Capability::Read).await?;
            if found.body.expires_at.is_some_and(|at| at <= attempt.now) {
                return Err(no_token());
            }
            let id = found.record.id;
            Ok(Served {
                about: Some(id.to_string()),
                ..Served::fresh(view(id, found.body))
            })
        })
        .await
    }

    /// By what stands in their place: the keyed hash that each is found by.
    pub async fn tokens(&self, request: &Request, after: &str, limit: u16) -> Result<(Vec<TokenView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Token,
            name: "",
            action: Action::TokenRead,
            access: Access::Tokens(Capability::List),
        };
        let (found, next) = self.list_objects::<Token>(request, noun, after, limit).await?;
        let now = self.0.clock.now();
        let valid = found
            .into_iter()
            .filter(|token| token.body.expires_at.is_none_or(|at| at > now));
        Ok((valid.map(|token| view(token.record.id, token.body)).collect(), next))
    }

    /// The service token that is meant, to whoever holds it, or is granted the capability on it.
    pub(crate) async fn meant(
        &self,
        attempt: &Attempt,
        which: &TokenRef,
        capability: Capability,
    ) -> Result<Checked<Token>> {
        let found = match which {
            TokenRef::Own => {
                let own = attempt.session.token.as_ref().map(|token| token.record.id);
                let own = own.ok_or_else(|| Error::invalid("This is no service token: there is none to ask about."))?;
                self.load_by_id(Kind::Token, own).await?.value
            }
            TokenRef::Text(text) => self.load_keys(&self.token_keys(text)?).await?.value.into_iter().next(),
            TokenRef::Accessor(id) => {
                attempt.authorise(Access::Token(&id.to_string(), capability))?;
                self.load_by_id(Kind::Token, *id).await?.value
            }
        };
        found.ok_or_else(no_token)
    }

    pub(crate) fn about_token(&self, request: &Request, action: Action, which: &TokenRef) -> Result<Asked<'static>> {
        let what = match which {
            TokenRef::Own => String::new(),
            TokenRef::Text(text) => self
                .token_keys(text)?
                .into_iter()
                .next()
                .map_or_else(String::new, |key| key.name),
            TokenRef::Accessor(id) => id.to_string(),
        };
        Ok(Asked {
            action,
            path: String::new(),
            locks: Vec::new(),
            id: self.change_id(request),
            fingerprint: Canon::new(action.name()).text(&what).done().into(),
            needs: Vec::new(),
        })
    }
}
