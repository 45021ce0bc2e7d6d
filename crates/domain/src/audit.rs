//! The audit log's values: entries, batches, and the tree over them. A closed struct with no field that could hold a
//! value; canonical bytes carry a format number and are fixed by test vectors.

mod batch;
mod denial;
mod entry;
pub mod merkle;

pub use batch::{Batch, BatchId, EntryId, Lane, SealedBatch};
pub use denial::Denial;
pub use entry::{Action, Class, Dialect, Entry, OutcomeKind, StoredEntry};
