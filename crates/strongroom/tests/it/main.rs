//! The program as its users meet it: real processes, real stores, real kills.

#[cfg(test)]
#[macro_use]
#[expect(
    dead_code,
    clippy::disallowed_methods,
    reason = "shared with the walls; waits for processes of its own"
)]
mod harness;

#[cfg(test)]
mod api;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod input;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod limits;
