//! The walls: what must hold against somebody who writes to the database, against a stale node, and against a log that
//! cannot be written.

#[cfg(test)]
#[macro_use]
#[path = "../it/harness.rs"]
mod harness;

#[cfg(test)]
mod asks;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod sql;
