//! The program as its users meet it: real processes, real stores, real kills.

#[cfg(test)]
#[macro_use]
mod harness;

#[cfg(test)]
mod api;
