//! What a method is told by who creates it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Algorithm;
use super::check::{
    MAX_LIST, MAX_PEM, MAX_TEXT, check_algorithms, check_audiences, check_issuer, check_lifetime, check_list,
    check_pem, check_text,
};
use crate::outbound::check_url;
use crate::{Error, Name, Result};

/// Seconds that an outside token may be valid for in all.
const DEFAULT_TOKEN_LIFETIME: u32 = 86_400;

/// How a method lets somebody prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MethodType {
    Client,
    Password,
    Jwt,
    Oidc,
    Kubernetes,
    Cert,
    SpiffeJwt,
}

impl MethodType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Password => "password",
            Self::Jwt => "jwt",
            Self::Oidc => "oidc",
            Self::Kubernetes => "kubernetes",
            Self::Cert => "cert",
            Self::SpiffeJwt => "spiffe-jwt",
        }
    }
}

impl fmt::Display for MethodType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a method is, by its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum MethodConfig {
    /// Built in: a client's id and secret.
    Client(NoConfig),
    /// Built in: an operator's username and password.
    Password(NoConfig),
    Jwt(JwtMethod),
    Oidc(OidcMethod),
    Kubernetes(KubernetesMethod),
    Cert(CertMethod),
    SpiffeJwt(SpiffeMethod),
}

/// There is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Where the keys of an issuer are. None named: where its discovery document says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySource {
    /// Where the keys are, without discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The keys themselves: a JSON Web Key Set, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// The certificates, in PEM, that the issuer's own must come from; none: those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// An issuer whose claims are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    GithubActions,
    Gitlab,
}

impl Preset {
    pub fn issuer(self) -> &'static str {
        match self {
            Self::GithubActions => "https://token.actions.githubusercontent.com",
            Self::Gitlab => "https://gitlab.com",
        }
    }
}

/// JSON Web Tokens of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtMethod {
    /// The `iss` of its tokens, byte for byte; a preset knows its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Whom a token must be for: one of these.
    #[schemars(length(min = 1, max = 64))]
    pub audiences: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub keys: KeySource,
    /// Absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Seconds that a token may be valid for in all; a day unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 31_622_400))]
    pub max_token_lifetime: Option<u32>,
}

/// People, by the authorization code flow of OpenID Connect with PKCE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcMethod {
    /// Found by discovery.
    pub issuer: String,
    pub client_id: String,
    /// The certificates, in PEM, that the issuer's own must come from; none: those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Asked for beside `openid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups, as a name or a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// Which group of ours each of theirs is. One that is not named here is none.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub groups: std::collections::BTreeMap<String, Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Let people confirm a login on another device than the one that it is for (RFC 8628). Whoever talks somebody into
    /// confirming a code has that person's login.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub device_code: bool,
}

/// Who asks the cluster itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The API server's address, as `https://host:port`.
    pub host: String,
    /// The certificates, in PEM, that the API server's must come from; none: those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// Service accounts of one Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesMethod {
    /// The `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// Whom a token must be for: one of these.
    #[schemars(length(min = 1, max = 64))]
    pub audiences: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub keys: KeySource,
    /// Ask the cluster's TokenReview too, so that a token ends with its pod and its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Seconds that a token may be valid for in all; a day unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 31_622_400))]
    pub max_token_lifetime: Option<u32>,
}

/// Client certificates of one authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertMethod {
    /// The authority's certificates, in PEM.
    pub ca_pem: String,
}

/// JWT-SVIDs of one trust domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpiffeMethod {
    pub trust_domain: String,
    /// Whom a token must be for: one of these.
    #[schemars(length(min = 1, max = 64))]
    pub audiences: Vec<String>,
    /// Where the trust domain's bundle is, or the bundle itself.
    pub keys: KeySource,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl KeySource {
    fn check(&self, discovery: bool) -> Result<()> {
        if self.jwks_url.is_some() && self.jwks.is_some() {
            return Err(Error::invalid("'keys' has 'jwks_url' or 'jwks', not both."));
        }
        if !discovery && self.jwks_url.is_none() && self.jwks.is_none() {
            return Err(Error::invalid("'keys' names 'jwks_url' or holds 'jwks'."));
        }
        if self.jwks.is_some() && self.ca_pem.is_some() {
            return Err(Error::invalid("'keys' has a 'ca_pem' and nothing to ask with it."));
        }
        if let Some(url) = &self.jwks_url {
            check_url("keys.jwks_url", url)?;
        }
        check_pem("keys.ca_pem", self.ca_pem.as_deref())?;
        if self.jwks.as_ref().is_some_and(|jwks| jwks.len() > MAX_PEM) {
            return Err(Error::invalid("'keys.jwks' has at most 65,536 bytes."));
        }
        Ok(())
    }
}

impl MethodConfig {
    pub fn of(&self) -> MethodType {
        match self {
            Self::Client(_) => MethodType::Client,
            Self::Password(_) => MethodType::Password,
            Self::Jwt(_) => MethodType::Jwt,
            Self::Oidc(_) => MethodType::Oidc,
            Self::Kubernetes(_) => MethodType::Kubernetes,
            Self::Cert(_) => MethodType::Cert,
            Self::SpiffeJwt(_) => MethodType::SpiffeJwt,
        }
    }

    /// Who says what it believes; none: nobody by name.
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Jwt(method) => Some(method.issuer()),
            Self::Oidc(method) => Some(&method.issuer),
            Self::Kubernetes(method) => Some(&method.issuer),
            Self::SpiffeJwt(method) => Some(&method.trust_domain),
            Self::Client(_) | Self::Password(_) | Self::Cert(_) => None,
        }
    }

    /// Whether it can show a secret of its own to the other side.
    pub fn takes_secret(&self) -> bool {
        match self {
            Self::Oidc(_) => true,
            Self::Kubernetes(method) => method.review.is_some(),
            Self::Client(_) | Self::Password(_) | Self::Jwt(_) | Self::Cert(_) | Self::SpiffeJwt(_) => false,
        }
    }

    /// The form alone: nothing is asked of the other side.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Client(_) | Self::Password(_) => Err(Error::invalid(format!(
                "There is one method of type '{}', and it is built in.",
                self.of()
            ))),
            Self::Jwt(method) => method.check(),
            Self::Oidc(method) => method.check(),
            Self::Kubernetes(method) => method.check(),
            Self::Cert(method) => check_pem("ca_pem", Some(&method.ca_pem)),
            Self::SpiffeJwt(method) => method.check(),
        }
    }
}

impl JwtMethod {
    /// A preset's, unless it names one.
    pub fn issuer(&self) -> &str {
        let preset = self.preset.map(Preset::issuer);
        self.issuer.as_deref().or(preset).unwrap_or_default()
    }

    pub fn algorithms(&self) -> &[Algorithm] {
        self.algorithms.as_deref().unwrap_or(&Algorithm::ALL)
    }

    pub fn max_token_lifetime(&self) -> u32 {
        self.max_token_lifetime.unwrap_or(DEFAULT_TOKEN_LIFETIME)
    }

    fn check(&self) -> Result<()> {
        if self.issuer().is_empty() {
            return Err(Error::invalid("'issuer' is missing, and no 'preset' knows it."));
        }
        check_issuer(self.issuer(), self.keys.jwks_url.is_none() && self.keys.jwks.is_none())?;
        check_audiences(&self.audiences)?;
        check_lifetime(self.max_token_lifetime)?;
        check_algorithms(self.algorithms.as_deref())?;
        self.keys.check(true)
    }
}

impl OidcMethod {
    pub fn algorithms(&self) -> &[Algorithm] {
        self.algorithms.as_deref().unwrap_or(&Algorithm::ALL)
    }

    fn check(&self) -> Result<()> {
        check_issuer(&self.issuer, true)?;
        check_text("client_id", &self.client_id)?;
        check_pem("ca_pem", self.ca_pem.as_deref())?;
        check_list("scopes", &self.scopes)?;
        if self
            .scopes
            .iter()
            .any(|scope| scope.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\'))
        {
            return Err(Error::invalid(
                "'scopes' has one scope an item, without spaces and quotes.",
            ));
        }
        if self.groups.len() > MAX_LIST || self.groups.keys().any(|group| group.len() > MAX_TEXT) {
            return Err(Error::invalid("'groups' has at most 64 groups, of 1,024 bytes each."));
        }
        if self.groups.is_empty() != self.groups_claim.is_none() {
            return Err(Error::invalid("'groups_claim' and 'groups' belong together."));
        }
        check_algorithms(self.algorithms.as_deref())
    }
}

impl KubernetesMethod {
    pub fn max_token_lifetime(&self) -> u32 {
        self.max_token_lifetime.unwrap_or(DEFAULT_TOKEN_LIFETIME)
    }

    fn check(&self) -> Result<()> {
        check_issuer(&self.issuer, self.keys.jwks_url.is_none() && self.keys.jwks.is_none())?;
        check_audiences(&self.audiences)?;
        check_lifetime(self.max_token_lifetime)?;
        if let Some(review) = &self.review {
            check_url("review.host", &review.host)?;
            check_pem("review.ca_pem", review.ca_pem.as_deref())?;
        }
        self.keys.check(true)
    }
}

impl SpiffeMethod {
    fn check(&self) -> Result<()> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if !(1..=255).contains(&self.trust_domain.len()) || !self.trust_domain.bytes().all(fits) {
            return Err(Error::invalid(
                "'trust_domain' is a name like 'example.org', without 'spiffe://'.",
            ));
        }
        check_audiences(&self.audiences)?;
        self.keys.check(false)
    }
}
