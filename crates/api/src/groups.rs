//! `groups` and `groups/{name}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteGroup {
    #[schemars(length(max = 64))]
    pub policies: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    pub name: Name,
    pub policies: Vec<Name>,
    pub created_at: Time,
    pub updated_at: Time,
}
