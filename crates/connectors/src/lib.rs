//! All outbound I/O. What is called is decided by configuration alone: see [`Allowed`].

mod address;
mod allowed;
mod fetch;

pub use allowed::Allowed;
pub use fetch::Outbound;
