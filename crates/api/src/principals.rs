//! `POST principals/{id}/erase`

use serde::{Deserialize, Serialize};
use strongroom_domain::{PrincipalId, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    pub principal: PrincipalId,
    pub erased_at: Time,
}
