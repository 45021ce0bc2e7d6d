//! The ground that other tests stand on has to hold by itself.

// `cfg(test)` is always true here. It tells clippy that helpers are tests too, which may unwrap.
#[cfg(test)]
mod daemons;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod proxy;
