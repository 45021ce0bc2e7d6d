//! The program as its users meet it: real processes, real stores, real kills.

#[cfg(test)]
#[macro_use]
#[expect(clippy::disallowed_methods, reason = "waits for processes of its own")]
mod harness;

#[cfg(test)]
mod api;
#[cfg(test)]
mod asks;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod authority;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "kills after a time")]
mod backup;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cut;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod flags;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "waits for a shell of its own")]
mod guides;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod input;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod methods;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod sql;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "waits for clients of its own")]
mod watch;
