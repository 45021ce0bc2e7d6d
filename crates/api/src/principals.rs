//! `POST principals/{id}/erase`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::{PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PrincipalErased")]
pub struct Erased {
    pub principal: PrincipalId,
    pub erased_at: Time,
}
