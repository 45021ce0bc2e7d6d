//! Feature flags: flagd's definition and its evaluation, as plain functions. No I/O, no clock, no dice.
//!
//! - [`Definition`] and [`Evaluators`] are what somebody writes: validated, with the place of the mistake, and kept as JSON.
//! - [`Set`] is all flags of one project and environment, compiled; [`Set::evaluate`] says what one is for a [`Context`].
//! - [`parse_flagd`] and [`set_to_flagd`] are flagd's document of a whole set.
//!
//! OFREP's other codes have their place before an evaluation: FLAG_NOT_FOUND is [`Set::evaluate`]'s `None`, and
//! INVALID_CONTEXT is what [`Context::parse`] refuses. TYPE_MISMATCH cannot happen, since a definition's variants are of one
//! type and OFREP does not say which one it wants; TARGETING_KEY_MISSING neither, since a `fractional` without a key gives
//! null, and so the default variant. flagd never answers SPLIT.

mod context;
mod definition;
mod evaluators;
mod flagd;
mod place;
mod rule;
mod set;

pub use context::Context;
pub use definition::{Definition, ValueType};
pub use evaluators::Evaluators;
pub use flagd::{Imported, is_key, parse_flagd, set_to_flagd};
pub use place::Mistake;
pub use set::{Bucketing, Evaluated, Evaluation, Failure, FailureCode, Reason, Set};

/// A definition as JSON; and all evaluators of a set.
pub const FLAG_BYTES_MAX: usize = 64 * 1024;
/// How deep operators are nested, with those of evaluators.
pub const RULE_DEPTH_MAX: usize = 64;
/// Operations, and 64 bytes of text read or made, that one evaluation of a flag takes.
pub const FLAG_STEPS_MAX: u32 = 50_000;
/// The same for an evaluation of all flags of a set.
pub const SET_STEPS_MAX: u32 = 500_000;
/// A text that a rule makes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Names and values of a context.
pub const CONTEXT_BYTES_MAX: usize = 64 * 1024;
/// How deep a context is nested.
pub const CONTEXT_DEPTH_MAX: usize = 32;
