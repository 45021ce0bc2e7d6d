//! `POST keys/data/rotate`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data epoch that values are sealed under from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DataKeyRotated")]
pub struct Rotated {
    #[schemars(range(min = 1))]
    pub epoch: i64,
}
