//! The hall of principals: users and services, whom every credential belongs to.
//!
//! Owns their life ([`issue`]), how far a caller may pass on its own word ([`caller`], RULES 2.6), and what this
//! process remembers of them ([`directory`]). Does not know any credential: rooms hang theirs on a principal's id. Next
//! in the walk: `countersign-store`, which implements [`store`], and `core/check/revocation`, which asks the directory
//! on every request.

pub mod caller;
pub mod directory;
pub mod issue;
pub mod store;

#[cfg(test)]
mod tests;
