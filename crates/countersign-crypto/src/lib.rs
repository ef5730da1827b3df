//! The only crate that links a cryptography library. A leaf: it knows no word of the judgement.
//!
//! Owns secrets in memory, randomness, hashing (of passwords too), opaque and signed tokens, the
//! development authority and the TLS provider. Does not know what a key, a principal or a request is: a room hands it
//! bytes and numbers. Next in the walk: the rooms of `countersign-methods`.

pub mod constant_time;
pub mod entropy;
pub mod fingerprint;
pub mod hash;
pub mod jose;
pub mod key;
pub mod password;
pub mod sealed_file;
pub mod secret;
pub mod tls;
pub mod token;
pub mod websocket;
pub mod x509;

pub use entropy::{Entropy, SystemEntropy, derived_id, random_id};
pub use fingerprint::FingerprintKey;
pub use secret::{SecretBytes, SecretString};

#[cfg(test)]
mod tests;
