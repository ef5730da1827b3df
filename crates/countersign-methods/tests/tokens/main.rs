//! Signing keys, sessions and signed tokens, attacked: over a store in memory, and where it matters under the real judgement.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot go on must stop the test"
)]

mod bad_tokens;
mod forger;
mod good_tokens;
mod house;
mod sessions;
mod signing;
mod slow;
