//! For tests only: what stands in for the world around the judgement.
//!
//! A clock and entropy that do as they are told, an authenticator whose answers are written down beforehand, the ports
//! of core over plain memory, and [`eventually`], the only way a test may wait. Owns no assertions about the product
//! but the conformance suite that every store must pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "for tests only: what cannot go on must stop the test"
)]

mod clock;
pub mod conformance;
mod decision_point;
mod entropy;
mod eventually;
mod memory;
mod memory_store;
mod scripted_authenticator;
mod skip;

pub use clock::ManualClock;
pub use decision_point::{Fixture, FixtureBuilder, Headers, principal};
pub use entropy::SeededEntropy;
pub use eventually::eventually;
pub use memory::{MemoryCounter, MemoryDirectory, MemoryFeed, StaticRoutes};
pub use memory_store::MemoryStore;
pub use scripted_authenticator::{Answer, Gate, ScriptedAuthenticator};
pub use skip::{environment, has_program, skip};

#[cfg(test)]
mod tests;
