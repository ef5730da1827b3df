//! The only crate that links a cryptography library. A leaf: it knows no word of the judgement.

pub mod entropy;

pub use entropy::Entropy;
