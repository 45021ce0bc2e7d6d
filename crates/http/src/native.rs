//! The native API, one file a noun.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod batch;
pub(crate) mod clients;
pub(crate) mod control;
pub(crate) mod explain;
pub(crate) mod flags;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod labels;
pub(crate) mod leases;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod methods;
pub(crate) mod namespaces;
pub(crate) mod operators;
pub(crate) mod policies;
pub(crate) mod principals;
pub(crate) mod reports;
pub(crate) mod roles;
pub(crate) mod rotation;
pub(crate) mod secrets;
pub(crate) mod targets;
pub(crate) mod tokens;
pub(crate) mod versions;
pub(crate) mod watch;
