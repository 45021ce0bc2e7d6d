//! Whether a proof is what a role asks for.

use serde_json::{Map, Value};

use super::{Accepted, Bounds, MethodConfig, Scalar, ServiceAccount};

/// What was verified of somebody.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// A token's.
    pub audiences: &'a [String],
    pub claims: Option<&'a Map<String, Value>>,
    pub service_account: Option<&'a ServiceAccount>,
    pub spiffe_id: Option<&'a str>,
    pub dns_names: &'a [String],
    pub common_name: Option<&'a str>,
}

/// Why a role does not take a proof. For the log: the answer is one for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    OtherMethod,
    /// The role asks for nothing that tells one from another.
    Unbound,
    Audience,
    Claim,
    ServiceAccount,
    Certificate,
    SpiffeId,
    PullRequest,
    Unprotected,
}

impl Denied {
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherMethod => "role_of_another_method",
            Self::Unbound => "role_binds_too_little",
            Self::Audience => "audience_not_bound",
            Self::Claim => "claim_not_bound",
            Self::ServiceAccount => "service_account_not_bound",
            Self::Certificate => "certificate_not_bound",
            Self::SpiffeId => "spiffe_id_not_bound",
            Self::PullRequest => "pull_request",
            Self::Unprotected => "unprotected_ref",
        }
    }
}

impl Bounds {
    /// Everything is asked again here, whatever was checked when role and method were written: either may have changed.
    pub fn admits(&self, method: &MethodConfig, facts: &Facts<'_>) -> Result<(), Denied> {
        self.check(method).map_err(|_| Denied::Unbound)?;
        if let Some(audiences) = &self.audiences
            && !facts.audiences.iter().any(|audience| audiences.contains(audience))
        {
            return Err(Denied::Audience);
        }
        let empty = Map::new();
        let claims = facts.claims.unwrap_or(&empty);
        if !self.claims.iter().all(|(name, accepted)| fits(claims, name, accepted)) {
            return Err(Denied::Claim);
        }
        if let Some(accounts) = &self.service_accounts
            && !facts
                .service_account
                .is_some_and(|account| accounts.iter().any(|bound| is_bound(bound, account)))
        {
            return Err(Denied::ServiceAccount);
        }
        let exactly = |bound: &Option<Vec<String>>, found: Option<&str>| match bound {
            None => true,
            Some(bound) => found.is_some_and(|found| bound.iter().any(|text| text == found)),
        };
        if !exactly(&self.spiffe_ids, facts.spiffe_id) {
            return Err(Denied::SpiffeId);
        }
        let dns = self.dns_names.as_ref();
        if !exactly(&self.common_names, facts.common_name)
            || dns.is_some_and(|bound| !facts.dns_names.iter().any(|name| bound.contains(name)))
        {
            return Err(Denied::Certificate);
        }
        match method {
            MethodConfig::Jwt(jwt) => jwt.preset.map_or(Ok(()), |preset| preset.admit(self, claims)),
            _ => Ok(()),
        }
    }
}

fn is_bound(bound: &ServiceAccount, account: &ServiceAccount) -> bool {
    bound.namespace == account.namespace
        && bound.name == account.name
        && (bound.uid.is_none() || bound.uid == account.uid)
}

/// A claim by its name, or where a JSON pointer leads.
pub fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if !name.starts_with('/') {
        return claims.get(name);
    }
    let mut steps = name
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(&step))
}

/// A list fits where one of its items does. Types count: the text "5" is not the number 5.
fn fits(claims: &Map<String, Value>, name: &str, accepted: &Accepted) -> bool {
    let fits = |value: &Value| {
        accepted.values().iter().any(|bound| match bound {
            Scalar::Bool(bound) => value.as_bool() == Some(*bound),
            Scalar::Number(bound) => value.as_i64() == Some(*bound),
            Scalar::Text(bound) => value.as_str() == Some(bound),
        })
    };
    match claim(claims, name) {
        None => false,
        Some(Value::Array(items)) => items.iter().any(fits),
        Some(value) => fits(value),
    }
}

#[cfg(test)]
mod tests;
