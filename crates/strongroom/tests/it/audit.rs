//! Every access is on record before its answer leaves: whatever becomes of the log, nothing is shown that it lacks.

mod complete;
mod erase;
mod outage;
pub(crate) mod routes;
mod stage;
