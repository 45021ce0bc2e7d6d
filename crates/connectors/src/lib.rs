//! All outbound I/O. What is called is decided by configuration alone: see [`Allowed`].

mod address;
mod allowed;
mod fetch;
mod guard;
mod mysql;
mod postgres;
mod reach;
mod redis;
mod targets;

pub use allowed::Allowed;
pub use fetch::Outbound;
pub use targets::Targets;
