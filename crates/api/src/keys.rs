//! `POST keys/data/rotate`

use serde::{Deserialize, Serialize};

/// The data epoch that values are sealed under from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    pub epoch: i64,
}
