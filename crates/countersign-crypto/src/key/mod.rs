//! Private keys of our own, by what they are for. Next: whoever signs with them, through a room or the admin API.

mod attest;
mod signing_key;

pub use attest::{AttestKeys, PublicAttestKey};
pub use signing_key::{SigningKey, SigningKeyError};

#[cfg(test)]
mod tests;
