//! The data plane over real sockets: raw bytes in, and what the upstream got, byte for byte.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what cannot go on must stop the test; helpers are no test functions"
)]

mod bodies;
#[allow(dead_code, reason = "used by the tests to come")]
mod support;
