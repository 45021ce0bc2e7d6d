//! What a definition may say and what a flag is for a context, by the crate's own doors.

// `cfg(test)` is always true here. It tells clippy that helpers are tests too, which may unwrap.
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod buckets;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod evaluation;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod pages;
