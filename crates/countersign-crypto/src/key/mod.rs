//! Private keys of our own, by what they are for. Next: whoever signs with them, through a room or the admin API.

mod attest;

pub use attest::{AttestKeys, PublicAttestKey};

#[cfg(test)]
mod tests;
