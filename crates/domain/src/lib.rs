//! The rules and types of Strongroom, as values and pure functions: no I/O, no async, no clock, no randomness.
//! Time and chance are arguments. Everything that is stored, authenticated or recorded has its exact bytes defined here.

pub mod access;
pub mod audit;
pub mod backoff;
pub mod canon;
pub mod change;
pub mod error;
pub mod grant;
pub mod ids;
pub mod lease;
pub mod manifest;
pub mod merge;
pub mod metadata;
pub mod method;
pub mod names;
pub mod network;
pub mod path;
pub mod payload;
pub mod period;
pub mod policy;
pub mod rate;
pub mod recipe;
pub mod rotation;
pub mod row;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod slot;
pub mod target;
pub mod time;
pub mod upgrade;

pub use change::{Change, Fence, Moved, Outcome, Touch, Write};
pub use error::{Code, Error, Result};
pub use ids::{Digest, NamespaceId, ObjectId, PrincipalId, Revision, RowRev};
pub use names::{Name, NamespaceName};
pub use network::Network;
pub use path::{Prefix, SecretPath};
pub use payload::{Payload, PayloadKind};
pub use period::Period;
pub use rate::Rate;
pub use recipe::{Recipe, RecipeFields};
pub use row::{Kind, Record, Row, Version};
pub use schedule::{Schedule, ScheduleFields};
pub use slot::SlotMethod;
pub use time::Time;
pub use upgrade::Schema;
