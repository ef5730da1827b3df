//! The hall of revocation: the feed of changes, and what this process remembers of it.
pub mod store;
