//! The connectors against the servers they are for.

mod postgres;
