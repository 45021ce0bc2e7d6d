//! The bodies of the records that grant something, and of those that say who acts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Name, NamespaceId, ObjectId, PrincipalId, Time};

/// Access tokens live this long unless a role says otherwise, and never longer than the maximum.
pub const DEFAULT_ACCESS_TOKEN_TTL: u32 = 300;
pub const MAX_ACCESS_TOKEN_TTL: u32 = 3600;
/// An operator's access token, until operators are given service tokens.
pub const OPERATOR_TOKEN_TTL: u32 = 3600;
/// Bytes of a password.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 12..=1024;
/// Policies that a role, an operator or a group may name.
pub const MAX_POLICIES: usize = 64;
/// Groups that an operator may name.
pub const MAX_GROUPS: usize = 16;
/// A client's secrets that are valid at one time.
pub const MAX_CLIENT_SECRETS: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceBody {
    pub id: NamespaceId,
    pub created_at: Time,
}

/// What a login yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub policies: Vec<Name>,
    /// Seconds.
    pub access_token_ttl: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A workload that proves itself with an id and a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub principal: PrincipalId,
    pub role: Name,
    pub secrets: Vec<ClientSecret>,
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
    /// None: it cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    pub created_at: Time,
    pub updated_at: Time,
}

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
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
}

/// An opaque token. Its record's id is the accessor, its record's name the keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub principal: PrincipalId,
    /// Root is this flag, never a name.
    pub root: bool,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
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
