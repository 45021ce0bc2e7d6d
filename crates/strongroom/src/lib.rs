//! The one program: configuration, wiring, `dev`, `server`, `migrate`, `operator`, and the client verbs. As a library it
//! starts a server in process, for tests.

pub mod client;
pub mod command;
pub mod config;
mod control;
mod dev;
mod files;
pub mod logging;
mod migrate;
mod operator;
mod reference;
pub mod serve;
pub mod system;
pub mod tls;
pub mod wiring;
