//! The bodies of the records that grant something, and of those that say who acts.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::Bounds;
use crate::{Digest, Name, NamespaceId, Network, ObjectId, PrincipalId, Time};

/// Access tokens live this long unless a role says otherwise, and never longer than the maximum.
pub const DEFAULT_ACCESS_TOKEN_TTL: u32 = 300;
pub const MAX_ACCESS_TOKEN_TTL: u32 = 3600;
/// Bytes of a password.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 12..=1024;
/// Policies that a role, an operator or a group may name.
pub const MAX_POLICIES: usize = 64;
/// Groups that an operator may name.
pub const MAX_GROUPS: usize = 16;
/// A client's secrets that are valid at one time.
pub const MAX_CLIENT_SECRETS: usize = 2;

/// Seconds.
pub const DEFAULT_TOKEN_TTL: u32 = 3600;
/// The longest that a service token holds without being renewed, and unless its maker says otherwise the longest at all.
pub const MAX_TOKEN_TTL: u32 = 32 * 24 * 3600;
/// What a person's login yields: renewable for this long each time, and until the maximum.
pub const LOGIN_TOKEN_TTL: u32 = 3600;
pub const LOGIN_TOKEN_MAX: u32 = 12 * 3600;
/// Tokens above a token.
pub const MAX_TOKEN_DEPTH: usize = 8;
/// Networks that a token, or a rule, may be bound to.
pub const MAX_NETWORKS: usize = 32;
/// What a token's maker may write on it.
pub const MAX_TOKEN_METADATA: usize = 16;
/// What may be written on a client or an operator.
pub const MAX_METADATA: usize = 16;

/// A tenant. Its record's name is the namespace's, and of every one but `root` its record's id is the namespace's too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceBody {
    pub id: NamespaceId,
    pub created_at: Time,
    /// Nothing of it is shown any more; its rows are being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    /// It does not wait for leases whose users could not be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abandons_leases: bool,
}

/// What a login yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub policies: Vec<Name>,
    /// Seconds.
    pub access_token_ttl: u32,
    /// None: for clients alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    #[serde(default)]
    pub generation: Generation,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Tokens name the generation of what they were issued for. Another one voids them: it is replaced to revoke them all, and an
/// object made anew under an old name starts with one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Generation(pub i64);

impl Generation {
    pub fn first(now: Time) -> Self {
        Self(now.0)
    }

    /// Greater than any before, also where a clock went back.
    #[must_use]
    pub fn next(self, now: Time) -> Self {
        Self(now.0.max(self.0 + 1))
    }
}

/// What tokens are issued for.
pub trait Generational {
    fn generation(&mut self) -> &mut Generation;
}

macro_rules! generational {
    ($($body:ty),*) => {
        $(impl Generational for $body {
            fn generation(&mut self) -> &mut Generation {
                &mut self.generation
            }
        })*
    };
}

generational! { Role, Client, Principal, crate::method::Method }

/// A workload that proves itself with an id and a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub principal: PrincipalId,
    pub role: Name,
    pub secrets: Vec<ClientSecret>,
    /// What policies may name it by, beside its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Name, String>,
    #[serde(default)]
    pub generation: Generation,
    pub created_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    pub id: ObjectId,
    /// Keyed hash of the secret and the token-hash key's id.
    pub key: i64,
    pub hash: Digest,
    pub created_at: Time,
}

/// A person who proves itself with a password. Its record's name is the username.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    pub principal: PrincipalId,
    pub policies: Vec<Name>,
    /// Whose policies it has too.
    pub groups: Vec<Name>,
    /// What policies may name it by, beside its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Name, String>,
    /// None: it cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// One-time codes beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What one-time codes are made of, with a key of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    pub key: i64,
    /// None: no login needs a code yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Digest>,
    /// Of a secret that was shown, and of which no code was seen yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Digest>,
}

/// A one-time code that was used: it stands in the record's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCode {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    /// Fresh with each one: tokens name it, and end with it.
    pub id: ObjectId,
    /// The change that set it, so that its repeat is told from another.
    pub change: String,
    pub hash: PasswordHash,
    pub created_at: Time,
}

/// Argon2id of the password's HMAC: whoever has the database alone cannot even try passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    /// The HMAC's key.
    pub key: i64,
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    pub salt: Digest,
    pub hash: Digest,
}

/// Policies under one name, for the operators that name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub policies: Vec<Name>,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    Operator,
    Workload,
}

/// Who acts. `salt` keys the audit identity; erasing a person replaces it, so that what was can no longer be linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub kind: PrincipalKind,
    /// What people call it; entries hold the id alone. Erasing a person empties it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub salt: Digest,
    #[serde(default)]
    pub generation: Generation,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
}

/// An opaque token. Its record's id is the accessor, its record's name the keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub principal: PrincipalId,
    /// The principal's when it was made.
    #[serde(default)]
    pub generation: Generation,
    /// Root is this flag, never a name.
    pub root: bool,
    /// Named by its maker, who had them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Name>,
    /// Of a person's login, whose policies are what it and its groups have now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<PersonLogin>,
    /// The hashes of the tokens it ends with, the nearest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// None: it cannot be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// How often it can be used still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Where it can be used from; empty: anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Token {
    /// One that grants nothing and does not end, to be filled in.
    pub fn blank(principal: PrincipalId, generation: Generation, now: Time) -> Self {
        Self {
            principal,
            generation,
            root: false,
            policies: Vec::new(),
            login: None,
            parents: Vec::new(),
            created_at: now,
            expires_at: None,
            renewal: None,
            uses: None,
            networks: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }
}

/// How a person logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonLogin {
    /// As an operator of ours.
    Operator(OperatorLogin),
    /// As somebody whom a method's issuer vouches for.
    Vouched(VouchedLogin),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorLogin {
    pub operator: ObjectId,
    /// Names the password that it was had for.
    pub credential: ObjectId,
}

/// What a method of others vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VouchedLogin {
    pub method: Name,
    /// The method's when it was made.
    pub generation: Generation,
    /// Of ours, as the method made them of theirs.
    pub groups: Vec<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Seconds that it holds from each renewal.
    pub ttl: u32,
    /// None: for as long as it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Renewal {
    /// When a token ends that is renewed now.
    pub fn expiry(&self, now: Time) -> Time {
        let renewed = now + Duration::from_secs(self.ttl.into());
        self.until.map_or(renewed, |until| until.min(renewed))
    }
}

/// Of an access token that holds no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    pub revoked_at: Time,
}

/// What a used change id is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedChangeId {
    pub request: Digest,
    /// The key of `request`.
    pub key: i64,
    /// What was answered, so that a repeat gets the same; sealed under this data epoch, in hexadecimal.
    pub epoch: i64,
    pub answer: String,
}
