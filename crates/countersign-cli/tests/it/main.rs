//! The house as a whole: walks through real listeners in process, and the binary itself where a process matters.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "for tests only: what cannot go on must stop the test"
)]

mod admin;
mod cli;
mod config;
mod docs;
mod flows;
mod furnished;
mod issuer;
mod support;
