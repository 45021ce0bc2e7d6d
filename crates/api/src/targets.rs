//! `targets` and `targets/{name}`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::target::TargetConfig;
use strongroom_domain::{Name, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    pub name: Name,
    #[serde(flatten)]
    pub config: TargetConfig,
    pub created_at: Time,
    pub updated_at: Time,
}
