//! `namespaces`, `namespaces/{name}` and `POST namespaces/{name}/token`

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::{NamespaceId, NamespaceName, ObjectId, Time};

/// A tenant. Its name may be used again once it is gone, its id never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Namespace {
    pub name: NamespaceName,
    pub id: NamespaceId,
    pub created_at: Time,
    /// Nothing of it is shown since then; its rows are being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
}

/// How a namespace is deleted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteQuery {
    /// Forget those of its leases whose users could not be removed: these stay where they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abandon: bool,
}

/// A token that may do everything within a namespace, for an hour. The only answer that shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetupToken {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub token: SecretString,
    pub accessor: ObjectId,
    pub expires_at: Time,
}
