//! The hall of revocation: the feed of changes, and what this process remembers of it.
//!
//! Owns what a change is and how it is read ([`store`]), and the memory that every request is judged against
//! ([`memory`], RULES 2.5). Does not decide what is denied: `core/check/revocation` asks. Next in the walk: the
//! follower in `countersign-store`, which feeds the memory.

pub mod memory;
mod revoked;
pub mod store;

#[cfg(test)]
mod tests;
