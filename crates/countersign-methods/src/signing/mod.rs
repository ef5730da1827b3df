//! The hall of our own signing keys (RULES 5.3): which there are ([`record`]), how they come and go ([`issue`]), what this
//! process signs and verifies with ([`keys`]). Rooms sign through it and import nothing else of it; what a token says is
//! theirs. Next in the walk: `countersign-store`, which implements [`store`].
//!
//! ```text
//! published ──its time has come──> active ──another is──> retired ──nothing of it lives──> removed
//!     └───────────────────revoke──────┴──────revoke──────────┴─────────────────────────────> removed, at once
//! ```

pub mod issue;
pub mod keys;
pub mod record;
pub mod store;

#[cfg(test)]
mod tests;
