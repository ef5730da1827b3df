//! Private keys of our own, by what they are for. Next: whoever signs with them, through a room or the admin API.

mod attest;
mod seal;
mod signing_key;

pub use attest::{AttestKeys, PublicAttestKey};
pub use seal::{SealError, SealKeys, open_under, seal_under};
pub use signing_key::{SigningKey, SigningKeyError};

#[cfg(test)]
mod tests;
