//! What the native API says, in both directions: one module a noun, serde types with no behaviour beyond checking their
//! own form. Server and client share them, so neither can drift from the other.

pub mod audit;
pub mod auth;
pub mod batch;
#[cfg(feature = "client")]
pub mod client;
pub mod clients;
pub mod control;
pub mod dead_letters;
pub mod explain;
mod exposed;
pub mod flags;
pub mod groups;
pub mod health;
pub mod keys;
pub mod labels;
pub mod leases;
pub mod list;
pub mod metadata;
pub mod methods;
pub mod namespaces;
pub mod ofrep;
pub mod operators;
pub mod page;
pub mod parse;
pub mod path;
pub mod payload;
pub mod policies;
pub mod principals;
pub mod problem;
pub mod reports;
pub mod roles;
pub mod rotation;
pub mod schema;
pub mod secrets;
pub mod targets;
pub mod tokens;
pub mod versions;
pub mod watch;

pub use page::{Page, PageQuery};
pub use parse::parse;
pub use payload::{PayloadFields, With};
pub use problem::Problem;

/// What every route of the native API starts with.
pub const BASE: &str = "/api/v1";
