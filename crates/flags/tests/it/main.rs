//! What a definition may say and what a flag is for a context, by the crate's own doors.

mod buckets;
mod evaluation;
