//! The connectors against the servers they are for.

// `cfg(test)` is always true here. It tells clippy that helpers are tests too, which may unwrap.
#[cfg(test)]
mod authority;
#[cfg(test)]
mod cut;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod mysql;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod silent;
