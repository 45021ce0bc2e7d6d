//! `tokens`, and `POST auth/token/…`: service tokens, and what can be done with a token of any kind

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, Network, ObjectId, PrincipalId, Time};

/// A token that ends with the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Of the caller's own; absent: all of them. Who may do everything says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Name>", length(max = 64))]
    pub policies: Option<Vec<Name>>,
    /// Seconds it holds, from now and from each renewal; 3,600 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 2_764_800))]
    pub ttl: Option<u32>,
    /// In the place of `ttl`: the same, renewable for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 2_764_800))]
    pub period: Option<u32>,
    /// Seconds after which it ends, however it is renewed; 32 days when neither this nor `period` is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 2_764_800))]
    pub max_ttl: Option<u32>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    #[schemars(default)]
    pub renewable: bool,
    /// How often it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1))]
    pub uses: Option<u32>,
    /// Where it can be used from; empty: anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub networks: Vec<Network>,
    /// At most 16 entries, with keys of 1 to 128 and values of at most 256 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl Default for CreateToken {
    fn default() -> Self {
        Self {
            policies: None,
            ttl: None,
            period: None,
            max_ttl: None,
            renewable: true,
            uses: None,
            networks: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }
}

/// The only answer that shows the token.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TokenCreated")]
pub struct Created {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub token: SecretString,
    #[serde(flatten)]
    pub told: Token,
}

/// A service token, without what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ServiceToken")]
pub struct Token {
    pub accessor: ObjectId,
    pub principal: PrincipalId,
    /// May do everything, whatever the policies say.
    pub root: bool,
    /// Of a person's login: its policies are what the operator and its groups have.
    pub login: bool,
    pub policies: Vec<Name>,
    /// How many tokens it ends with: its maker's, that one's maker's, and so on.
    pub depth: usize,
    pub created_at: Time,
    /// Absent: it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    pub renewable: bool,
    /// Absent from a renewable one: for as long as it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewable_until: Option<Time>,
    /// How often it can be used still; absent: it is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub uses: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Which token: by itself, or by accessor; neither: the request's own.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhichToken {
    #[serde(with = "crate::exposed::maybe", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token: Option<SecretString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ObjectId")]
    pub accessor: Option<ObjectId>,
}

/// Which tokens end: one field at most; none: the request's own token.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    #[serde(with = "crate::exposed::maybe", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token: Option<SecretString>,
    /// Of a service token, or an access token's `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ObjectId")]
    pub accessor: Option<ObjectId>,
    /// All of a principal's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PrincipalId")]
    pub principal: Option<PrincipalId>,
    /// All of a client's, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ObjectId")]
    pub client_id: Option<ObjectId>,
    /// All that were issued for a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Name")]
    pub role: Option<Name>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub token: SecretString,
    /// Not needed: what a token is, it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token_type_hint: Option<String>,
}

/// As RFC 7662 has it. Of a token that does not hold, `active` alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TokenIntrospected")]
pub struct Introspected {
    pub active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PrincipalId")]
    pub sub: Option<PrincipalId>,
    /// The principal's name, unless that was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub client_id: Option<String>,
    /// Always `Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token_type: Option<String>,
    /// The policies, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub scope: Option<String>,
    /// A service token's accessor, an access token's own `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub jti: Option<String>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub exp: Option<i64>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub iat: Option<i64>,
}
