//! What a role asks of who logs in by a method.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MethodConfig;
use crate::{Error, Name, Result};

const MAX_ITEMS: usize = 64;
const MAX_TEXT: usize = 1024;

/// Every list that is named must hold one that fits: an empty one lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The only method by which its tokens are had.
    pub method: Name,
    /// Of the method's audiences, those that are taken for this role; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub audiences: Option<Vec<String>>,
    /// What the token's claims must be, each by its name or as a JSON pointer: exactly this, or one of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Accepted>,
    /// Kubernetes: whose token it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub service_accounts: Option<Vec<ServiceAccount>>,
    /// Certificates and JWT-SVIDs: the SPIFFE ID, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub spiffe_ids: Option<Vec<String>>,
    /// Certificates: a DNS name among the alternative names, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub dns_names: Option<Vec<String>>,
    /// Certificates: the subject's common name, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub common_names: Option<Vec<String>>,
    /// Presets: let jobs in that a pull or merge request started, whose code nobody may have looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pull_requests: bool,
}

/// One service account of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    pub namespace: String,
    pub name: String,
    /// This very one, and none that is made later under its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// A claim's value. Numbers are whole: equality of others is nobody's promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Number(i64),
    Text(String),
}

/// What a claim may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Accepted {
    One(Scalar),
    Any(Vec<Scalar>),
}

impl Accepted {
    pub(super) fn values(&self) -> &[Scalar] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Any(values) => values,
        }
    }
}

impl Bounds {
    /// Refuses what could let in nobody, or more than was meant, with what to do.
    pub fn check(&self, method: &MethodConfig) -> Result<()> {
        self.check_form()?;
        self.check_fields(method)?;
        match method {
            MethodConfig::Jwt(jwt) => {
                if self.claims.is_empty() {
                    return Err(Error::invalid(
                        "'bounds.claims' is empty: every token of the issuer would do. Name what yours say, like 'sub'.",
                    ));
                }
                jwt.preset.map_or(Ok(()), |preset| preset.check(self))
            }
            MethodConfig::Kubernetes(_) if self.service_accounts.is_none() => Err(Error::invalid(
                "'bounds.service_accounts' is missing: every account of the cluster would do.",
            )),
            MethodConfig::Cert(_)
                if self.spiffe_ids.is_none() && self.dns_names.is_none() && self.common_names.is_none() =>
            {
                Err(Error::invalid(
                    "Name 'bounds.spiffe_ids', 'bounds.dns_names' or 'bounds.common_names': every certificate would do.",
                ))
            }
            MethodConfig::SpiffeJwt(_) if self.spiffe_ids.is_none() => Err(Error::invalid(
                "'bounds.spiffe_ids' is missing: every workload of the trust domain would do.",
            )),
            MethodConfig::Oidc(_) | MethodConfig::Password(_) => Err(Error::invalid(format!(
                "A method of type '{}' is for people: they have groups, and no role.",
                method.of()
            ))),
            MethodConfig::Client(_)
            | MethodConfig::Kubernetes(_)
            | MethodConfig::Cert(_)
            | MethodConfig::SpiffeJwt(_) => Ok(()),
        }
    }

    fn check_form(&self) -> Result<()> {
        let lists = [
            ("audiences", &self.audiences),
            ("spiffe_ids", &self.spiffe_ids),
            ("dns_names", &self.dns_names),
            ("common_names", &self.common_names),
        ];
        for (field, list) in lists {
            let Some(list) = list else { continue };
            if list.len() > MAX_ITEMS || list.iter().any(|text| text.is_empty() || text.len() > MAX_TEXT) {
                return Err(Error::invalid(format!(
                    "'bounds.{field}' has at most 64 items, of 1 to 1,024 bytes."
                )));
            }
        }
        let fits = |value: &Scalar| !matches!(value, Scalar::Text(text) if text.len() > MAX_TEXT);
        let claim = |(name, accepted): (&String, &Accepted)| {
            (1..=MAX_TEXT).contains(&name.len())
                && accepted.values().len() <= MAX_ITEMS
                && accepted.values().iter().all(fits)
        };
        if self.claims.len() > MAX_ITEMS || !self.claims.iter().all(claim) {
            return Err(Error::invalid(
                "'bounds.claims' has at most 64 claims with at most 64 values, each of at most 1,024 bytes.",
            ));
        }
        let accounts = self.service_accounts.as_deref().unwrap_or_default();
        let account = |account: &ServiceAccount| {
            let part = |text: &str| (1..=253).contains(&text.len()) && !text.contains(':');
            part(&account.namespace) && part(&account.name) && account.uid.as_deref().is_none_or(part)
        };
        if accounts.len() > MAX_ITEMS || !accounts.iter().all(account) {
            return Err(Error::invalid(
                "'bounds.service_accounts' has at most 64 accounts, each with a namespace and a name.",
            ));
        }
        Ok(())
    }

    /// What says nothing about this type of method was meant to restrict, and would not.
    fn check_fields(&self, method: &MethodConfig) -> Result<()> {
        let token = matches!(
            method,
            MethodConfig::Jwt(_) | MethodConfig::Kubernetes(_) | MethodConfig::SpiffeJwt(_)
        );
        let cert = matches!(method, MethodConfig::Cert(_));
        let spiffe = cert || matches!(method, MethodConfig::SpiffeJwt(_));
        let preset = matches!(method, MethodConfig::Jwt(jwt) if jwt.preset.is_some());
        let table = [
            ("audiences", self.audiences.is_some(), token),
            ("claims", !self.claims.is_empty(), token),
            (
                "service_accounts",
                self.service_accounts.is_some(),
                matches!(method, MethodConfig::Kubernetes(_)),
            ),
            ("spiffe_ids", self.spiffe_ids.is_some(), spiffe),
            ("dns_names", self.dns_names.is_some(), cert),
            ("common_names", self.common_names.is_some(), cert),
            ("pull_requests", self.pull_requests, preset),
        ];
        match table.iter().find(|(_, given, understood)| *given && !understood) {
            Some((field, ..)) => Err(Error::invalid(format!(
                "'bounds.{field}' says nothing about a method of type '{}'.",
                method.of()
            ))),
            None => Ok(()),
        }
    }
}
